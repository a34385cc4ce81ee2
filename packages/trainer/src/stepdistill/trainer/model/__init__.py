"""The student, its tokenizer and its loss."""
