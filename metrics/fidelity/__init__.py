"""How close the generated samples are to the reference samples."""
