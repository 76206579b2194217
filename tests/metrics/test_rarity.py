"""Rarity: the definition on whole matrices, ties, the reference's own, influences, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geneval import sweeps
from geneval.data import Features, Neighbours
from geneval.metric import Undefined
from geneval.metrics.fidelity.rarity import own_rarity, rarity
from geneval.neighbours import nearest
from geneval.resample import Context
from geneval.value import Estimate, Role

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def of(x: Floats, y: Floats, k: int = 3) -> Estimate:
    """The estimate."""
    near = Neighbours(features(y).ids, *nearest(y, k + 1))
    return rarity(features(x), features(y), near, Context(), k=k)[0]


def by_hand(x: Floats, y: Floats, k: int = 3) -> Floats:
    """Rarity of every sample, infinite in no ball (Han et al., equation 2)."""
    radius = np.sort(np.linalg.norm(y[:, None] - y, axis=-1), axis=1)[:, k]
    inside = np.linalg.norm(x[:, None] - y, axis=-1) <= radius
    found: Floats = np.where(inside, radius, np.inf).min(axis=1)
    return found


def clouds(n: int, m: int, d: int, seed: int, scale: float = 1.0) -> list[Floats]:
    """Two clouds, the generated one narrower or wider."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)) * scale, rng.normal(size=(m, d))]


@pytest.mark.parametrize(("n", "m", "d", "k"), [(90, 70, 4, 3), (60, 121, 8, 1), (40, 9, 2, 5)])
def test_it_is_the_definition(
    n: int, m: int, d: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which samples count, and for how much, in one tile and in many."""
    x, y = clouds(n, m, d, seed=n)
    expected = by_hand(x, y, k)
    held = np.isfinite(expected)
    for rows in (64, 7):
        monkeypatch.setattr(sweeps, "LEAST_ROWS", rows)
        monkeypatch.setattr(sweeps, "TILE_BYTES", 1)
        found = of(x, y, k)
        assert found.evidence[Role.GENERATED].ids == tuple(np.array(features(x).ids)[held])
        assert found.evidence[Role.GENERATED].rows == pytest.approx(expected[held], rel=1e-12)
        assert f"{held.mean():.1%} of the generated ones" in found.finding


def test_a_sample_at_the_radius_is_inside() -> None:
    """Ties are ties, also far from the origin: a step from a row of points a step apart."""
    y = np.stack([1e6 + np.arange(20.0), np.full(20, 1e6)], axis=1)
    x = np.array([[1e6 + 10, 1e6 + 1], [1e6 + 10, 1e6 + 1.001], [1e6 + 3, 1e6]])
    found = of(x, y, k=2)
    assert found.evidence[Role.GENERATED].ids == ("00000", "00002")
    assert list(found.evidence[Role.GENERATED].rows) == [1.0, 1.0]


def test_the_references_own_rarity_is_leaving_each_out() -> None:
    """As if every reference sample were a fresh one beside the others."""
    _, y = clouds(1, 60, 3, seed=1)
    expected = np.array([by_hand(y[[i]], np.delete(y, i, 0))[0] for i in range(60)])
    near = Neighbours(features(y).ids, *nearest(y, 4))
    assert own_rarity(near, 3) == pytest.approx(expected[np.isfinite(expected)], rel=1e-12)


def test_fresh_samples_are_as_rare_as_the_reference() -> None:
    """Over 40 draws the mean is that in the finding, within its standard error."""
    apart = []
    for seed in range(40):
        found = of(*clouds(200, 200, 3, seed))
        apart.append((found.number or 0.0) - float(found.finding.split()[3].rstrip(";")))
    assert abs(np.mean(apart)) < 3 * np.std(apart) / np.sqrt(40)


def test_common_samples_are_less_rare() -> None:
    """Rarity falls as the generator keeps to the middle of the reference."""
    numbers = [of(*clouds(300, 300, 3, 2, scale)).number or 0.0 for scale in (1.2, 0.9, 0.6, 0.3)]
    assert numbers == sorted(numbers, reverse=True)


def test_galleries_lead_with_the_extremes() -> None:
    """The first of the most typical has the least rarity, the first of the least the most."""
    x, y = clouds(80, 90, 3, seed=3)
    expected = by_hand(x, y)
    most, least = of(x, y).galleries
    assert expected[int(most.ids[0])] == expected.min()
    assert expected[int(least.ids[0])] == expected[np.isfinite(expected)].max()


def test_reference_influence_is_leaving_its_ball_out() -> None:
    """The change of the mean without each ball, the others as they are."""
    x, y = clouds(100, 50, 3, seed=4)
    radius = np.sort(np.linalg.norm(y[:, None] - y, axis=-1), axis=1)[:, 3]
    inside = np.linalg.norm(x[:, None] - y, axis=-1) <= radius
    score = np.where(inside, radius, np.inf)

    def mean(of_balls: Floats) -> float:
        """Mean rarity with some balls only."""
        best = of_balls.min(axis=1)
        return float(best[np.isfinite(best)].mean())

    exact = np.array([mean(np.delete(score, j, 1)) - mean(score) for j in range(50)]) * -49
    rows = of(x, y).evidence[Role.REFERENCE].rows
    assert rows == pytest.approx(exact - exact.mean(), abs=1e-9)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Over 100 draws of both sets against the mean at this n."""
    runs = [of(*clouds(200, 200, 3, seed)) for seed in range(100)]
    centre = np.mean([run.number or 0.0 for run in runs])
    hits = sum(r.interval is not None and r.interval.low <= centre <= r.interval.high for r in runs)
    # Binomial(100, 0.95): P(X < 87) < 0.001
    assert hits >= 87


def test_samples_outside_all_balls_are_a_problem() -> None:
    """None is rare or typical of a reference that it does not resemble."""
    x, y = clouds(30, 30, 3, seed=5)
    with pytest.raises(Undefined, match="0 of 30 generated samples lie near the reference"):
        of(x + 90, y)
