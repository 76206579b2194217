"""Copies of training samples: planted ones are found, fresh samples are not taken for copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from geneval.data import Neighbours
from geneval.metric import Undefined
from geneval.metrics.memorization.nearest_train import chance, nearest_train, quantile_influence
from geneval.neighbours import nearest
from geneval.resample import Context
from geneval.value import Estimate, Role

Floats = NDArray[np.float64]


def named(n: int) -> tuple[str, ...]:
    """Numbered ids."""
    return tuple(f"{i:05d}" for i in range(n))


def of(x: Floats, y: Floats, train: Floats, **options: Any) -> dict[str, Estimate]:
    """The estimates by output."""
    generated, reference = (
        Neighbours(named(len(side)), *nearest(side, 2, train), named(len(train))) for side in (x, y)
    )
    within = Neighbours(named(len(train)), *nearest(train, 1))
    found = nearest_train(generated, reference, within, Context(), **options)
    return {estimate.output: estimate for estimate in found}


def planted(exact: int, near: int, seed: int, n: int = 400) -> list[Floats]:
    """Three clouds; the first `exact` generated samples are copies, the next `near` almost."""
    rng = np.random.default_rng(seed)
    x, y, train = rng.normal(size=(3, n, 8))
    x[: exact + near] = train[rng.permutation(n)[: exact + near]]
    x[exact : exact + near] += rng.normal(size=(near, 8)) * 0.02
    return [x, y, train]


def test_planted_copies_are_found_exactly() -> None:
    """Of 20 copies and 30 near ones among 400, all; they lead the galleries with their sources."""
    x, y, train = planted(20, 30, seed=0)
    found = of(x, y, train)
    exact, near = found["exact_copies"], found["near_copies"]
    assert exact.number == 20 / 400
    assert set(np.flatnonzero(exact.evidence[Role.GENERATED].rows)) == set(range(20))
    assert near.evidence[Role.GENERATED].rows[:50].all()
    assert 50 / 400 <= (near.number or 0.0) <= 50 / 400 + 0.03
    assert float(near.finding.split("p = ")[1].split()[0]) < 1e-9
    mine, theirs = exact.galleries
    assert set(mine.ids[:20]) == set(named(20))
    apart = [
        np.linalg.norm(x[int(a)] - train[int(b)]) for a, b in zip(mine.ids, theirs.ids, strict=True)
    ]
    assert apart == sorted(apart)
    assert apart[0] == 0


def test_the_threshold_is_the_references_own_quantile() -> None:
    """Near copies are the samples within the k-th least reference distance, k = ⌈quantile · m⌉."""
    x, y, train = planted(0, 0, seed=1)
    near = [np.linalg.norm(side[:, None] - train, axis=-1).min(axis=1) for side in (x, y)]
    for quantile, k in ((0.01, 4), (0.2, 80), (0.001, 1)):
        found = of(x, y, train, quantile=quantile)["near_copies"]
        assert found.number == (near[0] <= np.sort(near[1])[k - 1]).mean()


def test_ratios_are_what_they_say() -> None:
    """Mean distances over each other, and first over second distance, on whole matrices."""
    x, y, train = planted(5, 0, seed=2)
    found = of(x, y, train)
    a, b = (np.sort(np.linalg.norm(s[:, None] - train, axis=-1), axis=1)[:, :2] for s in (x, y))
    assert found["relative_distance"].number == pytest.approx(a[:, 0].mean() / b[:, 0].mean())
    assert found["neighbour_ratio"].number == pytest.approx((a[:, 0] / a[:, 1]).mean())
    assert f"{(b[:, 0] / b[:, 1]).mean():.4g}" in found["neighbour_ratio"].finding
    train[1] = train[0]
    x[0] = train[0]  # a copy of a training sample that repeats: both distances are 0
    assert of(x, y, train)["neighbour_ratio"].evidence[Role.GENERATED].rows[0] == 0


@pytest.mark.parametrize("kind", ["exact", "near"])
def test_more_copies_move_every_output(kind: str) -> None:
    """Shares rise and distances fall with the planted share."""
    counts = [(n, 0) if kind == "exact" else (0, n) for n in (0, 40, 120, 300)]
    found = [of(*planted(*count, seed=3)) for count in counts]
    for output in ("near_copies", "relative_distance", "neighbour_ratio"):
        numbers = [run[output].number or 0.0 for run in found]
        assert numbers == sorted(numbers, reverse=output != "near_copies")
    assert [run["exact_copies"].number for run in found] == [(exact / 400) for exact, _ in counts]


def test_intervals_cover_as_often_as_they_say() -> None:
    """Over 150 draws around the same training samples, a tenth near copies: every output."""
    train = planted(0, 0, seed=99)[2]
    runs = []
    for seed in range(150):
        x, y, _ = planted(0, 0, seed, n=200)
        rng = np.random.default_rng(seed)
        copied = rng.random(200) < 0.1
        x[copied] = train[rng.integers(0, 400, copied.sum())] + 0.02
        runs.append(of(x, y, train, quantile=0.05))
    for output in ("near_copies", "relative_distance", "neighbour_ratio"):
        centre = np.mean([run[output].number or 0.0 for run in runs])
        intervals = [run[output].interval for run in runs]
        hits = sum(i is not None and i.low <= centre <= i.high for i in intervals)
        # Binomial(150, 0.95): P(X < 133) < 0.001
        assert hits >= 133, output


def test_the_quantiles_influence_has_the_bootstraps_variance() -> None:
    """The variance of the share over resampled references, by 4,000 of them."""
    rng = np.random.default_rng(4)
    x, y = rng.gamma(4, 1, 300), rng.gamma(4, 1, 120)
    shares = []
    for _ in range(4000):
        drawn = np.quantile(rng.choice(y, 120), 0.1, method="inverted_cdf")
        shares.append((x <= drawn).mean())
    rows = quantile_influence(x, y, 0.1)
    assert rows.mean() == pytest.approx(0, abs=1e-12)
    # the deviation of a standard deviation from 4,000 draws is about 1.1 %
    assert rows.std(ddof=1) / np.sqrt(120) == pytest.approx(np.std(shares), rel=0.05)
    assert np.corrcoef(rows, y)[0, 1] > 0  # a larger reference distance widens what is near


def test_p_is_uniform_for_fresh_samples() -> None:
    """The share of equal draws with as many near copies, by 3,000 of them, at every p there is."""
    rng = np.random.default_rng(6)
    p = np.array([chance(*rng.normal(size=(2, 100)), 0.05) for _ in range(3000)])
    for level in np.unique(p):
        share = (p <= level).mean()
        # 4 binomial deviations at most
        assert share == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 3000) + 1e-12)


def test_a_reference_of_training_samples_is_refused() -> None:
    """Held-out samples are what distances are measured by."""
    x, _, train = planted(0, 0, seed=5)
    with pytest.raises(Undefined, match="give held-out samples"):
        of(x, train, train)
    with pytest.raises(Undefined, match="between 0 and 1"):
        of(x, x, train, quantile=1.0)
