"""What metrics of texts share: writing systems, tokenisers, scores of a corpus and of its items."""
