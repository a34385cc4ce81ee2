"""The whole way by one command: the two halves' own commands, one after another, and a page."""
