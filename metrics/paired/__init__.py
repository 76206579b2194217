"""How close each sample is to its own reference sample, the one of the same id."""
