"""Comparisons: ranks with ties, replicates, trends, and nothing that does not compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from geneval.compare import Comparison, Row, compare, from_json, to_json
from geneval.difference import interval_of
from geneval.errors import UsageError
from geneval.replicates import between_replicates
from geneval.result import Result
from geneval.value import Value

MakeValue = Callable[..., Value]
MakeResult = Callable[..., Result]
Named = Callable[..., Result]


@pytest.fixture
def named(make_value: MakeValue, make_result: MakeResult) -> Named:
    """Build a result with one value and its standard error."""

    def build(name: str, number: float | None, se: float | None = 0.1, **more: Any) -> Result:
        described = {k: more.pop(k) for k in ("direction", "fields", "problem") if k in more}
        return make_result([make_value("score", number, se=se, **described)], name, **more)

    return build


def row(comparison: Comparison, address: str = "score") -> Row:
    """The row of an address."""
    return next(row for row in comparison.rows if row.address == address)


def ranks(comparison: Comparison, address: str = "score") -> dict[str, int | None]:
    """The rank of every entry at an address."""
    cells = row(comparison, address).cells
    return {e.name: c.rank for e, c in zip(comparison.entries, cells, strict=True)}


def outcomes(comparison: Comparison, address: str = "score") -> dict[str, str | None]:
    """The outcome of every entry at an address."""
    cells = row(comparison, address).cells
    return {e.name: c.outcome for e, c in zip(comparison.entries, cells, strict=True)}


# Ranks and outcomes


def test_ranks_with_ties(named: Named) -> None:
    """Whoever is not distinguished from the best shares its rank; the next rank counts on."""
    # errors of a difference are 0.1 * sqrt(2): 0.1 is no difference, 1 is
    comparison = compare([named(n, v) for n, v in (("a", 1.0), ("b", 2.0), ("c", 2.1), ("d", 0.0))])
    assert ranks(comparison) == {"c": 1, "b": 1, "a": 3, "d": 4}
    assert outcomes(comparison) == {"a": None, "b": "better", "c": "better", "d": "worse"}


@pytest.mark.parametrize(("direction", "first"), [("higher", "b"), ("lower", "a")])
def test_direction_decides(named: Named, direction: str, first: str) -> None:
    """The best is the highest or the lowest, as the output says."""
    comparison = compare(
        [named("a", 1.0, direction=direction), named("b", 2.0, direction=direction)]
    )
    assert ranks(comparison)[first] == 1
    assert outcomes(comparison)["b"] == ("better" if first == "b" else "worse")


@pytest.mark.parametrize(
    ("number", "se", "told"),
    [
        (0.9, 0.1, "different"),
        (0.2, 0.1, "not distinguished"),
        (0.9, None, "not tested"),
        (0.1, None, "not distinguished"),
    ],
)
def test_a_target_has_no_best(named: Named, number: float, se: float | None, told: str) -> None:
    """An output that is neither better high nor low has no ranks and no winners."""
    comparison = compare(
        [named(n, v, se=se, direction="target") for n, v in (("a", 0.1), ("b", number))]
    )
    assert ranks(comparison) == {"a": None, "b": None}
    assert outcomes(comparison)["b"] == told
    assert comparison.findings == ()


def test_against_another_entry(named: Named) -> None:
    """Differences are against the entry that is named, else the first."""
    results = [named(n, v) for n, v in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    assert compare(results).against == 0
    comparison = compare(results, "b")
    assert outcomes(comparison) == {"a": "worse", "b": None, "c": "better"}
    cells = row(comparison).cells
    assert cells[0].difference is not None
    assert cells[0].difference.number == pytest.approx(-1.0)
    assert cells[1].difference is None


@pytest.fixture
def twenty(named: Named) -> list[Result]:
    """Nineteen equal models and one that is better by chance."""
    # z = 0.3 / (0.1 * sqrt(2)) = 2.12, p = 0.034 alone and 0.65 among nineteen
    equal = [named(f"same{letter}", i * 1e-6) for i, letter in enumerate("abcdefghijklmnopqrs")]
    return [*equal, named("lucky", 0.3)]


def test_many_entries_are_guarded(twenty: list[Result]) -> None:
    """One of twenty entries that differs by chance is no winner: Holm over the entries."""
    assert outcomes(compare([twenty[0], twenty[-1]]))["lucky"] == "better"
    assert outcomes(compare(twenty))["lucky"] == "not distinguished"


def test_ranks_of_many_entries_are_guarded(twenty: list[Result]) -> None:
    """Entries that the comparison does not distinguish share a rank: no false ranks by chance."""
    assert set(ranks(compare(twenty)).values()) == {1}


def test_equal_numbers_without_interval(named: Named) -> None:
    """Without intervals nothing is tested, so nothing is better, worse or ranked."""
    comparison = compare([named(n, v, se=None) for n, v in (("a", 1.0), ("b", 1.0), ("c", 2.0))])
    assert ranks(comparison) == {"a": None, "b": None, "c": None}
    assert outcomes(comparison) == {"a": None, "b": "not distinguished", "c": "not tested"}
    assert comparison.findings == ()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"fields": {"ref": "77" * 32}}, "signatures differ: ref"),
        ({"partial": 50}, "b is partial"),
        ({"problem": "too few samples"}, "too few samples"),
    ],
)
def test_what_does_not_compare_has_no_rank(named: Named, other: dict[str, Any], told: str) -> None:
    """A value that must not be compared is told as a problem and ranked nowhere."""
    number = None if "problem" in other else 5.0
    comparison = compare([named("a", 1.0), named("b", number, **other)])
    assert outcomes(comparison)["b"] == "not comparable"
    (problem,) = comparison.problems
    assert problem.startswith("score of b: ")
    assert told in problem
    assert ranks(comparison)["b"] is None


def test_ranks_agree_with_outcomes(make_value: MakeValue, make_result: MakeResult) -> None:
    """Ranks of `fid` follow the debiased differences like its outcomes, not the plain numbers."""

    def build(name: str, plain: float, debiased: float) -> Result:
        return make_result(
            [
                make_value("fid", plain, se=0.01, direction="lower", compared_by="debiased"),
                make_value("fid.debiased", debiased, se=0.01, direction="lower"),
            ],
            name,
        )

    comparison = compare([build("a", 3.0, 2.0), build("b", 3.5, 1.0)])
    assert outcomes(comparison, "fid")["b"] == "better"
    assert ranks(comparison, "fid") == ranks(comparison, "fid.debiased") == {"a": 2, "b": 1}


def test_nobody_comparable_means_nobody_first(named: Named) -> None:
    """Two entries that cannot be compared have no ranks and no winner."""
    comparison = compare([named("a", 1.0, fields={"ref": "x"}), named("b", 2.0)])
    assert ranks(comparison) == {"a": None, "b": None}
    assert comparison.findings == ()


def test_findings_name_the_winner(named: Named, make_value: MakeValue) -> None:
    """The finding counts how often an entry is first, alone or tied."""
    comparison = compare([named("a", 1.0), named("b", 2.0)])
    assert comparison.findings == ("b is first or tied for first in 1 of 1 values",)
    tied = compare([named("a", 2.0), named("b", 2.001)])
    assert tied.findings == ("a and b tie: each is first or tied for first in 1 of 1 values",)


def test_a_value_that_one_lacks(
    named: Named, make_value: MakeValue, make_result: MakeResult
) -> None:
    """An address that only one entry has is a row in which the other was not evaluated."""
    more = make_result([make_value("score", 2.0), make_value("extra", 1.0)], "more")
    comparison = compare([named("less", 1.0), more])
    cells = row(comparison, "extra").cells
    assert (cells[0].number, cells[0].problem) == (None, "not evaluated")
    assert cells[1].outcome == "not comparable"


# Replicates


def test_replicates_are_one_entry(named: Named) -> None:
    """Training seeds of one model make one entry: the mean, with the interval of their spread."""
    numbers = [1.0, 1.2, 1.4]
    seeds = [named(f"model-seed{i}", v, seed=i) for i, v in enumerate(numbers)]
    comparison = compare([named("base", 0.0), *seeds])
    assert [entry.name for entry in comparison.entries] == ["base", "model"]
    assert len(comparison.entries[1].digests) == 3
    cell = row(comparison).cells[1]
    assert cell.number == pytest.approx(1.2)
    assert cell.interval is not None
    # Student's interval of a mean of three, sd 0.2
    half = t.ppf(0.975, 2) * 0.2 / np.sqrt(3)
    assert cell.interval.high - 1.2 == pytest.approx(half)
    assert cell.interval.method == "3 replicates"


def test_replicates_hold_training_noise(named: Named) -> None:
    """Two models of three seeds each differ by the spread between seeds, not within one."""

    def seeds(name: str, numbers: list[float]) -> list[Result]:
        return [named(f"{name}_seed_{i}", v, se=1e-6, seed=i) for i, v in enumerate(numbers)]

    comparison = compare([*seeds("a", [1.0, 2.0, 3.0]), *seeds("b", [1.5, 2.5, 3.5])])
    assert [entry.name for entry in comparison.entries] == ["a", "b"]
    assert outcomes(comparison)["b"] == "not distinguished"
    found = row(comparison).cells[1].difference
    assert found is not None
    assert found.number == pytest.approx(0.5)
    # two means of three with variance 1: sqrt(1/3 + 1/3)
    assert found.se == pytest.approx(np.sqrt(2 / 3))


def test_replicates_against_a_single_run(named: Named) -> None:
    """A single run stands for one more draw of the replicates' spread, whatever its own error."""
    seeds = [named(f"m-seed{i}", float(i), seed=i) for i in (1, 2, 3)]
    found = row(compare([named("base", 0.0, se=None), *seeds])).cells[1].difference
    assert found is not None
    assert found.interval is not None
    # prediction of one draw by three: s² (1 + 1/3) with s² = 1 and two degrees of freedom
    assert (found.number, found.se) == (2.0, pytest.approx(np.sqrt(4 / 3)))
    assert found.interval.high - 2.0 == pytest.approx(t.ppf(0.975, 2) * np.sqrt(4 / 3))
    assert found.p == pytest.approx(2 * t.sf(2.0 / np.sqrt(4 / 3), 2))


