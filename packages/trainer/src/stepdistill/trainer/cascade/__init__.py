"""The cascade: the student answers what it is sure of, its teacher the rest, and a promise holds."""
