"""Figures of what is known about templates, and of a prompt search."""