@pytest.mark.parametrize("counts", [(2, 2), (3, 3), (5, 5), (1, 3)])
def test_few_replicates_raise_no_false_alarms(counts: tuple[int, int]) -> None:
    """Of 2,000 pairs of equal models, at most the 5 % (and three standard errors) differ."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(2000):
        a, b = (rng.normal(size=k).tolist() for k in counts)
        squared, freedom = between_replicates(a, b)
        found = interval_of(
            "score", np.mean(a) - np.mean(b), np.sqrt(squared), 0.95, freedom=freedom
        )
        alarms += found.p is not None and found.p < 0.05
    assert alarms / 2000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_a_model_and_its_seeds_are_not_one_entry(named: Named) -> None:
    """A run without a seed is no replicate of those that have one."""
    comparison = compare([named("m", 1.0), named("m-seed1", 9.0, seed=1)])
    assert len(comparison.entries) == 2


@pytest.mark.parametrize(
    ("names", "entry"),
    [
        (["m-seed1", "m-seed2"], "m"),
        (["m_seed-1", "m_seed-2"], "m"),
        (["m.seed1-step10", "m.seed2-step10"], "m-step10"),
        (["seed1", "seed2"], ""),
    ],
)
def test_names_of_replicates(named: Named, names: list[str], entry: str) -> None:
    """The seed in a name is what tells replicates apart, wherever it stands."""
    results = [named(name, i, seed=i + 1) for i, name in enumerate(names)]
    comparison = compare([named("base", 0.0), *results])
    assert len(comparison.entries) == 2
    assert entry in comparison.entries[1].name


def test_a_seed_in_the_name_alone_is_a_name(named: Named) -> None:
    """Samples whose folder is called seed7 are not a checkpoint's replicates."""
    comparison = compare([named("m-seed1", 1.0), named("m-seed2", 2.0)])
    assert [entry.name for entry in comparison.entries] == ["m-seed1", "m-seed2"]


