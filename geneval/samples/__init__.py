"""Sample sets: what is evaluated and what it is evaluated against, in every form they come in."""
