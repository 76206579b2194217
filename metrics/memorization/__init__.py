"""Whether a model repeats the samples that it was trained on."""
