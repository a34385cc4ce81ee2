"""What a run made of people's rows, beside these rows: in their file's order, with a card."""
