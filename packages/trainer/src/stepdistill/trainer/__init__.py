"""Trains a small T5 student on two tasks at once: predict the label, and explain it."""
