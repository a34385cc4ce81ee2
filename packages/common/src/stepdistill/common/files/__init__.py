"""Files of rows as people have them, for both halves: JSON lines, tables of text, Parquet"""
