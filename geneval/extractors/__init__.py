"""Feature extractors: samples to row-aligned columns of numbers."""
