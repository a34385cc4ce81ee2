"""Prompts: templates, mixes of them, and the text that a teacher is sent."""
