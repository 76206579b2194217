"""How the generated samples are spread over classes."""
