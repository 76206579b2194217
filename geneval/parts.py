"""Two sample sets cut into the parts of one of them: its classes, or k-means bins of its features.

Centres of k-means lie closer to the samples they were fitted to than to new ones, so bins can be
fitted to one half of the reference and the other half counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geneval.data import Features, Labels, natural
from geneval.linalg import Floats, Ints
from geneval.metric import Undefined
from geneval.neighbours import nearest
from geneval.resample import Context

FITTED = 20_000  # reference samples that k-means sees at most
EXPECTED = 10  # samples in a bin


@dataclass(frozen=True, eq=False)
class Parts:
    """The part of every generated sample [n], −1 where it has none, and of every reference one [m].

    `reference` are the samples that count; `distance` [m] is theirs from the centre of their part,
    0 where parts have no centres. `kind` is what to call a part.
    """

    kind: str
    names: Sequence[str]
    generated: Features
    reference: Features
    of_generated: Ints
    of_reference: Ints
    distance: Floats

    @property
    def counts(self) -> tuple[Ints, Ints]:
        """Samples in every part, generated and reference."""
        x, y = (
            np.bincount(of[of >= 0], minlength=len(self.names))
            for of in (self.of_generated, self.of_reference)
        )
        return x, y

    def whole(self) -> Parts:
        """All samples as one part without a name."""
        sides = np.zeros_like(self.of_generated), np.zeros_like(self.of_reference)
        return replace(self, kind="", names=[""], of_generated=sides[0], of_reference=sides[1])


def by_class(generated: Features, reference: Features, one: Labels, other: Labels) -> Parts:
    """The classes of the reference, whose labels are the `other` ones."""
    names = sorted(set(other.names()), key=natural)
    code = {name: place for place, name in enumerate(names)}
    of_generated, of_reference = (
        np.array([code.get(name, -1) for name in side.names()]) for side in (one, other)
    )
    centred = np.zeros(reference.n)
    return Parts("class", names, generated, reference, of_generated, of_reference, centred)


def by_bins(
    generated: Features, reference: Features, context: Context, bins: int, held_out: bool
) -> Parts:
    """Bins of the reference that expect `EXPECTED` samples or more; raises `Undefined` below two.

    With `held_out` they are fitted to one half of the reference, drawn by hashes of ids, and the
    other half counts.
    """
    fitted = counted = reference
    if held_out:
        half = context.blocks(reference.ids, 2)
        fitted, counted = (reference.take(np.flatnonzero(half == one)) for one in (0, 1))
    least = min(generated.n, fitted.n, counted.n)
    bins = min(bins, least // EXPECTED)
    if bins < 2:
        raise Undefined(
            f"{least} samples on one side are too few for two bins that expect {EXPECTED} each; "
            "give more, generated and reference"
        )
    centres = fit(fitted, bins)
    _, one = nearest(generated.x, 1, centres)
    distance, other = nearest(counted.x, 1, centres)
    names = [str(place) for place in range(len(centres))]
    return Parts("bin", names, generated, counted, one[:, 0], other[:, 0], distance[:, 0])


def fit(reference: Features, bins: int) -> Floats:
    """Centres [≤ bins, d] of k-means, whatever the order of the rows."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows = np.argsort(np.array(reference.ids), kind="stable")[:FITTED]
    means = KMeans(bins, n_init=1, random_state=0)
    with warnings.catch_warnings(), threadpool_limits(1):  # threads add up in any order
        warnings.simplefilter("ignore", ConvergenceWarning)  # of fewer distinct rows than bins
        means.fit(reference.x[rows].astype(np.float64))
    centres: Floats = np.unique(means.cluster_centers_, axis=0)
    return centres
