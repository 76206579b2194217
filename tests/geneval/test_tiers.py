"""Tiers: what a difference among many says, and the n that would decide."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import ttest_ind_from_stats

from geneval.compare import Comparison, compare, from_json, to_json
from geneval.difference import Difference, difference, interval_of
from geneval.errors import UsageError
from geneval.result import Result
from geneval.tiers import tiers
from geneval.value import OutputSpec, Value

MakeValue = Callable[..., Value]
MakeResult = Callable[..., Result]
HIGHER, LOWER, TARGET = (OutputSpec("score", d) for d in ("higher", "lower", "target"))  # type: ignore[arg-type]


def apart(number: float, se: float = 1.0, address: str = "score") -> Difference:
    """A difference with this standard error, from 100 samples a side."""
    found = interval_of(address, number, se, 0.95)
    needed = math.ceil(100 * ((1.959964 + 0.841621) * se / abs(number)) ** 2) if number else None
    return Difference(address, number, se, found.interval, p=found.p, n=100, needed=needed)


@pytest.mark.parametrize(
    ("number", "spec", "margin", "tier", "needed"),
    [
        # alone: 1.96 standard errors are significant at 5 %
        (-1.97, HIGHER, None, "regression", None),
        (1.97, LOWER, None, "regression", None),
        (1.97, HIGHER, None, "improvement", None),
        (-1.97, LOWER, None, "improvement", None),
        (1.97, TARGET, None, "different", None),
        # (1.959964 + 0.841621)² = 7.8489 standard errors squared for 80 % power
        (-1.95, HIGHER, None, "no evidence", 207),
        (1.0, HIGHER, None, "no evidence", 785),
        (0.0, HIGHER, None, "no evidence", None),
        # within the margin by two one-sided tests: 1.644854 standard errors inside it
        (0.3, HIGHER, 1.95, "equivalent", None),
        (-0.3, TARGET, 1.95, "equivalent", None),
        (-2.0, HIGHER, 3.7, "equivalent", None),
        # a difference of 2.8016 standard errors is seen with 80 % power
        (0.3, HIGHER, 1.94, "insufficient data", 228),
        (0.3, HIGHER, 0.0, "insufficient data", None),
        (1.9, HIGHER, 2.81, "no evidence", 218),
        (1.9, HIGHER, 2.79, "insufficient data", 111),
        (-1.97, HIGHER, 3.0, "regression", None),
    ],
)
def test_a_difference_alone(
    number: float, spec: OutputSpec, margin: float | None, tier: str, needed: int | None
) -> None:
    """What matters is shown, excluded or open, and what is open says how many samples it takes.

    For a margin: 100·((1.644854 + 1.281552)/margin)² to show equal entries equivalent with 80 %.
    """
    (found,) = tiers([apart(number)], [spec], [margin])
    assert (found.tier, found.needed) == (tier, needed)


def test_one_worse_value_among_many_is_likely_only() -> None:
    """Holm over ten values asks for p < 0.005; what is worse at 5 % alone is told apart."""
    numbers = [-2.5, -2.9, *([0.1] * 8)]  # p = 0.012 and 0.0037
    found = tiers(
        [apart(n, address=f"score{i}") for i, n in enumerate(numbers)], [HIGHER] * 10, [None] * 10
    )
    assert [one.tier for one in found[:3]] == ["likely regression", "regression", "no evidence"]
    assert found[0].needed == 126
    better = tiers(
        [apart(2.5, address="a"), *(apart(0.1, address=f"{i}") for i in range(9))],
        [HIGHER] * 10,
        [None] * 10,
    )
    assert better[0].tier == "no evidence"  # an improvement must be shown


def test_values_compared_by_the_same_output_count_once() -> None:
    """`fid` and `fid.debiased` are one difference: p = 0.049 would not survive a family of two."""
    one = apart(-1.97, address="fid.debiased")
    assert [found.tier for found in tiers([one, one], [HIGHER] * 2, [None] * 2)] == [
        "regression",
        "regression",
    ]
    other = apart(-1.97, address="kid")
    assert [found.tier for found in tiers([one, other], [HIGHER] * 2, [None] * 2)] == [
        "likely regression",
        "likely regression",
    ]


def test_what_was_not_compared_has_no_tier() -> None:
    """The entry compared with, and problems; without a standard error there is too little data."""
    problem, bare = Difference("score", problem="signatures"), Difference("score", 1.0)
    found = tiers([None, problem, bare], [HIGHER] * 3, [None] * 3)
    assert [(one.tier, one.needed) for one in found] == [
        (None, None),
        (None, None),
        ("insufficient data", None),
    ]


# Sizes of differences


def test_the_effect_of_means_is_cohens_d(make_scored: MakeResult, rng: np.random.Generator) -> None:
    """The difference of means in pooled standard deviations, paired or not."""
    x, y = rng.normal(0, 2, size=(2, 50))
    pooled = math.sqrt((x.var(ddof=1) + y.var(ddof=1)) / 2)
    for pair_by in (None, "id"):
        found = difference(
            make_scored(x, pair_by=pair_by), make_scored(y, pair_by=pair_by), "score"
        )
        assert found.effect == pytest.approx((x.mean() - y.mean()) / pooled)
        assert found.n == 50


def test_the_needed_n_gives_the_power(make_scored: MakeResult, rng: np.random.Generator) -> None:
    """At the n that is named the same difference has p at the 80 % quantile of its test."""
    x, y = rng.normal(0.3, 1, size=60), rng.normal(0, 1, size=60)
    found = difference(make_scored(x), make_scored(y), "score")
    assert found.needed is not None
    n = found.needed
    told = ttest_ind_from_stats(x.mean(), x.std(ddof=1), n, y.mean(), y.std(ddof=1), n)
    # the statistic is then z₀.₉₇₅ + z₀.₈ = 2.801585
    assert abs(told.statistic) == pytest.approx(2.801585, rel=0.01)


@pytest.mark.parametrize("scores", [[1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])
def test_no_difference_has_no_size(make_scored: MakeResult, scores: list[float]) -> None:
    """Equal values need no n to be told apart, since no n would."""
    found = difference(make_scored(scores), make_scored(scores), "score")
    assert (found.needed, found.effect) == (None, None)


# In a comparison


def compared(make_value: MakeValue, make_result: MakeResult, margin: str | None) -> Comparison:
    """Two entries: fid 10 % worse, score 1 % worse; both known to 1 % each."""
    entries = [
        make_result(
            [
                make_value("fid", 50 * fid, se=5.0, direction="lower", compared_by="debiased"),
                make_value("fid.debiased", fid, se=0.01, direction="lower"),
                make_value("score", score, se=0.001),
            ],
            name,
        )
        for name, fid, score in (("a", 1.0, 1.0), ("b", 1.1, 0.99))
    ]
    return compare(entries, margin=margin)


def test_tiers_of_a_comparison(make_value: MakeValue, make_result: MakeResult) -> None:
    """A relative margin is a share of the value compared; the entry compared with has no tier."""
    for margin, expected in (
        (None, ["regression"] * 3),
        ("2%", ["regression", "regression", "equivalent"]),
        ("20%", ["equivalent"] * 3),
    ):
        found = compared(make_value, make_result, margin)
        assert [row.cells[1].tier for row in found.rows] == expected
        assert [row.cells[0].tier for row in found.rows] == [None] * 3
        assert from_json(to_json(found)) == found


@pytest.mark.parametrize("margin", ["-5%", "lots", math.nan, -1.0])
def test_margins_are_read_as_in_gates(
    make_value: MakeValue, make_result: MakeResult, margin: str
) -> None:
    """A margin that is none is refused."""
    with pytest.raises(UsageError, match="margin"):
        compared(make_value, make_result, margin)
