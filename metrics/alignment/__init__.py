"""How well samples follow what was asked for."""
