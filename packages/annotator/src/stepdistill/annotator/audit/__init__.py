"""How good the labels are, by judgements of a few rows: which rows, and what follows from them."""
