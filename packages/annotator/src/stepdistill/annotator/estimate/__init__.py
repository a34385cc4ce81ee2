"""Money before a run: what it will cost, and how sure that is."""
