"""Which samples a comparison turns on: what got better, what got worse, and by how much.

Samples pair by id where the suites declare it; a sample's own score is what the metric gave it, or
the score of its sentence alone for metrics of a corpus.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geneval.difference import are_paired, known_metric, options_of
from geneval.items import Floats
from geneval.result import Result
from geneval.value import Ids, Role, Value

MOST = 10  # samples named of either kind


@dataclass(frozen=True)
class Flip:
    """One sample with its score before (of what is compared with) and after."""

    id: str
    before: float
    after: float


@dataclass(frozen=True)
class Flips:
    """How many samples of a pair of results got better, worse or stayed; those that moved most.

    For a score of right and wrong, `fallen` are those that were right and are wrong now.
    """

    better: int
    worse: int
    same: int
    fallen: tuple[Flip, ...]
    risen: tuple[Flip, ...]


def flips(after: Result, before: Result, address: str) -> Flips | None:
    """The samples that moved at an address, or None where it has no scores that pair."""
    if not are_paired(after, before):
        return None
    now, then = (own_scores(one, one.by_address.get(address)) for one in (after, before))
    if now is None or then is None:
        return None
    earlier = dict(zip(then[0], then[1].tolist(), strict=True))
    moved = [
        Flip(sample, earlier[sample], float(score))
        for sample, score in zip(*now, strict=True)
        if sample in earlier
    ]
    if not moved:
        return None
    sign = -1.0 if after[address].spec.direction == "lower" else 1.0
    gains = np.array([sign * (flip.after - flip.before) for flip in moved])
    order = np.argsort(gains, kind="stable")
    return Flips(
        better=int((gains > 0).sum()),
        worse=int((gains < 0).sum()),
        same=int((gains == 0).sum()),
        fallen=tuple(moved[row] for row in order[:MOST] if gains[row] < 0),
        risen=tuple(moved[row] for row in order[::-1][:MOST] if gains[row] > 0),
    )


def own_scores(result: Result, value: Value | None) -> tuple[Ids, Floats] | None:
    """What a metric gave generated samples [n], by their ids, or None where it gave none."""
    if value is None or value.problem or value.spec.direction == "target":
        return None
    evidence = result.evidence(value).get(Role.GENERATED)
    spec = known_metric(value)
    if evidence is None or spec is None:
        return None
    return spec.per_item(value.spec.name, evidence, options_of(result, value))
