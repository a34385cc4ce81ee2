"""The teacher: who it is, how it is asked, what its replies mean."""
