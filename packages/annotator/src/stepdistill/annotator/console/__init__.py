"""What a person sees while a command works: progress, rates, tables."""
