"""Entry points of other distributions: loaded once, and never able to take the harness down."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points


@cache
def load_plugins(group: str) -> tuple[str, ...]:
    """Load every entry point of a group; a sentence for each that does not load."""
    broken = []
    for point in entry_points(group=group):
        try:
            point.load()
        except Exception as error:  # a stranger's code may raise anything
            owner = point.dist.name if point.dist else "an unknown distribution"
            broken.append(f"plug-in {point.name} of {owner} does not load: {error}")
    return tuple(broken)
