"""Realism: the definition written out, ties and copies, influences, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geneval import sweeps
from geneval.data import Features, Neighbours
from geneval.metric import Undefined
from geneval.metrics.fidelity.realism import realism
from geneval.neighbours import nearest
from geneval.resample import Context
from geneval.value import Estimate, Role

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def of(x: Floats, y: Floats, k: int = 3) -> list[Estimate]:
    """The two estimates."""
    reference = features(y)
    near = Neighbours(reference.ids, *nearest(y, k + 1))
    return realism(features(x), reference, near, Context(), k=k)


def by_hand(x: Floats, y: Floats, k: int = 3) -> Floats:
    """Uncapped realism of every sample, with whole matrices of distances."""
    among = np.linalg.norm(y[:, None] - y, axis=-1)
    radius = np.sort(among, axis=1)[:, k]
    apart = np.linalg.norm(x[:, None] - y, axis=-1)
    kept = radius <= np.median(radius)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(radius / apart, nan=np.inf, posinf=np.inf)
    best: Floats = ratio[:, kept].max(axis=1)
    return best


def clouds(n: int, m: int, d: int, seed: int, shift: float = 0.0) -> tuple[Floats, Floats]:
    """Two standard normal clouds, the first moved by `shift` in every direction."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + shift, rng.normal(size=(m, d))


@pytest.mark.parametrize(("n", "m", "d", "k"), [(90, 70, 4, 3), (50, 121, 12, 1), (40, 9, 2, 5)])
def test_it_is_the_definition(
    n: int, m: int, d: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mean of what each counts, share at 1 and more, in one tile and in many."""
    x, y = clouds(n, m, d, seed=n, shift=0.2)
    expected = by_hand(x, y, k)
    for rows in (64, 7):
        monkeypatch.setattr(sweeps, "LEAST_ROWS", rows)
        monkeypatch.setattr(sweeps, "TILE_BYTES", 1)
        mean, share = of(x, y, k)
        scores = mean.evidence[Role.GENERATED].rows
        assert scores == pytest.approx(np.minimum(expected, 2), rel=1e-9)
        assert mean.number == pytest.approx(np.minimum(expected, 2).mean(), rel=1e-9)
        assert share.number == pytest.approx((expected >= 1).mean(), rel=1e-12)


def test_a_sample_at_the_radius_is_realistic() -> None:
    """Ties are ties: a step from a row of points far from the origin, realism is 1 and counts."""
    y = np.stack([1e6 + np.arange(20.0), np.full(20, 1e6)], axis=1)  # all radii but the ends' are 1
    x = np.array([[1e6 + 10, 1e6 + 1], [1e6 + 10, 1e6 + 1.001], [1e6 + 20, 1e6]])
    assert list(by_hand(x, y, k=2) >= 1) == [True, False, False]
    mean, share = of(x, y, k=2)
    assert mean.evidence[Role.GENERATED].rows[0] == 1.0
    assert list(share.evidence[Role.GENERATED].rows) == [1.0, 0.0, 0.0]


def test_a_copy_counts_as_two_at_most() -> None:
    """Infinite realism does not decide the mean, also where copies of the reference repeat."""
    x, y = clouds(50, 60, 4, seed=1, shift=3.0)
    y[:20] = y[0]  # their radius is 0
    x[7] = y[0]
    mean, share = of(x, y)
    scores = mean.evidence[Role.GENERATED].rows
    assert scores[7] == 2.0
    assert share.evidence[Role.GENERATED].rows[7] == 1.0
    assert mean.galleries[1].ids[0] == "00007"
    assert mean.galleries[1].captions[0] == "as a reference sample"


def test_galleries_lead_with_the_extremes() -> None:
    """The farthest sample is the least realistic one."""
    x, y = clouds(50, 60, 4, seed=2)
    x[13] += 40
    least, most = of(x, y)[0].galleries
    expected = by_hand(x, y)
    assert least.ids[0] == "00013"
    assert most.ids[0] == f"{expected.argmax():05d}"
    assert len(least.ids) == 24


def test_the_farther_the_less_realistic() -> None:
    """Both outputs fall with the shift."""
    found = [of(*clouds(200, 200, 4, seed=3, shift=shift)) for shift in (0.0, 0.7, 1.4, 2.8)]
    for output in (0, 1):
        numbers = [float(run[output].number or 0.0) for run in found]
        assert numbers == sorted(numbers, reverse=True)


def test_reference_influence_is_close_to_leaving_one_out() -> None:
    """The change of the mean without each reference sample, but for the moving median."""
    x, y = clouds(150, 81, 3, seed=4, shift=0.3)
    among = np.linalg.norm(y[:, None] - y, axis=-1)
    kept = np.sort(among, axis=1)[:, 3] <= np.median(np.sort(among, axis=1)[:, 3])

    def fixed(j: int) -> float:
        """The mean without sample j, the same balls kept."""
        rest = np.delete(np.arange(81), j)
        radius = np.sort(among[np.ix_(rest, rest)], axis=1)[:, 3]
        ratio = radius / np.linalg.norm(x[:, None] - y[rest], axis=-1)
        return float(np.minimum(ratio[:, kept[rest]].max(axis=1), 2).mean())

    mean = of(x, y)[0]
    exact = -80 * (np.array([fixed(j) for j in range(81)]) - float(mean.number or 0.0))
    rows = mean.evidence[Role.REFERENCE].rows
    assert np.corrcoef(rows, exact)[0, 1] > 0.99
    assert rows.std() == pytest.approx(exact.std(), rel=0.1)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Over 100 draws, each interval against the mean at this n; leave-one-out errs long."""
    runs = [of(*clouds(200, 200, 4, seed, shift=0.4)) for seed in range(100)]
    for output in (0, 1):
        centre = np.mean([float(run[output].number or 0.0) for run in runs])
        intervals = [run[output].interval for run in runs]
        hits = sum(i is not None and i.low <= centre <= i.high for i in intervals)
        # Binomial(100, 0.95): P(X < 87) < 0.001
        assert hits >= 87
        assert {i.target for i in intervals if i} == {"at_n"}


def test_too_few_reference_samples_is_a_problem() -> None:
    """The next neighbour after the k-th must exist; the sentence says how many are needed."""
    x, y = clouds(10, 4, 2, seed=5)
    near = Neighbours(features(y).ids, *nearest(y, 3))
    with pytest.raises(Undefined, match=r"needs at least k \+ 2"):
        realism(features(x), features(y), near, Context(), k=3)