def test_one_replicate_that_failed(named: Named) -> None:
    """A mean of some replicates is not the mean of all: the cell has the problem."""
    results = [
        named("m-seed1", 1.0, seed=1),
        named("m-seed2", None, seed=2, problem="too few samples"),
    ]
    comparison = compare([named("base", 0.0), *results])
    cell = row(comparison).cells[1]
    assert (cell.number, cell.problem) == (None, "too few samples")
    assert (cell.outcome, cell.rank) == ("not comparable", None)


# Trend


def steps(named: Named, numbers: list[float], **more: Any) -> Comparison:
    """A comparison of checkpoints at steps 10, 2, 30, 40… in an order that is not theirs."""
    at = [10, 2, *range(30, 30 + 10 * len(numbers), 10)][: len(numbers)]
    order = sorted(range(len(at)), key=lambda i: at[i])
    values = dict(zip([at[i] for i in order], numbers, strict=True))
    return compare([named(f"m-{step}", values[step], step=step, **more) for step in at])


@pytest.mark.parametrize(
    ("numbers", "direction", "told"),
    [
        ([3.0, 2.0, 1.0], "lower", "score improves from step 2 to step 30: -2 "),
        ([3.0, 2.0, 1.0], "higher", "score worsens from step 2 to step 30: -2 "),
        ([1.0, 2.0, 3.0, 4.0], "higher", "score improves from step 2 to step 40: +3 "),
    ],
)
def test_trend_over_steps(named: Named, numbers: list[float], direction: str, told: str) -> None:
    """Three or more steps have a trend, from the lowest step to the highest, with its interval."""
    comparison = steps(named, numbers, direction=direction)
    (trend,) = (r.trend for r in comparison.rows)
    assert trend.startswith(told)
    assert "[" in trend
    assert trend in comparison.findings


