"""Families of encoder-decoders: a file each, behind one base."""
