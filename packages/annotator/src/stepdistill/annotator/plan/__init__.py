"""Which request a row makes, and the key that its answer is stored under."""
