"""What differs between architectures, behind one base; `registry.py` says which is whose."""
