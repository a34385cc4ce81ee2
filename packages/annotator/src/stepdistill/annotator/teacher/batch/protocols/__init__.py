"""What providers take batches in: a protocol each in a file of its own."""
