"""The cascade: a student that asks its teacher when it is unsure, and what may be promised."""
