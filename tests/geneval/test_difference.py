"""Differences: by the right output, with the right pairing, and never of unlike values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from geneval.difference import better_by, difference, interval_of, squared_error
from geneval.resample import quantile
from geneval.result import Result
from geneval.value import Evidence, OutputSpec, Role, Value

QUICK = settings(max_examples=200, deadline=None, database=None, derandomize=True)
MakeValue = Callable[..., Value]
MakeResult = Callable[..., Result]


def se_of(*rows: Any) -> float:
    """The textbook standard error of a sum of independent means."""
    return math.sqrt(sum(np.var(r, ddof=1) / len(r) for r in rows))


# Pairing


def test_unpaired_unless_declared(make_scored: MakeResult, rng: np.random.Generator) -> None:
    """Samples that happen to have the same ids are independent until the suite says they pair."""
    x, y = rng.normal(size=(2, 50))
    found = difference(make_scored(x), make_scored(y), "score")
    assert found.paired is False
    assert found.number == pytest.approx(x.mean() - y.mean(), rel=1e-12)
    assert found.se == pytest.approx(se_of(x, y), rel=1e-12)
    assert found.interval is not None
    assert found.interval.method == "evidence"


def test_paired_by_id(make_scored: MakeResult, rng: np.random.Generator) -> None:
    """With `pair_by: id` the spread is that of the differences, as in the paired t-test."""
    x = rng.normal(size=200)
    y = x + rng.normal(0.1, 0.3, size=200)
    found = difference(make_scored(x, pair_by="id"), make_scored(y, pair_by="id"), "score")
    assert found.paired is True
    assert found.se == pytest.approx(se_of(x - y), rel=1e-12)
    assert found.interval is not None
    assert found.interval.method == "paired evidence"
    assert found.number is not None
    assert found.se is not None
    assert found.number / found.se == pytest.approx(ttest_rel(x, y).statistic, rel=1e-9)
    # normal against t with 199 degrees of freedom: p-values within a few percent here
    assert found.p == pytest.approx(ttest_rel(x, y).pvalue, rel=0.2)


@pytest.mark.parametrize(
    ("mine", "theirs", "ids"),
    [("id", None, None), (None, "id", None), ("id", "id", "other")],
    ids=["one side", "other side", "other samples"],
)
def test_what_does_not_pair(
    make_scored: MakeResult,
    rng: np.random.Generator,
    mine: str | None,
    theirs: str | None,
    ids: str | None,
) -> None:
    """Both suites must declare the pairing, and the ids must be the same."""
    x, y = rng.normal(size=(2, 50))
    names = [f"{ids}{i}" for i in range(50)] if ids else None
    found = difference(
        make_scored(x, pair_by=mine), make_scored(y, pair_by=theirs, ids=names), "score"
    )
    assert found.paired is False
    assert found.se == pytest.approx(se_of(x, y), rel=1e-12)


def test_samples_that_one_side_lacks(make_scored: MakeResult, rng: np.random.Generator) -> None:
    """One sample without a score does not undo the pairing of all the others."""
    shared = rng.normal(size=200)
    x, y = shared + rng.normal(0.1, 0.3, size=200), shared + rng.normal(0, 0.3, size=200)
    names = [f"{i:05d}" for i in range(199)]
    whole = difference(make_scored(x, pair_by="id"), make_scored(y, pair_by="id"), "score")
    found = difference(
        make_scored(x, pair_by="id"), make_scored(y[:199], pair_by="id", ids=names), "score"
    )
    assert found.number == pytest.approx(x.mean() - y[:199].mean(), rel=1e-12)
    assert found.paired is True
    assert found.se == pytest.approx(whole.se, rel=0.1)
    assert found.se < 0.5 * se_of(x, y)


def test_partly_shared_samples_by_simulation(make_scored: MakeResult) -> None:
    """The standard error is the spread of the difference over repetitions, half of it shared."""
    rng, numbers, errors = np.random.default_rng(3), [], []
    names = [f"{i}" for i in range(120)]
    for _ in range(600):
        shared = rng.normal(size=120)
        x, y = (shared + rng.normal(0, 0.5, size=120) for _ in range(2))
        one = make_scored(x[:80], pair_by="id", ids=names[:80])
        found = difference(one, make_scored(y[40:], pair_by="id", ids=names[40:]), "score")
        numbers.append(found.number)
        errors.append(found.se)
    # a standard deviation of 600 draws is known to 1/sqrt(1200) = 2.9 %, three of which are 9 %
    assert float(np.mean(errors)) == pytest.approx(float(np.std(numbers, ddof=1)), rel=0.09)


def test_one_reference_is_always_paired(make_scored: MakeResult, rng: np.random.Generator) -> None:
    """The samples of one reference move both values together and are paired without a word."""
    x, y = rng.normal(size=(2, 50))
    r = rng.normal(size=30)
    s = r + rng.normal(0, 0.01, size=30)
    ids = tuple(f"r{i}" for i in range(30))
    found = difference(
        make_scored(x, reference=Evidence("influence", ids, r)),
        make_scored(y, reference=Evidence("influence", ids, s)),
        "score",
    )
    assert found.paired is False
    assert found.se == pytest.approx(math.hypot(se_of(x, y), se_of(r - s)), rel=1e-12)


@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_covers(make_scored: MakeResult, paired: bool) -> None:
    """The 95 % interval covers the true difference in 95 % of repetitions, paired or not."""
    rng = np.random.default_rng(7)
    covered, repetitions, truth = 0, 400, 0.2
    pair_by = "id" if paired else None
    for _ in range(repetitions):
        shared = rng.normal(size=150) if paired else np.zeros(150)
        x = shared + rng.normal(1.0 + truth, 0.5, size=150)
        y = shared + rng.normal(1.0, 0.8, size=150)
        found = difference(
            make_scored(x, pair_by=pair_by), make_scored(y, pair_by=pair_by), "score"
        )
        assert found.interval is not None
        covered += found.interval.low <= truth <= found.interval.high
    # binomial(400, 0.95): sd 1.1 %; 3 sd below and above
    assert 0.917 <= covered / repetitions <= 0.983


def test_pairing_makes_the_interval_shorter(
    make_scored: MakeResult, rng: np.random.Generator
) -> None:
    """What samples share does not blur the difference when they pair."""
    x = rng.normal(size=100)
    y = x + 0.1
    paired = difference(make_scored(x, pair_by="id"), make_scored(y, pair_by="id"), "score")
    unpaired = difference(make_scored(x), make_scored(y), "score")
    assert paired.se is not None
    assert unpaired.se is not None
    assert paired.se < 1e-6 < unpaired.se
    assert paired.number == pytest.approx(unpaired.number)


# Which output


def fid(make_value: MakeValue, make_result: MakeResult, plain: float, debiased: float) -> Result:
    """A result with a plain and a debiased distance."""
    return make_result(
        [
            make_value("fid", plain, se=0.1, direction="lower", compared_by="debiased"),
            make_value("fid.debiased", debiased, se=0.2, direction="lower"),
        ],
        f"{plain}-{debiased}",
    )


def test_fid_is_compared_by_its_debiased_output(
    make_value: MakeValue, make_result: MakeResult
) -> None:
    """Plain distances have different bias for different models: the debiased ones are compared."""
    one = fid(make_value, make_result, 5.0, 2.5)
    other = fid(make_value, make_result, 4.0, 3.0)
    for address in ("fid", "fid.debiased", "debiased"):
        found = difference(one, other, address)
        assert found.address == "fid.debiased"
        assert found.number == pytest.approx(-0.5)
        # no evidence here, so the errors of both intervals add: 0.2 * sqrt(2)
        assert found.se == pytest.approx(0.2 * math.sqrt(2))


@pytest.mark.parametrize("side", [0, 1])
def test_a_debiased_output_that_failed(
    make_value: MakeValue, make_result: MakeResult, side: int
) -> None:
    """Where the output for comparisons has a problem there is no difference: never the plain."""
    whole = fid(make_value, make_result, 5.0, 2.5)
    broken = make_result(
        [
            make_value("fid", 4.0, se=0.1, direction="lower", compared_by="debiased"),
            make_value("fid.debiased", problem="no blocks", direction="lower"),
        ],
        "broken",
    )
    pair = (whole, broken) if side else (broken, whole)
    found = difference(*pair, "fid")
    assert found.number is None
    assert found.problem == "broken: no blocks"


# What is never compared


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"ref": "77" * 32}, "ref 9f3a9f3a ≠ 77777777"),
        ({"ext": "inception-v3"}, "ext digits ≠ inception-v3"),
        ({"v": 2}, "v 1 ≠ 2"),
        ({"n": 98}, "n 100 ≠ 98"),
        ({"alpha": "white"}, "alpha none ≠ white"),
    ],
)
def test_unequal_signatures(
    make_value: MakeValue, make_result: MakeResult, fields: dict[str, Any], told: str
) -> None:
    """A field that differs forbids the difference and is named with both values."""
    one = make_result([make_value("score", 1.0, se=0.1)], "one")
    other = make_result([make_value("score", 2.0, se=0.1, fields=fields)], "other")
    found = difference(one, other, "score")
    assert (found.number, found.interval, found.p) == (None, None, None)
    assert found.problem == f"not comparable, the signatures differ: {told}"


def test_n_within_one_percent(make_value: MakeValue, make_result: MakeResult) -> None:
    """99 of 100 samples compare, unless the metric asks for the same n."""
    one = make_result([make_value("score", 1.0)])
    close = make_result([make_value("score", 2.0, fields={"n": 99})])
    exact = make_result([make_value("score", 2.0, fields={"n": 99}, exact_n=True)])
    assert difference(one, close, "score").number == -1.0
    problem = difference(one, exact, "score").problem
    assert problem is not None
    assert "n 100 ≠ 99" in problem


@pytest.mark.parametrize("side", [0, 1])
def test_partial_results(make_value: MakeValue, make_result: MakeResult, side: int) -> None:
    """A run with --limit is never compared, on either side."""
    whole = make_result([make_value("score", 1.0)], "whole")
    partial = make_result([make_value("score", 1.0)], "cut", partial=50)
    found = difference(*((whole, partial) if side else (partial, whole)), "score")
    assert found.number is None
    assert found.problem == "cut is partial (--limit 50)"


@pytest.mark.parametrize("side", [0, 1])
def test_values_with_a_problem(make_value: MakeValue, make_result: MakeResult, side: int) -> None:
    """A value with a problem has no difference, and the problem is told with its owner."""
    whole = make_result([make_value("score", 1.0)], "whole")
    broken = make_result([make_value("score", problem="too few samples")], "broken")
    found = difference(*((whole, broken) if side else (broken, whole)), "score")
    assert found.number is None
    assert found.problem == "broken: too few samples"


def test_an_absent_value(make_value: MakeValue, make_result: MakeResult) -> None:
    """An address that one side lacks is a `KeyError` with a sentence."""
    one = make_result([make_value("score", 1.0)])
    other = make_result([make_value("other", 1.0)])
    with pytest.raises(KeyError, match="unknown address 'score'"):
        difference(one, other, "score")


# Without evidence


def test_a_value_without_interval(make_value: MakeValue, make_result: MakeResult) -> None:
    """Without evidence and interval there is a difference, but no interval and no p-value."""
    one, other = (make_result([make_value("score", number)]) for number in (3.0, 1.0))
    found = difference(one, other, "score")
    assert found.number == 2.0
    assert (found.se, found.interval, found.p, found.problem) == (None, None, None, None)


def test_one_side_without_interval(make_value: MakeValue, make_result: MakeResult) -> None:
    """One known error is not two: the difference has no interval."""
    one = make_result([make_value("score", 3.0, se=0.1)])
    other = make_result([make_value("score", 1.0)])
    assert difference(one, other, "score").interval is None
    assert difference(other, one, "score").interval is None


def test_evidence_lost_on_one_side(
    make_scored: MakeResult, make_value: MakeValue, make_result: MakeResult
) -> None:
    """Where one side's evidence is gone the intervals serve, unpaired."""
    x = np.linspace(0, 1, 50)
    whole = make_scored(x, pair_by="id")
    lost = Result(whole.document, {})
    found = difference(whole, lost, "score")
    assert found.paired is False
    assert found.se == pytest.approx(se_of(x, x), rel=1e-9)


