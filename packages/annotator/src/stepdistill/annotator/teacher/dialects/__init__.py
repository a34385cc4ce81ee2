"""What teachers are spoken to in: a dialect each in a file of its own."""
