"""A run: the whole way on one page (pipeline), and what it consists of."""
