"""Requests and answers: keys, the store, and the teacher's door."""
