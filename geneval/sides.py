"""The two sides of a class balance: what was counted among the generated, and what is expected.

Expected are the shares of the reference, or those that a target names. Shares of predicted labels
may be corrected for the mistakes that the classifier makes on the labelled reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from geneval.confusion import CONDITION, condition, confusions, corrected_shares, rates
from geneval.data import Labels, natural
from geneval.metric import Undefined
from geneval.shares import Floats, Ints, Pearson, apart, counts, fit, homogeneity, influence
from geneval.value import Evidence, Role

Target = Literal["uniform"] | dict[str, float]
MOST = 200  # classes that shares are corrected for
ADDS_UP = 1e-3  # by which the shares of a target may miss 1


@dataclass(frozen=True)
class Sides:
    """Counts x [k] of the generated, and y [k] of the reference or the shares q [k] of a target.

    `table` [true, predicted] are the mistakes by which shares are corrected, if they are.
    """

    generated: Labels
    reference: Labels | None
    names: list[str]
    x: Ints
    y: Ints | None = None
    q: Floats | None = None
    table: Ints | None = None

    @property
    def counted(self) -> list[Ints]:
        """All that was counted, and that another run would count differently."""
        reference = self.y if self.table is None else self.table.ravel()
        return [self.x] if reference is None else [self.x, reference]

    def shares(self, x: Ints, reference: Ints | None = None) -> Floats:
        """The shares [generated or expected, k] that follow from counts such as `counted`."""
        p, q = np.asarray(x / x.sum()), self.q
        if reference is not None and self.table is not None:
            table = reference.reshape(self.table.shape)
            p, reference = corrected_shares(rates(table), p), table.sum(axis=1)
        if q is None:
            assert reference is not None
            q = np.asarray(reference / reference.sum())
        return np.stack([p, q])

    @property
    def aimed(self) -> Floats:
        """The shares [k] of labels that a target makes, mistakes and all."""
        assert self.q is not None
        return self.q if self.table is None else np.asarray(rates(self.table) @ self.q)

    @property
    def expected(self) -> Floats:
        """Samples expected in each class that any are, on the smaller side where there are two."""
        n = int(self.x.sum())
        if self.y is None:
            found = self.aimed * n
        else:
            m = int(self.y.sum())
            found = np.asarray((self.x + self.y) * (min(n, m) / (n + m)))
        return np.asarray(found[found > 0])

    def test(self, rng: np.random.Generator) -> Pearson:
        """Pearson's test that the generated are of the distribution expected."""
        return fit(self.x, self.aimed, rng) if self.y is None else homogeneity(self.x, self.y, rng)

    def apart(self) -> Floats:
        """Holm's adjusted p [k] that a class by itself has another share than expected."""
        return apart(self.x, self.aimed if self.y is None else self.y)

    def evidence(self, by_p: Floats, by_q: Floats) -> dict[Role, Evidence]:
        """The influence of samples on a value with these derivatives [k] by either side's shares.

        Corrected shares have that of the generated samples, through the inverted mistakes.
        """
        if self.table is not None:
            by_p = np.asarray(np.linalg.solve(rates(self.table).T, by_p))
        found = {Role.GENERATED: influence(self.generated, self.names, by_p)}
        if self.reference is not None and self.y is not None and self.table is None:
            found[Role.REFERENCE] = influence(self.reference, self.names, by_q)
        return found


def sides_of(
    generated: Labels,
    reference: Labels | None,
    truth: Labels | None,
    target: Target | None,
    classes: Sequence[str] | None,
) -> Sides:
    """The sides of these labels; with `truth`, the reference's true ones, shares are corrected.

    Raises `Undefined` where a side is empty, a target makes no sense, or mistakes hide the classes.
    """
    declared = set(classes or ())
    if isinstance(target, dict):
        expected = set(target)
    elif target == "uniform":
        expected = declared or set(generated.space.names)
    else:
        assert reference is not None
        expected = set(reference.names())
    expected |= declared | set(truth.names() if truth else ())
    names = sorted(expected, key=natural)
    q = _target(target, names) if target is not None else None
    seen = set(generated.names()) | set(reference.names() if reference else ())
    stray = sorted(seen - expected, key=natural)
    names, q = [*names, *stray], q if q is None else np.append(q, np.zeros(len(stray)))
    x = counts(generated, names)
    y = counts(reference, names) if reference is not None else None
    if not x.sum() or (y is not None and not y.sum()):
        raise Undefined("no labelled samples on one side")
    table = None
    if truth is not None and reference is not None:
        table = confusions(truth, reference, names)
        _require_invertible(table)
    return Sides(generated, reference, names, x, None if q is not None else y, q, table)


def _target(target: Target, names: Sequence[str]) -> Floats:
    """The shares of a target by name; a class that it does not name has none."""
    if target == "uniform":
        return np.full(len(names), 1 / len(names))
    assert isinstance(target, dict)
    shares = np.array([target.get(name, 0.0) for name in names])
    if shares.min(initial=0.0) < 0 or abs(shares.sum() - 1) > ADDS_UP:
        raise Undefined(f"the shares of target add up to {shares.sum():g}: they must make 1")
    return np.asarray(shares / shares.sum())


def _require_invertible(table: Ints) -> None:
    if len(table) > MOST:
        raise Undefined(f"shares are corrected for at most {MOST} classes, here are {len(table)}")
    found = condition(rates(table))
    if found > CONDITION:
        raise Undefined(
            f"the classifier mistakes classes so often that its confusion matrix cannot be "
            f"inverted (condition number {found:.3g}, at most {CONDITION:g}): "
            "leave out `corrected`, or take a better classifier"
        )
