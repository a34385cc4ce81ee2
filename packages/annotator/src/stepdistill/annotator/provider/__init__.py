"""Who serves teachers: the providers people have, as data."""
