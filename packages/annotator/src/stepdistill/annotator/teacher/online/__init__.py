"""The online teacher: many requests in flight, within the teacher's limits."""
