"""Money after a run: what it did cost, and for what."""
