"""Spread, near duplicates, support, bins and modes: closed forms, SciPy, planted defects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon, pdist
from scipy.stats import chi2, entropy, poisson

from geneval.data import Features, Labels, Neighbours
from geneval.linalg import Floats
from geneval.metric import Undefined
from geneval.metrics.diversity.birthday_support import birthday_support
from geneval.metrics.diversity.modes import modes
from geneval.metrics.diversity.ndb import bin_z, chi_square, jsd, ndb
from geneval.metrics.diversity.near_duplicates import near_duplicates
from geneval.metrics.diversity.spread import mean_distances, spread
from geneval.neighbours import nearest
from geneval.resample import Context
from geneval.value import Estimate, Role

CONTEXT = Context()


def features(x: Any) -> Features:
    """Rows with numbered ids."""
    rows = np.asarray(x, dtype=np.float64)
    return Features(tuple(f"{i:05d}" for i in range(len(rows))), rows)


def near(x: Any) -> Neighbours:
    """The nearest neighbour of every row."""
    return Neighbours(features(x).ids, *nearest(np.asarray(x, dtype=np.float64), 1))


def labelled(names: Sequence[str]) -> Labels:
    """Labels with numbered ids."""
    return Labels.of(tuple(f"{i:05d}" for i in range(len(names))), list(names))


def number(estimate: Estimate) -> float:
    """The number of an estimate that has one."""
    assert estimate.number is not None, estimate.problem
    return estimate.number


def clusters(rng: np.random.Generator, n: int, classes: int = 10) -> Floats:
    """Rows [n, 6] of even clusters around the same ten centres."""
    centres = np.random.default_rng(77).normal(size=(10, 6)) * 4
    rows: Floats = centres[rng.integers(0, classes, n)] + rng.normal(size=(n, 6))
    return rows


# ----------------------------------------------------------------------------------- spread


@given(st.floats(0.05, 20), st.integers(0, 2**32 - 1))
def test_spread_of_a_scaled_copy_is_the_scale(scale: float, seed: int) -> None:
    """c·x + b has c² times the variance and c times the distances, wherever it lies."""
    x = np.random.default_rng(seed).normal(size=(30, 3))
    variance, distance = spread(features(scale * x + 7), features(x), CONTEXT)
    assert number(variance) == pytest.approx(scale**2, rel=1e-9)
    assert number(distance) == pytest.approx(scale, rel=1e-9)


def test_spread_is_numpys_trace_and_scipys_distances(rng: np.random.Generator) -> None:
    """numpy.cov and scipy.spatial.distance.pdist written out."""
    x, y = rng.normal(size=(80, 5)) * 0.7, rng.normal(size=(90, 5))
    variance, distance = spread(features(x), features(y), CONTEXT)
    assert number(variance) == pytest.approx(np.trace(np.cov(x.T)) / np.trace(np.cov(y.T)))
    assert number(distance) == pytest.approx(pdist(x).mean() / pdist(y).mean())


def test_distances_of_many_rows_are_scipys_within_rounding(rng: np.random.Generator) -> None:
    """From 4 million pairs on products are float32; the sums stay within 1e-7 of pdist's."""
    x = (rng.normal(size=(2100, 24)) + 5).astype(np.float32)
    mean = mean_distances(x).mean()
    assert mean == pytest.approx(pdist(x.astype(np.float64)).mean(), rel=1e-7)


def test_intervals_of_the_spread_hold_the_truth() -> None:
    """Of 200 draws with a true ratio of 0.64 about 95 % hold it; 90 % is 3 deviations below."""
    held = np.zeros(2)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(150, 4)) * 0.8, rng.normal(size=(100, 4))
        for place, truth in enumerate((0.64, 0.8)):
            interval = spread(features(x), features(y), CONTEXT)[place].interval
            assert interval is not None
            held[place] += interval.low <= truth <= interval.high
    assert (held >= 180).all()


def test_spread_of_nothing_is_zero_and_over_nothing_undefined(rng: np.random.Generator) -> None:
    """Equal generated samples have no spread; equal reference samples are no yardstick."""
    x, same = features(rng.normal(size=(20, 3))), features(np.ones((20, 3)))
    assert [number(one) for one in spread(same, x, CONTEXT)] == [0.0, 0.0]
    with pytest.raises(Undefined, match="do not differ"):
        spread(x, same, CONTEXT)


# --------------------------------------------------------------------------- near duplicates


@pytest.mark.parametrize("copies", [0, 1, 5, 20, 80])
def test_planted_copies_are_counted(copies: int, rng: np.random.Generator) -> None:
    """c copies of one of 200 samples: c + 1 samples in one group, of which c could go."""
    x, y = rng.normal(size=(2, 200, 8))
    x[200 - copies :] = x[0]
    rate, redundant = near_duplicates(features(x), CONTEXT, near(y))
    assert number(rate) == (copies + 1) / 200 * (copies > 0)
    assert number(redundant) == copies / 200
    assert rate.interval is not None
    assert rate.interval.low <= number(rate) <= rate.interval.high
    assert rate.tables[0].columns["samples"] == ([copies + 1] if copies else [])


