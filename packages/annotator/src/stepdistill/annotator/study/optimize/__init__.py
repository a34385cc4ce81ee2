"""A search for better prompts: a model proposes templates, the rows decide (OPRO)."""
