"""The simulator in other tongues: what each dialect's server is asked, and what it says."""