def test_reach_is_half_the_hundredth_of_the_reference() -> None:
    """Reference neighbours at 1 and 2: the reach is 0.5, inclusive, by the default options."""
    y = np.array([[0.0], [1.0], *([10.0 + 2 * i] for i in range(98))])
    at, beyond = features([[0.0], [0.5], [9.0]]), features([[0.0], [0.5001], [9.0]])
    assert number(near_duplicates(at, CONTEXT, near(y))[0]) == pytest.approx(2 / 3)
    assert number(near_duplicates(beyond, CONTEXT, near(y))[0]) == 0.0


def test_bits_are_a_hamming_distance() -> None:
    """Hashes that differ in 3 bits are near at 3 bits and not at 2."""
    rows = np.zeros((3, 64))
    rows[1, :3], rows[2, :40] = 1, 1
    assert number(near_duplicates(features(rows), CONTEXT, bits=3)[0]) == pytest.approx(2 / 3)
    assert number(near_duplicates(features(rows), CONTEXT, bits=2)[0]) == 0.0


def test_groups_are_shown_largest_first(rng: np.random.Generator) -> None:
    """The gallery shows four samples of a group, captioned with its number and size."""
    x, y = rng.normal(size=(2, 100, 8))
    x[50:53], x[60:69] = x[0], x[1]
    (gallery,) = near_duplicates(features(x), CONTEXT, near(y))[0].galleries
    assert gallery.ids == ("00001", "00060", "00061", "00062", "00000", "00050", "00051", "00052")
    assert gallery.captions[3:5] == ("group 1 of 10", "group 2 of 4")


# ------------------------------------------------------------------------------- support


def drawn(rng: np.random.Generator, support: int, n: int = 300) -> Features:
    """n draws from a list of that many different samples."""
    return features(rng.normal(size=(support, 6))[rng.integers(0, support, n)])


def test_support_of_two_pairs_by_hand(rng: np.random.Generator) -> None:
    """n = 100 with two pairs: 4,950/2; limits of a Poisson count of 2 are 0.2422 and 7.2247."""
    x, y = rng.normal(size=(2, 100, 6))
    x[98], x[99] = x[0], x[1]
    estimate, at_least, batch = birthday_support(features(x), near(y), CONTEXT)
    assert number(estimate) == 2475
    assert estimate.interval is not None
    assert estimate.interval.low == pytest.approx(4950 / 7.2247, rel=1e-4)
    assert estimate.interval.high == pytest.approx(4950 / 0.2422, rel=1e-3)
    assert poisson.cdf(2, 4950 / number(at_least)) == pytest.approx(0.05, rel=1e-6)
    assert number(batch) == 55  # the least s with (1 − (s/100)²)² ≤ ½, that is s ≥ 54.12


def test_support_without_a_pair_is_a_limit(rng: np.random.Generator) -> None:
    """No pair among 50: at least 1,225/−ln 0.05, no interval, and words that say so."""
    x, y = rng.normal(size=(2, 50, 6))
    estimate, at_least, batch = birthday_support(features(x), near(y), CONTEXT)
    assert number(at_least) == pytest.approx(1225 / -np.log(0.05))
    assert number(estimate) == pytest.approx(1225 / np.log(2))
    assert estimate.interval is None
    assert "at least 409" in estimate.finding
    assert number(batch) == 50


def test_support_falls_with_the_number_of_different_samples(rng: np.random.Generator) -> None:
    """Lists of 10 to 1,000 samples: within the 99.9 % interval each, and in their order."""
    y, found = rng.normal(size=(300, 6)), []
    for size in (10, 30, 100, 300, 1000):
        estimate, _, batch = birthday_support(drawn(rng, size), near(y), Context(level=0.999))
        assert estimate.interval is not None
        assert estimate.interval.low <= size <= estimate.interval.high
        found.append((number(estimate), number(batch)))
    assert found == sorted(found)


def test_clustered_pairs_make_the_interval_wider(rng: np.random.Generator) -> None:
    """45 pairs of one group of ten say less than 45 separate ones."""
    x, y = rng.normal(size=(2, 300, 6))
    group, single = x.copy(), x.copy()
    group[1:10] = group[0]
    single[100:145] = single[:45]
    widths = []
    for one in (group, single):
        estimate = birthday_support(features(one), near(y), CONTEXT)[0]
        assert number(estimate) == pytest.approx(300 * 299 / 90)
        assert estimate.interval is not None
        widths.append(estimate.interval.high / estimate.interval.low)
    assert widths[1] == pytest.approx(chi2.ppf(0.975, 92) / chi2.ppf(0.025, 90))
    assert widths[0] > 3 * widths[1]


