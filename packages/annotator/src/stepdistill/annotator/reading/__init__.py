"""Answers read into label and rationale, and joined into records."""
