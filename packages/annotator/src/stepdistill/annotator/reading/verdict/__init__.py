"""Reading a verdict by rules of language, a kind of label at a time, and the reasons around it."""
