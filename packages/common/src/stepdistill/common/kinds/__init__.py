"""The kinds of label that a task can have: a file each, behind one base."""
