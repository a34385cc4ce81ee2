"""Money before and after: estimates of what a run will cost, and reports of what it did cost."""
