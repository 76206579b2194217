"""Authenticity: the definition written out, copies, influences, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geneval.data import Neighbours
from geneval.metrics.memorization.authenticity import authenticity
from geneval.neighbours import nearest
from geneval.resample import Context
from geneval.value import Estimate, Role

Floats = NDArray[np.float64]


def named(n: int) -> tuple[str, ...]:
    """Numbered ids."""
    return tuple(f"{i:05d}" for i in range(n))


def of(x: Floats, train: Floats) -> Estimate:
    """The estimate."""
    near = Neighbours(named(len(x)), *nearest(x, 2, train), named(len(train)))
    among = Neighbours(named(len(train)), *nearest(train, 2))
    return authenticity(near, among, Context())[0]


def by_hand(x: Floats, train: Floats) -> NDArray[np.bool_]:
    """Which samples are authentic, with whole matrices of distances (Alaa et al., section 3.2)."""
    across = np.linalg.norm(x[:, None] - train, axis=-1)
    within = np.linalg.norm(train[:, None] - train, axis=-1)
    np.fill_diagonal(within, np.inf)
    first = across.argmin(axis=1)
    found: NDArray[np.bool_] = across.min(axis=1) > within.min(axis=1)[first]
    return found


def planted(share: float, n: int, m: int, d: int, seed: int) -> tuple[Floats, Floats]:
    """Generated and training samples of one distribution, a share of the former copied."""
    rng = np.random.default_rng(seed)
    x, train = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    copied = np.arange(n) < share * n
    return np.where(copied[:, None], train[rng.integers(0, m, n)], x), train


@pytest.mark.parametrize(("n", "m", "d"), [(80, 60, 3), (40, 120, 10), (50, 4, 2)])
def test_it_is_the_definition(n: int, m: int, d: int) -> None:
    """Every sample's score, and their share."""
    x, train = planted(0.2, n, m, d, seed=n)
    found = of(x, train)
    expected = by_hand(x, train)
    assert np.array_equal(found.evidence[Role.GENERATED].rows, expected)
    assert found.number == expected.mean()
    assert found.n == {Role.GENERATED: n, Role.TRAIN: m}


def test_copies_are_not_authentic() -> None:
    """The closed form of the reference: 0, also where the training samples repeat themselves."""
    x, train = planted(1.0, 50, 60, 4, seed=1)
    assert of(x, train).number == 0
    train[:30] = train[0]
    assert of(train[:50].copy(), train).number == 0


def test_more_copies_are_less_authentic() -> None:
    """It falls with the planted share of copies, in proportion."""
    found = [of(*planted(share, 400, 300, 8, seed=2)).number or 0.0 for share in (0, 0.2, 0.5, 0.9)]
    assert found == sorted(found, reverse=True)
    assert found[2] == pytest.approx(found[0] / 2, abs=0.06)  # 2 binomial deviations at n = 200


def test_the_least_authentic_come_first_with_their_training_samples() -> None:
    """Both galleries tell the pair, the copies before all others."""
    x, train = planted(0.1, 100, 80, 6, seed=3)
    mine, theirs = of(x, train).galleries
    assert set(mine.ids[:10]) == set(named(10))
    assert (mine.role, theirs.role) == (Role.GENERATED, Role.TRAIN)
    for sample, other, told in zip(mine.ids[:10], theirs.ids, mine.captions, strict=False):
        assert np.array_equal(x[int(sample)], train[int(other)])
        assert told == f"0 from {other}"


def test_training_influence_is_leaving_one_out() -> None:
    """Exact: the change of the share without each training sample."""
    x, train = planted(0.2, 120, 40, 3, seed=4)
    share = by_hand(x, train).mean()
    exact = np.array([by_hand(x, np.delete(train, j, 0)).mean() - share for j in range(40)]) * -39
    rows = of(x, train).evidence[Role.TRAIN].rows
    assert rows == pytest.approx(exact - exact.mean(), abs=1e-9)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Over 100 draws of both sets against the mean at this n; leave-one-out errs long."""
    runs = [of(*planted(0.3, 150, 150, 6, seed)) for seed in range(100)]
    centre = np.mean([run.number or 0.0 for run in runs])
    hits = sum(r.interval is not None and r.interval.low <= centre <= r.interval.high for r in runs)
    # Binomial(100, 0.95): P(X < 87) < 0.001
    assert hits >= 87
