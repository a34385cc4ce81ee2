"""A run: the whole way on one page (pipeline), and its steps."""