# ------------------------------------------------------------------------------------ bins


def test_z_and_chi_square_of_two_bins_agree() -> None:
    """With two bins χ² is z² (both pooled, without correction)."""
    x, y = np.array([30, 70]), np.array([45, 55])
    z = bin_z(x, y)
    assert z[0] == pytest.approx(-(0.15) / np.sqrt(0.375 * 0.625 * 0.02))
    assert chi_square(x, y)[0] == pytest.approx(z[0] ** 2)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=12))
def test_divergence_is_scipys(pairs: list[tuple[int, int]]) -> None:
    """scipy's jensenshannon is the root of it."""
    x, y = np.array(pairs).T
    x, y = x + (x.sum() == 0), y + (y.sum() == 0)
    assert jsd(x, y) == pytest.approx(jensenshannon(x, y, base=2) ** 2, abs=1e-12)


def test_bins_are_more_unlike_the_more_clusters_are_lost() -> None:
    """Ten clusters against ten, nine, seven, four and one: every output grows or falls."""
    y = features(clusters(np.random.default_rng(1), 1500))
    found = [
        [number(e) for e in ndb(features(clusters(np.random.default_rng(2), 1500, c)), y, CONTEXT)]
        for c in (10, 9, 7, 4, 1)
    ]
    share, divergence, p = (list(column) for column in zip(*found, strict=True))
    assert divergence == sorted(divergence)
    assert share[0] < 0.15
    assert share[1] > 2 * share[0]
    assert p[0] > 0.01
    assert max(p[1:]) < 1e-6


def test_over_and_under_filled_bins_are_shown(rng: np.random.Generator) -> None:
    """One of two clusters lost: samples of the other, and the reference of the lost one."""
    y = np.concatenate([rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 20])
    x = rng.normal(size=(400, 2))
    estimate, divergence, _ = ndb(features(x), features(y), CONTEXT, bins=2)
    assert number(estimate) == 1.0
    assert number(divergence) == pytest.approx(0.3113, abs=0.01)  # of (1, 0) and (½, ½)
    over, under = estimate.galleries
    assert (over.role, under.role) == (Role.GENERATED, Role.REFERENCE)
    assert all(int(i) >= 200 for i in under.ids)
    assert under.captions[0].startswith("0.0% instead of ")
    assert divergence.signed == {"bins": 2}


def test_too_few_samples_for_two_bins_are_undefined(rng: np.random.Generator) -> None:
    """20 reference samples, half of them held out, expect 10 in one bin."""
    x = features(rng.normal(size=(20, 2)))
    with pytest.raises(Undefined, match="too few for two bins"):
        ndb(x, x, CONTEXT)


# ----------------------------------------------------------------------------------- modes


def test_modes_and_divergence_by_hand() -> None:
    """Counts 3, 1, 0 of even shares: two modes of three and scipy.stats.entropy."""
    x, y = labelled("aaab"), labelled("aabbcc")
    count, kl = modes(x, y, CONTEXT)
    assert number(count) == 2
    assert count.finding == "2 of 3 modes captured; not captured: c"
    assert number(kl) == pytest.approx(entropy([3, 1, 0], [1, 1, 1]))
    assert number(modes(x, y, CONTEXT, least=2)[0]) == 1


def test_one_class_of_k_has_the_divergence_log_k() -> None:
    """All of ten even classes in one: log 10; against an uneven reference it is −log q."""
    x = labelled(["3"] * 50)
    even, uneven = labelled([str(i % 10) for i in range(100)]), labelled("3" + "4" * 9)
    assert number(modes(x, even, CONTEXT)[1]) == pytest.approx(np.log(10))
    assert number(modes(x, uneven, CONTEXT)[1]) == pytest.approx(np.log(10))
    assert number(modes(x, uneven, CONTEXT, target="uniform")[1]) == pytest.approx(np.log(2))


def test_a_class_beyond_the_reference_has_no_finite_divergence() -> None:
    """The problem names the class; the modes are counted all the same."""
    count, kl = modes(labelled("abz"), labelled("ab"), CONTEXT)
    assert number(count) == 2
    assert kl.problem is not None
    assert kl.problem.startswith("class z is generated")


def test_divergence_grows_and_modes_fall_with_every_class_lost() -> None:
    """Ten even classes, then 9, 7, 4, 1."""
    y = labelled([str(i % 10) for i in range(1000)])
    found = [
        modes(labelled([str(i % c) for i in range(1000)]), y, CONTEXT) for c in (10, 9, 7, 4, 1)
    ]
    assert [number(count) for count, _ in found] == [10, 9, 7, 4, 1]
    divergences = [number(kl) for _, kl in found]
    assert divergences == sorted(divergences)
    assert divergences[0] == pytest.approx(0.0, abs=1e-12)
