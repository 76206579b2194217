"""Handwritten digits: a small generator, its checkpoints and the demonstration."""
