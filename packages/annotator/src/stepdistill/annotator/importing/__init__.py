"""Bringing in what other programs made."""
