"""Asking with several workers, on any machines: who asks what, under which part of the limits."""
