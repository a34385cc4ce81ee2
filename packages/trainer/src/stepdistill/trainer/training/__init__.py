"""The loop, the judge and what is kept; engine.py alone knows DeepSpeed."""
