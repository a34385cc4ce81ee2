"""Active learning: which rows to buy next, by what a small student does not know yet."""
