"""Tables of rows written: CSV, JSON lines, Parquet."""