@pytest.mark.parametrize("n", [1, 2])
def test_very_few_samples(make_scored: MakeResult, n: int) -> None:
    """One sample a side has no spread: that is no interval or a problem, never a crash."""
    one = make_scored(np.zeros(n), value={"se": 0.1})
    other = make_scored(np.ones(n), value={"se": 0.1})
    found = difference(one, other, "score")
    assert found.se is None or math.isfinite(found.se)
    assert found.problem or found.number == -1.0


def test_no_spread_is_no_certainty(make_scored: MakeResult) -> None:
    """8 of 8 against 8 of 8 leave a difference open; the same data twice do not."""
    value = {"se": 0.1, "inputs": "a"}
    one, same = (make_scored(np.ones(8), value=value) for _ in range(2))
    other = make_scored(np.ones(8), value={**value, "inputs": "b"})
    assert (difference(one, same, "score").se, difference(one, same, "score").p) == (0.0, 1.0)
    found = difference(one, other, "score")
    assert found.se == pytest.approx(0.1 * math.sqrt(2))  # from the two intervals


# Arithmetic


def test_level(make_scored: MakeResult, rng: np.random.Generator) -> None:
    """The interval has the level asked for, around the same number."""
    one, other = make_scored(rng.normal(size=50)), make_scored(rng.normal(size=50))
    narrow = difference(one, other, "score", 0.8).interval
    wide = difference(one, other, "score", 0.99).interval
    assert narrow is not None
    assert wide is not None
    assert (narrow.level, wide.level) == (0.8, 0.99)
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(
        quantile(0.99) / quantile(0.8)
    )


