"""Rows looked at in a browser: what became of each, and what the teacher was asked for it."""
