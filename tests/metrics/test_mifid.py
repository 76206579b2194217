"""MiFID: the definition by other means, the penalty's threshold, copies, intervals."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from geneval import sweeps
from geneval.data import Features
from geneval.metric import Undefined
from geneval.metrics.fidelity.fid import fid
from geneval.metrics.fidelity.mifid import mifid
from geneval.resample import Context
from geneval.value import Estimate, Role

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def clouds(n: int, m: int, d: int, seed: int, spread: float = 1.0) -> tuple[Features, Features]:
    """Two clouds around one direction, so that cosine distances are small where `spread` is."""
    rng = np.random.default_rng(seed)
    x, y = 2 + spread * rng.normal(size=(n, d)), 2 + spread * rng.normal(size=(m, d))
    return features(x + 0.3), features(y)


def by_hand(x: Floats, y: Floats, threshold: float = 0.1) -> tuple[float, float]:
    """The value and the mean least distance, with whole matrices and SciPy's root."""
    cov_x, cov_y = np.cov(x.T), np.cov(y.T)
    root = np.trace(np.real(np.asarray(scipy.linalg.sqrtm(cov_x @ cov_y))))
    frechet = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(cov_x) + np.trace(cov_y) - 2 * root
    lengths = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
    distance = float((1 - np.abs(x @ y.T) / lengths).min(axis=1).mean())
    return float(frechet / (distance if distance < threshold else 1.0)), distance


def numbers(estimates: list[Estimate]) -> list[float]:
    """Their numbers."""
    assert all(one.number is not None for one in estimates)
    return [one.number for one in estimates if one.number is not None]


@pytest.mark.parametrize(("spread", "copied"), [(1.0, True), (4.0, False)])
def test_it_is_the_definition(spread: float, copied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides of the threshold, in one tile and in many."""
    x, y = clouds(150, 120, 8, 0, spread)
    value, distance = by_hand(x.x, y.x)
    assert (distance < 0.1) == copied
    plain_fid, debiased_fid = numbers(fid(x, y, Context()))
    for tile in (sweeps.TILE_BYTES, 8 * 120 * 7):
        monkeypatch.setattr(sweeps, "TILE_BYTES", tile)
        found = mifid(x, y, Context())
        plain, debiased, mean = numbers(found)
        assert plain == pytest.approx(value, rel=1e-9)
        assert mean == pytest.approx(distance, rel=1e-9)
        assert debiased / plain == pytest.approx(debiased_fid / plain_fid, rel=1e-9)
        assert ("no penalty" in found[0].finding) != copied
        targets = [one.interval.target for one in found if one.interval]
        assert targets == ["at_n", "at_n" if copied else "population", "at_n"]


def test_a_feature_and_its_negative_are_copies() -> None:
    """torchmetrics keeps |cos|, and so does this."""
    x, y = clouds(40, 50, 4, 1)
    turned = features(-x.x)
    assert numbers(mifid(turned, y, Context()))[2] == pytest.approx(by_hand(x.x, y.x)[1], rel=1e-9)


def test_the_set_itself_is_zero() -> None:
    """FID is 0 there, and 0 stays 0 however small the penalty."""
    x, _ = clouds(100, 50, 4, 2)
    found = mifid(x, x, Context())
    assert numbers(found)[0] == 0.0
    assert numbers(found)[2] == pytest.approx(0.0, abs=1e-12)
    assert numbers(found)[1] == pytest.approx(numbers(fid(x, x, Context()))[1], rel=1e-9)


def test_copies_are_punished_and_shown() -> None:
    """Training samples among the generated ones lower the distance and lead the gallery."""
    x, y = clouds(100, 100, 8, 3)
    with_copies = x.x.copy()
    with_copies[[7, 42]] = y.x[[3, 5]]
    found = mifid(features(with_copies), y, Context())
    assert numbers(found)[2] < numbers(mifid(x, y, Context()))[2]
    gallery = found[2].galleries[0]
    assert set(gallery.ids[:2]) == {"00007", "00042"}
    assert {caption.split()[-1] for caption in gallery.captions[:2]} == {"00003", "00005"}


def test_features_of_length_zero_do_not_count() -> None:
    """They have no direction; FID still counts them. A side without any direction is undefined."""
    x, y = clouds(60, 50, 4, 4)
    x.x[5], y.x[9] = 0, 0
    rest = np.delete(x.x, 5, axis=0), np.delete(y.x, 9, axis=0)
    found = mifid(x, y, Context())
    assert numbers(found)[2] == pytest.approx(by_hand(*rest)[1], rel=1e-9)
    assert abs(found[2].evidence[Role.GENERATED].rows.mean()) < 1e-12
    with pytest.raises(Undefined, match="no direction"):
        mifid(features(np.zeros((60, 4))), y, Context())


def test_reference_influence_is_leaving_one_out() -> None:
    """(m − 1) times the change of the distance without each reference sample, centred."""
    x, y = clouds(30, 25, 3, 5)
    found = mifid(x, y, Context())[2]
    without = [by_hand(x.x, np.delete(y.x, j, axis=0))[1] for j in range(25)]
    exact = -24 * (np.array(without) - by_hand(x.x, y.x)[1])
    rows = found.evidence[Role.REFERENCE].rows
    assert rows == pytest.approx(exact - exact.mean(), abs=1e-9)


def test_a_distance_near_the_threshold_is_told() -> None:
    """The value would jump there, which no interval holds."""
    x, y = clouds(80, 60, 8, 6)
    _, s = by_hand(x.x, y.x)
    assert "not told from the threshold" in mifid(x, y, Context(), threshold=s)[0].finding
    assert "not told" not in mifid(x, y, Context(), threshold=4 * s)[0].finding


def test_intervals_cover_as_often_as_they_say() -> None:
    """Over 100 draws with an active penalty: each interval against the mean at this n.

    The leave-one-out influence of nearest neighbours errs on the long side.
    """
    runs = [mifid(*clouds(150, 150, 6, seed), Context()) for seed in range(100)]
    for output in range(3):
        centre = np.mean([numbers(run)[output] for run in runs])
        intervals = [run[output].interval for run in runs]
        hits = sum(i is not None and i.low <= centre <= i.high for i in intervals)
        # Binomial(100, 0.95): P(X < 87) < 0.001
        assert hits >= 87
