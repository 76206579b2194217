"""Texts against references, item by item or as a corpus."""
