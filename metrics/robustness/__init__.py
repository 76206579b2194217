"""How steady what a model makes is when its input moves."""
