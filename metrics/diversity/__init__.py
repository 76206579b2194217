"""How much of a distribution the generated samples show: the chapter diversity."""