@QUICK
@given(st.floats(-100, 100), st.floats(0.001, 100), st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_and_p_agree(number: float, se: float, level: float) -> None:
    """P is below 1 - level exactly when the interval does not hold 0."""
    found = interval_of("score", number, se, level, paired=False)
    assert found.interval is not None
    assert found.p is not None
    holds = found.interval.low <= 0 <= found.interval.high
    close = abs(abs(number) / se - quantile(level)) < 1e-9
    assert close or holds == (found.p > 1 - level)


@pytest.mark.parametrize(("number", "p"), [(0.0, 1.0), (1e-9, 0.0), (-3.0, 0.0)])
def test_no_spread_at_all(number: float, p: float) -> None:
    """Without any spread a difference is certain, and no difference is certain too."""
    assert interval_of("score", number, 0.0, 0.95, paired=True).p == p


def test_turning_it_round(make_scored: MakeResult, rng: np.random.Generator) -> None:
    """A - b is minus b - a, with the same error and p-value."""
    one = make_scored(rng.normal(size=50))
    other = make_scored(rng.normal(size=50))
    there, back = (difference(*pair, "score") for pair in ((one, other), (other, one)))
    assert there.number is not None
    assert back.number is not None
    assert there.number == pytest.approx(-back.number, rel=1e-12)
    assert (there.se, there.p) == (pytest.approx(back.se), pytest.approx(back.p))


def test_a_result_and_itself(make_scored: MakeResult, rng: np.random.Generator) -> None:
    """A result differs from itself by nothing."""
    one = make_scored(rng.normal(size=50), pair_by="id")
    found = difference(one, one, "score")
    assert (found.number, found.se, found.p) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(("direction", "better"), [("higher", 0.5), ("lower", -0.5)])
def test_better_by(direction: Any, better: float) -> None:
    """An improvement is positive whichever way the output goes."""
    assert better_by(OutputSpec("score", direction), 0.5) == better


def test_squared_error(make_value: MakeValue) -> None:
    """The error of a value is read off its interval."""
    squared = squared_error(make_value("score", 1.0, se=0.25))
    assert squared == pytest.approx(0.0625)
    assert squared_error(make_value("score", 1.0)) is None


def test_evidence_of_one_role_only(make_scored: MakeResult, rng: np.random.Generator) -> None:
    """Evidence of different roles on the two sides is not mixed: the intervals serve."""
    x = rng.normal(size=50)
    one = make_scored(x, reference=Evidence("influence", ("r1", "r2"), np.array([9.0, -9.0])))
    other = make_scored(x)
    found = difference(one, other, "score")
    assert found.se == pytest.approx(se_of(x, x), rel=1e-9)
    assert Role.REFERENCE in one.evidence(one["score"])