@pytest.mark.parametrize(
    ("numbers", "direction"),
    [([3.0, 1.0], "lower"), ([1.0, 9.0, 1.05], "lower"), ([1.0, 2.0, 3.0], "target")],
    ids=["two steps", "no difference", "target"],
)
def test_no_trend(named: Named, numbers: list[float], direction: str) -> None:
    """Two steps, ends that do not differ, or an output without a best side make no trend."""
    assert row(steps(named, numbers, direction=direction)).trend == ""


# What is refused


def test_the_same_result_twice(named: Named) -> None:
    """A result given twice, as by a glob over two runs of it, counts once, with a note."""
    comparison = compare([named("a", 1.0), named("b", 2.0), named("a", 1.0)])
    assert [entry.name for entry in comparison.entries] == ["a", "b"]
    assert comparison.notes == ("1 of the results are the same as another and count once",)


def test_the_same_result_from_two_runs(named: Named) -> None:
    """When and where it was evaluated does not make it another result."""
    with pytest.raises(UsageError, match="two or more different results"):
        compare([named("a", 1.0), named("a", 1.0, provenance={"host": "other"})])


def test_one_name_for_two_results(named: Named) -> None:
    """Two results of one name are two entries, told apart by their digests."""
    results = [named("a", 1.0), named("a", 2.0), named("b", 3.0)]
    names = [entry.name for entry in compare(results).entries]
    assert names == [
        f"a@{results[0].document.digest[:8]}",
        f"a@{results[1].document.digest[:8]}",
        "b",
    ]


def test_one_seed_twice_is_no_replicate(named: Named) -> None:
    """The same seed evaluated twice on other samples is not two training runs."""
    results = [named("m-seed1", 1.0, seed=1), named("m-seed1", 1.1, seed=1)]
    assert len(compare(results).entries) == 2


def test_one_result_alone(named: Named) -> None:
    """A comparison takes two."""
    with pytest.raises(UsageError, match="two or more"):
        compare([named("a", 1.0)])


def test_different_suites(named: Named) -> None:
    """Results of different suites have no common rows by right."""
    with pytest.raises(UsageError, match="different suites cannot be compared") as caught:
        compare([named("a", 1.0, suite="one"), named("b", 1.0, suite="two")])
    assert "one" in str(caught.value)
    assert "two" in str(caught.value)


def test_versions_of_a_suite_are_noted(named: Named) -> None:
    """One suite in two versions compares value by value, and says so."""
    results = [named("a", 1.0), named("b", 2.0, suite_document={"seed": 1})]
    assert compare(results).notes == ("the results come from suites that differ in seed",)
    assert compare([named("a", 1.0), named("b", 2.0)]).notes == ()


def test_against_a_stranger(named: Named) -> None:
    """`--against` names one of the entries."""
    with pytest.raises(UsageError, match="--against c: the results are of a, b"):
        compare([named("a", 1.0), named("b", 1.0)], "c")


def test_json_round_trip(named: Named) -> None:
    """A comparison written as strict JSON reads back equal."""
    comparison = steps(named, [1.0, 2.0, 3.0])
    content = json.loads(json.dumps(to_json(comparison), allow_nan=False))
    assert from_json(content) == comparison
    assert from_json(content).findings == comparison.findings


def test_replicates_without_spread_are_no_certainty(named: Named) -> None:
    """Two pairs of equal runs differ by what rounding leaves open: that is not tested."""
    results = [
        named(f"{model}-seed{i}", number, seed=i)
        for model, number in (("a", 1.0), ("b", 0.999))
        for i in (1, 2)
    ]
    assert outcomes(compare(results))["b"] == "not tested"
