"""The commands of `annotate`, a file each: arguments in, one call, results out."""
