"""Rows: found, streamed, and turned into the task's fields."""
