"""Studies: many runs from one file, where their results are kept, tables and figures of them."""
