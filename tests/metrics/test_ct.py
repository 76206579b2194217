"""C_T: the definition with scipy, its null distribution, copying and underfitting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest, mannwhitneyu, norm

from geneval.data import Features, Neighbours
from geneval.metric import Undefined
from geneval.metrics.memorization.ct import cells_of, ct
from geneval.neighbours import nearest
from geneval.resample import Context
from geneval.value import Estimate, Role

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def of(x: Floats, y: Floats, train: Floats, **options: Any) -> Estimate:
    """The estimate."""
    sides = [features(side) for side in (x, y, train)]
    near = [Neighbours(s.ids, *nearest(s.x, 1, train), sides[2].ids) for s in sides[:2]]
    return ct(*sides, *near, Context(), **options)[0]


def clouds(seed: int, n: int = 150, copied: float = 0.0, wide: float = 1.0) -> list[Floats]:
    """Generated, reference and training samples of two far clouds; some generated are copies."""
    rng = np.random.default_rng(seed)
    x, y, train = rng.normal(size=(3, n, 4))
    x *= wide
    centres = rng.integers(0, 2, (3, n, 1)) * 20.0
    x, y, train = x + centres[0], y + centres[1], train + centres[2]
    noise = rng.normal(size=(n, 4)) * 0.05
    return [np.where((rng.random(n) < copied)[:, None], train + noise, x), y, train]


def test_it_is_the_definition() -> None:
    """Two far clouds are the two cells; scipy's U in each, weighted by reference samples."""
    x, y, train = clouds(0, copied=0.2)
    found = of(x, y, train, cells=2)
    near = [np.linalg.norm(side[:, None] - train, axis=-1).min(axis=1) for side in (x, y)]
    zs, weights = [], []
    for far in (False, True):
        a, b = (d[(side.mean(axis=1) > 10) == far] for d, side in zip(near, (x, y), strict=True))
        u = mannwhitneyu(a, b, alternative="two-sided").statistic
        zs.append((u - len(a) * len(b) / 2) / np.sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12))
        weights.append(len(b) / len(y))
    number = float(np.dot(weights, zs))
    assert found.number == pytest.approx(number, rel=1e-9)
    p = 2 * norm.sf(abs(number) / np.linalg.norm(weights))
    assert f"(p = {p:.3g})" in found.finding
    assert found.tables[0].columns["z"] == pytest.approx(sorted(zs), rel=1e-9)


def test_it_is_standard_normal_for_fresh_samples() -> None:
    """With one cell, over 150 draws: Kolmogorov-Smirnov, and the stated false alarms."""
    numbers = [of(*clouds(seed, 100), cells=1).number or 0.0 for seed in range(150)]
    # the smallest p of 150 draws of this fixed seed is what it is; 0.01 is no false alarm
    assert kstest(numbers, "norm").pvalue > 0.01
    assert np.mean(np.abs(numbers) > 1.96) < 0.12  # Binomial(150, 0.05): P(X ≥ 18) < 0.001


def test_intervals_cover_as_often_as_they_say() -> None:
    """Over 100 draws around the same training samples, with a fifth copied."""
    train = clouds(1000)[2]
    runs = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x, y, _ = clouds(seed)
        x = np.where((rng.random(150) < 0.2)[:, None], train[rng.integers(0, 150, 150)] + 0.05, x)
        runs.append(of(x, y, train, cells=2))
    centre = np.mean([run.number or 0.0 for run in runs])
    hits = sum(r.interval is not None and r.interval.low <= centre <= r.interval.high for r in runs)
    # Binomial(100, 0.95): P(X < 87) < 0.001
    assert hits >= 87


def test_copies_are_below_zero_and_bad_samples_above() -> None:
    """It falls with the planted share of copies and rises with samples that lie apart."""
    shares = [of(*clouds(5, copied=share), cells=2).number or 0.0 for share in (0, 0.2, 0.5, 1)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > -2
    assert shares[3] < -9
    assert (of(*clouds(5, wide=2.0), cells=2).number or 0.0) > 5


def test_copies_lead_the_gallery_of_the_cell_they_are_in() -> None:
    """Copies in one cloud: the table's first cell is theirs, its gallery shows them."""
    x, y, train = clouds(6)
    mine, theirs = (np.flatnonzero(side.mean(axis=1) > 10) for side in (x, train))
    x[mine[:40]] = train[theirs[:40]]
    found = of(x, y, train, cells=2)
    (gallery,) = found.galleries
    assert {int(i) for i in gallery.ids} <= set(mine[:40])
    assert gallery.captions[0].startswith("0 from ")
    assert found.tables[0].columns["z"][0] < found.tables[0].columns["z"][1]  # type: ignore[operator]


def test_cells_follow_the_ids_and_not_the_rows() -> None:
    """k-means starts from training samples in id order; a moved row does not move a cell."""
    x, _, train = clouds(7)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(train))
    asked = features(x), features(x[::-1])
    there = cells_of(features(train), asked, 5, 64, 0)
    back = cells_of(features(train).take(order), asked, 5, 64, 0)
    assert all(np.array_equal(a, b) for a, b in zip(there, back, strict=True))
    assert np.array_equal(there[0], there[1][::-1])


def test_cells_without_enough_samples_are_left_out() -> None:
    """All generated samples in one of two clouds: one cell counts, with none a problem."""
    x, y, train = clouds(8)
    x = x[x.mean(axis=1) < 10]
    found = of(x, y, train, cells=2)
    assert "1 of 2 cells have enough samples" in found.finding
    assert found.n[Role.GENERATED] == len(x)
    with pytest.raises(Undefined, match="no cell has 500 generated samples"):
        of(x, y, train, least=500)
