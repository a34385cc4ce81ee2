"""Trains a small student on two tasks at once: predict the label, and explain it."""
