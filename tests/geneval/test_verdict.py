"""Verdicts: pass only what is shown to hold, and fail closed in every other case."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.errors import ExitCode, UsageError
from geneval.gate import Gate, Waiver
from geneval.resample import quantile
from geneval.result import Result, write_result
from geneval.run import Outcome
from geneval.suite import Suite
from geneval.value import Interval, Role, Value
from geneval.verdict import (
    Judgement,
    Status,
    Verdict,
    judge,
    judgement_json,
    load_baselines,
    load_judgement,
    write_judgement,
)

QUICK = settings(max_examples=200, deadline=None, database=None, derandomize=True)
MakeValue = Callable[..., Value]
MakeResult = Callable[..., Result]
MakeGates = Callable[..., tuple[Gate, ...]]
Rule = str | dict[str, Any]
finite = st.floats(-1e6, 1e6)


@pytest.fixture(scope="session")
def judged(make_gates: MakeGates) -> Callable[..., Judgement]:
    """Judge rules on a result against one baseline called `last`, or baselines by name."""

    def build(
        result: Result,
        *rules: Rule,
        last: Result | str | None = None,
        baselines: Mapping[str, Result | str] | None = None,
    ) -> Judgement:
        named = dict(baselines or {})
        if last is not None:
            named["last"] = last
        return judge(make_gates(rules, result, [*named, "last"]), result, named)

    return build


Judged = Callable[..., Judgement]


def only(judgement: Judgement) -> Verdict:
    """The only verdict."""
    (verdict,) = judgement.verdicts
    return verdict


# Limits


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        ("score <= 1", "PASS"),
        ("score < 1", "FAIL"),
        ("score >= 1", "PASS"),
        ("score > 1", "FAIL"),
        ("score <= 0.9999999", "FAIL"),
        ("score >= 1.0000001", "FAIL"),
        ("score < 1.0000001", "PASS"),
        ("score > 0.9999999", "PASS"),
    ],
)
def test_limits_on_the_point(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, rule: str, status: str
) -> None:
    """A limit is met at the limit itself, unless the rule is strict; direction plays no part."""
    for direction in ("higher", "lower", "target"):
        verdict = only(judged(make_result([make_value("score", 1.0, direction=direction)]), rule))
        assert verdict.status == status
        assert (verdict.number, verdict.limit, verdict.baseline) == (1.0, verdict.gate.limit, None)


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        ({"at_most": 2.0}, "PASS"),
        ({"at_most": 1.1}, "FAIL"),
        ({"at_least": 0.0}, "PASS"),
        ({"at_least": 0.9}, "FAIL"),
        # 1 ± 1.959964 * 0.5 is [0.020018, 1.979982]
        ({"at_most": 1.979982}, "PASS"),
        ({"at_most": 1.97998}, "FAIL"),
        ({"at_least": 0.020018}, "PASS"),
        ({"at_least": 0.02002}, "FAIL"),
    ],
)
def test_limits_on_the_interval(
    make_value: MakeValue,
    make_result: MakeResult,
    judged: Judged,
    rule: dict[str, Any],
    status: str,
) -> None:
    """With `judge: interval` the far end of the interval must clear the limit, not the point."""
    result = make_result([make_value("score", 1.0, se=0.5)])
    assert only(judged(result, {"value": "score", "judge": "interval", **rule})).status == status


@QUICK
@given(finite, finite, finite, st.sampled_from(["<=", "<", ">=", ">"]))
def test_a_limit_is_monotone(
    make_value: MakeValue,
    make_result: MakeResult,
    judged: Judged,
    number: float,
    better: float,
    limit: float,
    sign: str,
) -> None:
    """What passes still passes with a better number or a looser limit."""
    upper = sign.startswith("<")
    low, high = sorted([number, better])
    worse_result, better_result = (
        make_result([make_value("score", n)]) for n in ((high, low) if upper else (low, high))
    )
    rule = f"score {sign} {limit!r}"
    if only(judged(worse_result, rule)).status is Status.PASS:
        assert only(judged(better_result, rule)).status is Status.PASS
        looser = limit + 1 if upper else limit - 1
        assert only(judged(worse_result, f"score {sign} {looser!r}")).status is Status.PASS


@QUICK
@given(finite, st.floats(0.001, 100), finite, st.sampled_from(["at_least", "at_most"]))
def test_the_interval_is_stricter_than_the_point(
    make_value: MakeValue,
    make_result: MakeResult,
    judged: Judged,
    number: float,
    se: float,
    limit: float,
    kind: str,
) -> None:
    """Whatever passes on the interval passes on the point."""
    result = make_result([make_value("score", number, se=se)])
    point, whole = judged(
        result,
        {"value": "score", kind: limit},
        {"value": "score", kind: limit, "judge": "interval"},
    ).verdicts
    assert whole.status is not Status.PASS or point.status is Status.PASS


# Against a baseline: the point


@pytest.mark.parametrize(
    ("direction", "number", "rule", "status"),
    [
        ("higher", 0.95, {"no_worse_than": "last", "margin": 0.06}, "PASS"),
        ("higher", 0.95, {"no_worse_than": "last", "margin": 0.04}, "FAIL"),
        ("higher", 2.0, {"no_worse_than": "last"}, "PASS"),
        ("higher", 1.0, {"no_worse_than": "last"}, "PASS"),
        ("lower", 1.05, {"no_worse_than": "last", "margin": 0.06}, "PASS"),
        ("lower", 1.05, {"no_worse_than": "last", "margin": 0.04}, "FAIL"),
        ("lower", 0.5, {"no_worse_than": "last"}, "PASS"),
        ("higher", 1.05, {"better_than": "last"}, "PASS"),
        ("higher", 1.05, {"better_than": "last", "margin": 0.1}, "FAIL"),
        ("higher", 1.0, {"better_than": "last"}, "FAIL"),
        ("lower", 1.05, {"better_than": "last"}, "FAIL"),
        ("lower", 0.8, {"better_than": "last", "margin": 0.1}, "PASS"),
        ("higher", 1.05, {"equivalent_to": "last", "margin": 0.1}, "PASS"),
        ("higher", 1.2, {"equivalent_to": "last", "margin": 0.1}, "FAIL"),
        ("higher", 0.8, {"equivalent_to": "last", "margin": 0.1}, "FAIL"),
        ("target", 1.05, {"equivalent_to": "last", "margin": 0.1}, "PASS"),
        ("target", 1.2, {"equivalent_to": "last", "margin": 0.1}, "FAIL"),
        ("higher", 0.96, {"no_worse_than": "last", "margin": "5%"}, "PASS"),
        ("higher", 0.94, {"no_worse_than": "last", "margin": "5%"}, "FAIL"),
    ],
)
def test_comparisons_on_the_point(
    make_value: MakeValue,
    make_result: MakeResult,
    judged: Judged,
    direction: str,
    number: float,
    rule: dict[str, Any],
    status: str,
) -> None:
    """Worse and better follow the output's direction; the margin is what may be lost or won."""
    result = make_result([make_value("score", number, direction=direction)])
    last = make_result([make_value("score", 1.0, direction=direction)], "last")
    verdict = only(judged(result, {"value": "score", "judge": "point", **rule}, last=last))
    assert verdict.status == status
    assert (verdict.number, verdict.baseline) == (number, 1.0)


def test_a_relative_margin_is_of_the_absolute_baseline(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """5 % of a negative baseline is still a tolerance, never a demand."""
    last = make_result([make_value("score", -10.0)], "last")
    rule = {"value": "score", "no_worse_than": "last", "margin": "5%", "judge": "point"}
    for number, status in ((-10.4, "PASS"), (-10.6, "FAIL"), (-9.0, "PASS")):
        verdict = only(judged(make_result([make_value("score", number)]), rule, last=last))
        assert (verdict.status, verdict.limit) == (status, pytest.approx(0.5))


def fid_result(
    make_value: MakeValue, make_result: MakeResult, name: str, plain: float, debiased: float
) -> Result:
    """A result with a plain and a debiased distance, both known to 0.001."""
    return make_result(
        [
            make_value("fid", plain, se=0.001, direction="lower", compared_by="debiased"),
            make_value("fid.debiased", debiased, se=0.001, direction="lower"),
        ],
        name,
    )


def test_fid_is_gated_by_the_debiased_difference(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """A margin gate on `fid` looks at the debiased difference and says so."""
    result = fid_result(make_value, make_result, "new", 5.0, 1.0)
    last = fid_result(make_value, make_result, "last", 4.0, 1.5)
    verdict = only(judged(result, {"value": "fid", "better_than": "last"}, last=last))
    assert verdict.status is Status.PASS
    assert "difference in fid.debiased -0.5" in verdict.sentence
    assert (verdict.number, verdict.baseline) == (5.0, 4.0)


def test_a_relative_margin_is_of_the_value_compared(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """15 % worse is no 5 %: the bias of the plain distance must not widen a relative margin."""
    result = fid_result(make_value, make_result, "new", 4.0, 1.15)
    last = fid_result(make_value, make_result, "last", 4.0, 1.0)
    rule = {"value": "fid", "no_worse_than": "last", "margin": "5%"}
    assert only(judged(result, rule, last=last)).status is not Status.PASS


# Against a baseline: the interval


def pair(
    make_value: MakeValue, make_result: MakeResult, worse: float, se: float = 1.0
) -> tuple[Result, Result]:
    """A result and a baseline whose difference has this standard error; lower is better."""
    half = se / math.sqrt(2)
    return (
        make_result([make_value("score", 100 + worse, se=half, direction="lower")], "new"),
        make_result([make_value("score", 100.0, se=half, direction="lower")], "last"),
    )


# 1.644854 is the one-sided normal quantile at 0.95 (normal table): what a bound needs to clear
@pytest.mark.parametrize(
    ("rule", "worse", "status"),
    [
        ({"no_worse_than": "last", "margin": 2.0}, 2.0 - 1.65, "PASS"),
        ({"no_worse_than": "last", "margin": 2.0}, 2.0 - 1.64, "INCONCLUSIVE"),
        ({"no_worse_than": "last", "margin": 2.0}, 2.0 + 1.64, "INCONCLUSIVE"),
        ({"no_worse_than": "last", "margin": 2.0}, 2.0 + 1.65, "FAIL"),
        ({"better_than": "last"}, -1.65, "PASS"),
        ({"better_than": "last"}, -1.64, "INCONCLUSIVE"),
        ({"better_than": "last"}, 1.65, "FAIL"),
        ({"better_than": "last", "margin": 1.0}, -1.0 - 1.65, "PASS"),
        ({"better_than": "last", "margin": 1.0}, -1.0 - 1.64, "INCONCLUSIVE"),
        ({"better_than": "last", "margin": 1.0}, -1.0 + 1.65, "FAIL"),
        ({"equivalent_to": "last", "margin": 4.0}, 0.0, "PASS"),
        ({"equivalent_to": "last", "margin": 4.0}, 4.0 - 1.65, "PASS"),
        ({"equivalent_to": "last", "margin": 4.0}, -4.0 + 1.65, "PASS"),
        ({"equivalent_to": "last", "margin": 4.0}, 4.0 - 1.64, "INCONCLUSIVE"),
        # violated on either side: the two-sided quantile, 1.959964
        ({"equivalent_to": "last", "margin": 4.0}, 4.0 + 1.95, "INCONCLUSIVE"),
        ({"equivalent_to": "last", "margin": 4.0}, 4.0 + 1.97, "FAIL"),
        ({"equivalent_to": "last", "margin": 4.0}, -4.0 - 1.97, "FAIL"),
        # 2.326348 is the quantile at 0.99
        ({"no_worse_than": "last", "margin": 2.0, "confidence": 0.99}, 2.0 - 2.32, "INCONCLUSIVE"),
        ({"no_worse_than": "last", "margin": 2.0, "confidence": 0.99}, 2.0 - 2.33, "PASS"),
        ({"no_worse_than": "last", "margin": 2.0, "confidence": 0.99}, 2.0 + 2.33, "FAIL"),
    ],
)
def test_comparisons_on_the_interval(
    make_value: MakeValue,
    make_result: MakeResult,
    judged: Judged,
    rule: dict[str, Any],
    worse: float,
    status: str,
) -> None:
    """Shown to hold, shown to be violated, or neither: three zones around the margin."""
    result, last = pair(make_value, make_result, worse)
    assert only(judged(result, {"value": "score", **rule}, last=last)).status == status


ORDER = {Status.PASS: 0, Status.INCONCLUSIVE: 1, Status.FAIL: 2}


@QUICK
@given(
    st.floats(-10, 10),
    st.floats(0, 5),
    st.floats(0, 5),
    st.floats(0, 3),
    st.sampled_from(["no_worse_than", "better_than"]),
    st.sampled_from(["point", "interval"]),
)
def test_a_comparison_is_monotone(
    make_value: MakeValue,
    make_result: MakeResult,
    judged: Judged,
    worse: float,
    more: float,
    margin: float,
    wider: float,
    kind: str,
    how: str,
) -> None:
    """A worse number never helps; a wider margin helps `no_worse_than`, and asks more of better."""

    def status(by: float, margin: float) -> int:
        result, last = pair(make_value, make_result, by)
        rule = {"value": "score", kind: "last", "margin": margin, "judge": how}
        return ORDER[only(judged(result, rule, last=last)).status]

    assert status(worse, margin) <= status(worse + more, margin)
    ends = (status(worse, margin), status(worse, margin + wider))
    assert ends[0] >= ends[1] if kind == "no_worse_than" else ends[0] <= ends[1]


@pytest.mark.parametrize(("worse", "margin"), [(0.0, 1.8), (-5.0, 0.0), (1.0, 2.7)])
def test_the_printed_interval_agrees_with_the_verdict(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, worse: float, margin: float
) -> None:
    """Nobody trusts a PASS beside an interval that crosses its margin."""
    result, last = pair(make_value, make_result, worse)
    rule = {"value": "score", "no_worse_than": "last", "margin": margin}
    verdict = only(judged(result, rule, last=last))
    assert verdict.status is Status.PASS
    printed = re.search(r"\[(\S+), (\S+)\]", verdict.sentence)
    assert printed is not None
    assert float(printed[2]) <= margin


@pytest.mark.parametrize(
    ("on_inconclusive", "status", "code"),
    [("error", "INCONCLUSIVE", 3), ("fail", "FAIL", 1), ("warn", "WARN", 0), ("pass", "PASS", 0)],
)
def test_on_inconclusive(
    make_value: MakeValue,
    make_result: MakeResult,
    judged: Judged,
    on_inconclusive: str,
    status: str,
    code: int,
) -> None:
    """What is not shown either way could not be evaluated, unless the gate says else."""
    result, last = pair(make_value, make_result, 0.0)
    rule = {"value": "score", "no_worse_than": "last", "on_inconclusive": on_inconclusive}
    judgement = judged(result, rule, last=last)
    assert only(judgement).status == status
    assert judgement.exit_code == code
    assert "neither no worse than nor its opposite is shown" in only(judgement).sentence


@pytest.mark.parametrize("on_inconclusive", ["warn", "pass"])
def test_on_inconclusive_hides_no_failure(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, on_inconclusive: str
) -> None:
    """A violation that is shown fails whatever is said of the unclear."""
    result, last = pair(make_value, make_result, 5.0)
    rule = {"value": "score", "no_worse_than": "last", "on_inconclusive": on_inconclusive}
    assert only(judged(result, rule, last=last)).status is Status.FAIL


def test_pairing_is_used_and_told(make_scored: MakeResult, judged: Judged) -> None:
    """The sentence says whether samples were paired, and pairing decides what can be shown."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=100)
    rule = {"value": "score", "no_worse_than": "last", "margin": 0.1}
    for pair_by, status, told in (("id", "PASS", "(paired)"), (None, "INCONCLUSIVE", "(unpaired)")):
        result = make_scored(x - 0.01, pair_by=pair_by)
        last = make_scored(x, "last", pair_by=pair_by)
        verdict = only(judged(result, rule, last=last))
        assert verdict.status == status
        assert told in verdict.sentence


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        ({"no_worse_than": "last"}, "PASS"),
        ({"equivalent_to": "last", "margin": 0.01}, "PASS"),
        ({"better_than": "last"}, "FAIL"),
    ],
)
def test_a_result_and_itself(
    make_scored: MakeResult, judged: Judged, rule: dict[str, Any], status: str
) -> None:
    """A result is as good as itself for certain, and certainly not better."""
    result = make_scored(np.linspace(0, 1, 50), pair_by="id")
    for how in ("interval", "point"):
        assert only(
            judged(result, {"value": "score", "judge": how, **rule}, last=result)
        ).status == (status)


# Holm


def family(
    make_value: MakeValue, make_result: MakeResult, worse: list[float]
) -> tuple[Result, Result, list[Rule]]:
    """A result and a baseline with one value and one gate for each of these differences."""
    half = 1 / math.sqrt(2)
    keys = [f"score{i}" for i in range(len(worse))]
    sides = [
        make_result(
            [
                make_value(key, 100 + by, se=half, direction="lower")
                for key, by in zip(keys, differences, strict=True)
            ],
            name,
        )
        for name, differences in (("new", worse), ("last", [0.0] * len(worse)))
    ]
    rules: list[Rule] = [{"value": key, "no_worse_than": "last"} for key in keys]
    return sides[0], sides[1], rules


@pytest.mark.parametrize(
    ("p_values", "statuses"),
    [
        # Holm's factors are m, m-1, …, 1 on the sorted p-values; a FAIL is claimed below 0.05
        ([0.04], ["FAIL"]),
        ([0.04, 0.04], ["INCONCLUSIVE"] * 2),
        ([0.02, 0.04], ["FAIL", "FAIL"]),
        ([0.03, 0.04], ["INCONCLUSIVE"] * 2),
        ([0.01, 0.04, 0.03, 0.005], ["FAIL", "INCONCLUSIVE", "INCONCLUSIVE", "FAIL"]),
        ([0.04, 0.5], ["INCONCLUSIVE"] * 2),
    ],
)
def test_holm_guards_claims_of_failure(
    make_value: MakeValue,
    make_result: MakeResult,
    judged: Judged,
    p_values: list[float],
    statuses: list[str],
) -> None:
    """The more gates are compared, the more it takes to call one of them violated."""
    worse = [-NormalDist().inv_cdf(p) for p in p_values]
    result, last, rules = family(make_value, make_result, worse)
    judgement = judged(result, *rules, last=last)
    assert [verdict.status for verdict in judgement.verdicts] == statuses
    assert judgement.family == len(p_values)


def test_twenty_gates_raise_few_false_alarms(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """Twenty gates on equal models fail a run in 5 % of cases at most, not in 64 %."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(100):
        result, last, rules = family(make_value, make_result, list(rng.normal(size=20)))
        alarms += any(v.status is Status.FAIL for v in judged(result, *rules, last=last).verdicts)
    # binomial(100, 0.05): mean 5, sd 2.2; 3 sd above. Unguarded it would be 64 of 100
    assert alarms <= 11


def test_limits_are_no_part_of_the_family(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """Rules with a limit, and rules on the point, claim no p-value and cost no other gate."""
    result, last, rules = family(make_value, make_result, [1.75])
    more: list[Rule] = ["score0 <= 200"] * 20
    more += [{"value": "score0", "no_worse_than": "last", "margin": 5, "judge": "point"}] * 20
    judgement = judged(result, *rules, *more, last=last)
    assert judgement.verdicts[0].status is Status.FAIL
    assert judgement.family == 1


# A budget of false alarms


@pytest.mark.parametrize(
    ("p_values", "alpha", "statuses"),
    [
        # Holm's adjusted p-values against 1/365 = 0.00274 instead of each gate's 0.05
        ([0.04], 1 / 365, ["INCONCLUSIVE"]),
        ([0.0027], 1 / 365, ["FAIL"]),
        ([0.0028], 1 / 365, ["INCONCLUSIVE"]),
        ([0.0013, 0.0026], 1 / 365, ["FAIL", "FAIL"]),
        ([0.0014, 0.0026], 1 / 365, ["INCONCLUSIVE"] * 2),
        ([0.08], 0.1, ["FAIL"]),
    ],
)
def test_alpha_follows_from_the_budget(
    make_value: MakeValue,
    make_result: MakeResult,
    make_gates: MakeGates,
    p_values: list[float],
    alpha: float,
    statuses: list[str],
) -> None:
    """All comparisons of a run share it, and it says how many there are."""
    worse = [-NormalDist().inv_cdf(p) for p in p_values]
    result, last, rules = family(make_value, make_result, worse)
    judgement = judge(make_gates(rules, result), result, {"last": last}, alpha)
    assert [verdict.status for verdict in judgement.verdicts] == statuses
    assert (judgement.alpha, judgement.family) == (alpha, len(p_values))
    count = "1 comparison with" if len(p_values) == 1 else "2 comparisons with"
    assert judgement.guarded.startswith(count)
    assert f"in at most {100 * alpha:.4g} % of runs" in judgement.guarded


def test_the_boldest_gate_bounds_the_family(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """Without a budget each claim is made at its gate's confidence; limits claim nothing."""
    result, last, rules = family(make_value, make_result, [0.0, 0.0])
    bold: Rule = {"value": "score1", "no_worse_than": "last", "confidence": 0.9}
    judgement = judged(result, rules[0], bold, last=last)
    assert judgement.alpha == pytest.approx(0.1)
    limits = judged(result, "score0 <= 200", last=last)
    assert (limits.family, limits.alpha, limits.guarded) == (0, None, "")


# Waivers


WAIVER = Waiver("data moved", date(2026, 12, 31))


@pytest.mark.parametrize(
    ("rule", "today", "status", "code", "told"),
    [
        ("score >= 2", date(2026, 12, 31), "WARN", 0, "waived until 2026-12-31: data moved"),
        ("score >= 2", date(2027, 1, 1), "FAIL", 1, "waiver ended on 2026-12-31 (data moved)"),
        ("score >= 0", date(2026, 1, 1), "PASS", 0, "waived until 2026-12-31: data moved"),
        ("extra >= 0", date(2026, 1, 1), "ERROR", 3, "no weights"),
    ],
)
def test_a_waiver_excuses_a_failure_until_its_day(
    make_value: MakeValue,
    make_result: MakeResult,
    make_gates: MakeGates,
    rule: str,
    today: date,
    status: str,
    code: int,
    told: str,
) -> None:
    """A failure warns up to that day and fails after it; what cannot be judged is not excused."""
    values = [make_value("score", 1.0), make_value("extra", problem="no weights")]
    result = make_result(values, optional=["extra"])
    gates = [replace(gate, waiver=WAIVER) for gate in make_gates([rule], result)]
    judgement = judge(gates, result, {}, today=today)
    assert (only(judgement).status, judgement.exit_code) == (status, code)
    assert told in only(judgement).sentence


def test_a_waiver_hides_no_inconclusive_comparison(
    make_value: MakeValue, make_result: MakeResult, make_gates: MakeGates
) -> None:
    """Neither shown nor refuted is not a failure, and stays what could not be evaluated."""
    result, last = pair(make_value, make_result, 0.0)
    rule = {"value": "score", "no_worse_than": "last"}
    gates = [replace(gate, waiver=WAIVER) for gate in make_gates([rule], result)]
    judgement = judge(gates, result, {"last": last}, today=date(2026, 1, 1))
    assert (only(judgement).status, judgement.exit_code) == (Status.INCONCLUSIVE, 3)


def test_waivers_are_of_today(
    make_value: MakeValue, make_result: MakeResult, make_gates: MakeGates
) -> None:
    """Unless told otherwise a waiver of the past is over and one of the far future holds."""
    result = make_result([make_value("score", 1.0)])
    (gate,) = make_gates(["score >= 2"], result)
    for until, status in ((date(2020, 1, 1), "FAIL"), (date(9999, 1, 1), "WARN")):
        waived = replace(gate, waiver=Waiver("why", until))
        assert only(judge([waived], result, {})).status == status


# Several baselines


def test_every_baseline_must_hold(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """5 % a promotion passes against the last and fails against the anchor, which is named."""
    result, last, anchor = (
        make_result([make_value("score", n, se=0.01)], name)
        for n, name in ((90.0, "new"), (94.0, "last"), (100.0, "anchor"))
    )
    rule = {"value": "score", "no_worse_than": ["anchor", "last"], "margin": "5%"}
    judgement = judged(result, rule, baselines={"anchor": anchor, "last": last})
    assert [verdict.status for verdict in judgement.verdicts] == ["FAIL", "PASS"]
    assert [verdict.baseline for verdict in judgement.verdicts] == [100.0, 94.0]
    assert "baseline anchor has 100" in judgement.verdicts[0].sentence
    assert judgement.exit_code == 1
    gone = judged(result, rule, baselines={"anchor": "no such file", "last": last})
    assert [verdict.status for verdict in gone.verdicts] == ["ERROR", "PASS"]
    assert gone.exit_code == 3


# Fail closed


COMPARED = {"value": "score", "no_worse_than": "last", "margin": 100}


def error(judgement: Judgement, told: str) -> None:
    """The only verdict is an ERROR that says this, and the exit code is 3."""
    verdict = only(judgement)
    assert verdict.status is Status.ERROR
    assert told in verdict.sentence
    assert judgement.exit_code == ExitCode.ERROR == 3
    assert judgement.status is Status.ERROR


@pytest.mark.parametrize("rule", ["score >= -1e9", "score <= 1e9", COMPARED])
def test_a_value_with_a_problem(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, rule: Rule
) -> None:
    """A value that has a problem passes no limit, however generous."""
    last = make_result([make_value("score", 1.0)], "last")
    result = make_result([make_value("score", problem="too few samples")])
    error(judged(result, rule, last=last), "score: too few samples")


@pytest.mark.parametrize("rule", ["score >= -1e9", COMPARED])
def test_a_value_that_was_not_produced(make_result: MakeResult, judged: Judged, rule: Rule) -> None:
    """A metric that crashed leaves no value: its gate is an ERROR, never skipped."""
    result = make_result([], failed={"score": "RuntimeError: broken"})
    error(judged(result, rule, last=result), "score was not measured")


def test_a_group_that_was_not_produced(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """A group that no sample belongs to is not passed over."""
    result = make_result([make_value("score[label=1]", 1.0)])
    error(judged(result, "score[label=2] >= 0"), "score[label=2] was not measured")


@pytest.mark.parametrize(("n", "status"), [(49, "ERROR"), (50, "PASS"), (None, "ERROR")])
def test_min_n(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, n: int | None, status: str
) -> None:
    """Below the gate's least n, or with n unknown, there is no verdict but ERROR."""
    result = make_result([make_value("score", 1.0, n=n)])
    judgement = judged(result, {"value": "score", "at_least": 0, "min_n": 50})
    assert only(judgement).status == status
    if status == "ERROR":
        error(judgement, f"n = {n} is below the gate's min_n of 50")


@pytest.mark.parametrize("rule", ["score >= 0", COMPARED])
def test_a_partial_run(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, rule: Rule
) -> None:
    """A run with --limit is never gated."""
    last = make_result([make_value("score", 1.0)], "last")
    result = make_result([make_value("score", 1.0)], partial=10)
    error(judged(result, rule, last=last), "partial (--limit 10)")


def test_a_partial_baseline(make_value: MakeValue, make_result: MakeResult, judged: Judged) -> None:
    """A run with --limit is no baseline."""
    last = make_result([make_value("score", 1.0)], "last", partial=10)
    error(judged(make_result([make_value("score", 1.0)]), COMPARED, last=last), "last is partial")


@pytest.mark.parametrize("how", ["point", "interval"])
def test_unequal_signatures(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, how: str
) -> None:
    """A baseline measured otherwise is no baseline; the field is named."""
    last = make_result([make_value("score", 1.0, se=0.1, fields={"ext": "clip"})], "last")
    result = make_result([make_value("score", 1.0, se=0.1)])
    error(judged(result, {**COMPARED, "judge": how}, last=last), "differ: ext digits ≠ clip")


def test_a_baseline_without_the_value(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """A baseline of before the metric was added is an ERROR that says so."""
    last = make_result([make_value("other", 1.0)], "last")
    result = make_result([make_value("score", 1.0)])
    error(judged(result, COMPARED, last=last), "baseline last: unknown address 'score'")


def test_a_baseline_with_a_problem(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """A baseline whose value has a problem lets nothing pass."""
    last = make_result([make_value("score", problem="too few samples")], "last")
    result = make_result([make_value("score", 1.0)])
    error(judged(result, COMPARED, last=last), "last: too few samples")


def test_a_baseline_nobody_loaded(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """A gate whose baseline is not among those given is an ERROR."""
    error(judged(make_result([make_value("score", 1.0)]), COMPARED), "no baseline 'last'")


def test_no_interval_to_judge(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """`judge: interval` on a value without one is an ERROR with the reason for none."""
    result = make_result([make_value("score", 1.0)])
    rule = {"value": "score", "at_least": 0, "judge": "interval"}
    error(judged(result, rule), "has no interval to judge (none was made)")


def test_no_interval_of_the_difference(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """A comparison without a standard error is an ERROR that offers the point."""
    last = make_result([make_value("score", 1.0)], "last")
    result = make_result([make_value("score", 1.0)])
    error(judged(result, COMPARED, last=last), "use judge: point")


@pytest.mark.parametrize("how", ["point", "interval"])
def test_a_relative_margin_at_zero(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, how: str
) -> None:
    """A percentage of a baseline of 0 means nothing: an ERROR, not "any improvement"."""
    last = make_result([make_value("score", 0.0, se=0.1)], "last")
    result = make_result([make_value("score", 5.0, se=0.1)])
    rule = {"value": "score", "no_worse_than": "last", "margin": "5%", "judge": how}
    error(judged(result, rule, last=last), "baseline of 0")


@pytest.mark.parametrize("kind", ["no_worse_than", "better_than"])
def test_a_target_has_no_better(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, kind: str
) -> None:
    """An output without a direction can only be equivalent."""
    result, last = (
        make_result([make_value("score", n, se=0.1, direction="target")]) for n in (1.0, 2.0)
    )
    error(judged(result, {"value": "score", kind: "last"}, last=last), "has no better or worse")


def test_one_sample_a_side(make_scored: MakeResult, judged: Judged) -> None:
    """Evidence of one sample has no spread: an ERROR of this gate, not a crash of all."""
    result, last = (make_scored([v], name) for v, name in ((1.0, "new"), (2.0, "last")))
    verdicts = judged(result, COMPARED, "score >= 0", last=last).verdicts
    assert [v.status for v in verdicts] == [Status.ERROR, Status.PASS]


@pytest.mark.parametrize("level", ["fail", "warn"])
def test_a_warning_fails_closed_too(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, level: str
) -> None:
    """A gate that only warns still cannot be judged without a value."""
    result = make_result([make_value("score", problem="too few samples")])
    error(judged(result, {"value": "score", "at_least": 0, "level": level}), "too few samples")


def test_an_optional_metric_that_failed(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """`optional` excuses a metric nobody gates, and no gate."""
    good = make_value("score", 1.0)
    bad = make_value("extra", problem="no weights")
    result = make_result([good, bad], optional=["extra"])
    assert judged(result, "score >= 0").exit_code == 0
    assert judged(result, "score >= 0", "extra >= 0").exit_code == 3


def test_an_ungated_metric_that_failed(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """A metric that failed ends the run with 3 although every gate passes, and is named."""
    values = [make_value("score", 1.0), make_value("extra", problem="no weights")]
    judgement = judged(make_result(values), "score >= 0")
    assert only(judgement).status is Status.PASS
    assert judgement.failed_metrics == ("extra",)
    assert (judgement.exit_code, judgement.status) == (3, Status.ERROR)
    assert judgement.sentence == "1 gate: 1 passed; failed without a gate: extra"
    crashed = judged(make_result(values[:1], failed={"extra": "broken"}), "score >= 0")
    assert crashed.failed_metrics == ("extra",)


def test_a_gate_judges_its_own_output(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """A metric whose other output failed is judged on the output that its gate names."""
    values = [make_value("kid", problem="subset too large"), make_value("kid.unbiased", 1.0)]
    judgement = judged(make_result(values), "kid.unbiased <= 2")
    assert (only(judgement).status, judgement.exit_code) == (Status.PASS, 0)


@QUICK
@given(st.lists(st.sampled_from(["score >= 0", "score <= 0", "extra >= 0", "gone >= 0"])))
def test_every_gate_has_a_verdict(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, rules: list[str]
) -> None:
    """Declared minus evaluated is empty: each gate has its verdict, in its place."""
    values = [make_value("score", 1.0), make_value("extra", problem="no weights")]
    result = make_result(values, failed={"gone": "broken"})
    judgement = judged(result, *rules)
    assert [verdict.gate.text for verdict in judgement.verdicts] == rules
    expected = {"score >= 0": "PASS", "score <= 0": "FAIL"}
    assert [v.status for v in judgement.verdicts] == [expected.get(r, "ERROR") for r in rules]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("rule", ["score >= -1e9", "score <= 1e9", COMPARED])
def test_a_number_that_is_none(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, number: float, rule: Rule
) -> None:
    """NaN and infinity cannot enter a value; where a defect brought one in, nothing is judged."""
    value = make_value("score", 1.0)
    with pytest.raises(ValueError, match="not finite"):
        replace(value, number=number)
    object.__setattr__(value, "number", number)
    last = make_result([make_value("score", 1.0)], "last")
    with pytest.raises(ValueError, match="not JSON compliant"):
        judged(make_result([value]), rule, last=last)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_result_file_with_a_number_that_is_none(
    make_value: MakeValue, make_result: MakeResult, tmp_path: Path, text: str
) -> None:
    """A result.json in which somebody wrote NaN is refused, not read as a number that passes."""
    write_result(make_result([make_value("score", 0.125)]).document, tmp_path)
    path = tmp_path / "result.json"
    path.write_text(path.read_text().replace("0.125", text))
    with pytest.raises(UsageError, match="is not a result"):
        Result.load(tmp_path)


def test_no_gate_and_no_metric_is_not_success(make_result: MakeResult, judged: Judged) -> None:
    """A suite all of whose metrics crashed ends with 3 even when nobody gates them."""
    crashed = judged(make_result([], failed={"score": "broken", "other": "broken"}))
    assert (crashed.exit_code, crashed.failed_metrics) == (3, ("score", "other"))


@QUICK
@given(
    st.sampled_from([None, "problem", "partial", "signature", "small", "absent"]),
    st.sampled_from(["score >= -1e9", "score <= 1e9", "compared", "relative"]),
    st.sampled_from(["error", "fail", "warn", "pass"]),
    st.booleans(),
)
def test_nothing_that_is_unfit_passes(
    make_value: MakeValue,
    make_result: MakeResult,
    make_gates: MakeGates,
    flaw: str | None,
    rule: str,
    on_inconclusive: str,
    waived: bool,
) -> None:
    """Whatever the gate says of the unclear and whoever waives it: a flaw is an ERROR and a 3."""
    value = make_value("score", problem="broken") if flaw == "problem" else make_value(se=0.1)
    result = make_result(
        [] if flaw == "absent" else [value],
        failed={"score": "crashed"} if flaw == "absent" else None,
        partial=5 if flaw == "partial" else None,
    )
    last = make_result([make_value(se=0.1, fields={"v": 2} if flaw == "signature" else None)])
    compared = {"value": "score", "no_worse_than": "last", "on_inconclusive": on_inconclusive}
    long: dict[str, Any] = {
        "score >= -1e9": {"value": "score", "at_least": -1e9},
        "score <= 1e9": {"value": "score", "at_most": 1e9},
        "compared": {**compared, "margin": 100},
        "relative": {**compared, "margin": "900%"},
    }[rule]
    least = {"min_n": 101} if flaw == "small" else {}
    gates = make_gates([{**long, **least}], result)
    if waived:
        gates = tuple(replace(gate, waiver=Waiver("why", date(9999, 1, 1))) for gate in gates)
    judgement = judge(gates, result, {"last": last})
    harmless = flaw is None or (flaw == "signature" and "1e9" in rule)
    assert (only(judgement).status is Status.PASS) is harmless
    assert judgement.exit_code == (0 if harmless else 3)


# Baselines on disk


def test_baselines_are_loaded(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, tmp_path: Path
) -> None:
    """A baseline is a run directory or a copied result.json."""
    last = make_result([make_value("score", 2.0)], "last")
    write_result(last.document, tmp_path)
    for path in (tmp_path, tmp_path / "result.json"):
        loaded = load_baselines(Suite(metrics=[], baselines={"last": str(path)}))
        found = loaded["last"]
        assert isinstance(found, Result)
        assert found.document.digest == last.document.digest


@pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"schema": 99}'])
def test_a_baseline_that_is_not_there(
    make_value: MakeValue,
    make_result: MakeResult,
    judged: Judged,
    tmp_path: Path,
    content: str | None,
) -> None:
    """A missing or unreadable baseline is an ERROR naming the baseline and the file."""
    path = tmp_path / "main.json"
    if content is not None:
        path.write_text(content)
    loaded = load_baselines(Suite(metrics=[], baselines={"last": str(path)}))
    judgement = judged(make_result([make_value("score", 1.0)]), COMPARED, baselines=loaded)
    error(judgement, "baseline last: ")
    assert str(path) in only(judgement).sentence
    how = f'make one: geneval baseline set RUN --name main --dir {tmp_path} --reason "…"'
    assert only(judgement).sentence.endswith(how)


# Exit code and sentence


def verdict_of(status: str) -> Verdict:
    """A verdict with this status."""
    return Verdict(Gate("score <= 1", "score", "at_most", limit=1.0), Status(status), "told")


@pytest.mark.parametrize(
    ("statuses", "failed", "code", "status"),
    [
        ([], (), 0, "PASS"),
        (["PASS"], (), 0, "PASS"),
        (["PASS", "WARN"], (), 0, "WARN"),
        (["PASS", "FAIL"], (), 1, "FAIL"),
        (["WARN", "FAIL"], (), 1, "FAIL"),
        (["FAIL", "ERROR"], (), 3, "ERROR"),
        (["ERROR", "FAIL"], (), 3, "ERROR"),
        (["PASS", "INCONCLUSIVE"], (), 3, "ERROR"),
        (["FAIL", "INCONCLUSIVE"], (), 3, "ERROR"),
        (["PASS"], ("extra",), 3, "ERROR"),
        (["FAIL"], ("extra",), 3, "ERROR"),
        ([], ("extra",), 3, "ERROR"),
    ],
)
def test_exit_codes(statuses: list[str], failed: tuple[str, ...], code: int, status: str) -> None:
    """1 for any FAIL; 3 for whatever could not be evaluated, which wins over 1."""
    judgement = Judgement("0" * 64, tuple(map(verdict_of, statuses)), failed)
    assert judgement.exit_code == code
    assert judgement.status == status


@QUICK
@given(st.lists(st.sampled_from([s.value for s in Status])), st.booleans())
def test_word_code_and_sentence_agree(statuses: list[str], failed: bool) -> None:
    """The word, the exit code and the counts are views of one object and never disagree."""
    judgement = Judgement("0", tuple(map(verdict_of, statuses)), ("extra",) if failed else ())
    word = {0: ("PASS", "WARN"), 1: ("FAIL",), 3: ("ERROR",)}[judgement.exit_code]
    assert judgement.status in word
    counted = sum(int(n) for n in re.findall(r"(\d+) (?!gate)", judgement.sentence))
    assert counted == len(statuses)
    assert ("failed without a gate" in judgement.sentence) is failed


def test_the_worst_comes_first() -> None:
    """The sentence counts errors before failures before passes."""
    statuses = ["PASS", "FAIL", "WARN", "ERROR", "INCONCLUSIVE", "PASS"]
    judgement = Judgement("0", tuple(map(verdict_of, statuses)))
    assert judgement.sentence == (
        "6 gates: 1 could not be judged, 1 inconclusive, 1 failed, 1 warned, 2 passed"
    )
    assert Judgement("0", ()).sentence == "no gates"


def test_a_warning_is_no_failure(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """A violated gate of level warn is a WARN, and the exit code stays 0."""
    judgement = judged(
        make_result([make_value("score", 1.0)]),
        {"value": "score", "at_least": 2, "level": "warn"},
        {"value": "score", "at_least": 0, "level": "warn"},
    )
    assert [verdict.status for verdict in judgement.verdicts] == ["WARN", "PASS"]
    assert (judgement.exit_code, judgement.status) == (0, Status.WARN)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("score <= 12", "score is 12.5 points; the gate allows at most 12"),
        ("score < 12", "score is 12.5 points; the gate allows only less than 12"),
        ("score >= 12", "score is 12.5 points; the gate asks for at least 12"),
        ("score > 12", "score is 12.5 points; the gate asks for more than 12"),
        ("score <= 12.50001", "score is 12.5 points; the gate allows at most 12.50001"),
        (
            {"value": "score", "at_least": 12, "judge": "interval"},
            "score is 12.5, its lower bound 11.52 points; the gate asks for at least 12",
        ),
    ],
)
def test_sentences_of_limits(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, rule: Rule, sentence: str
) -> None:
    """The sentence names the value, what of it was judged, the unit and the limit."""
    result = make_result([make_value("score", 12.5, se=0.5, unit="points")])
    assert only(judged(result, rule)).sentence == sentence


def test_the_sentence_has_the_finding(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """What a metric found in words stands beside its verdict."""
    result = make_result([make_value("score", 1.0, finding="missing 2 of 10 classes: 3, 7")])
    assert only(judged(result, "score <= 0")).sentence.endswith(": missing 2 of 10 classes: 3, 7")


def test_sentences_of_comparisons(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """The sentence names value, baseline, difference, pairing and margin."""
    result, last = pair(make_value, make_result, 0.5)
    rule = {"value": "score", "no_worse_than": "last", "margin": "10%"}
    sentence = only(judged(result, rule, last=last)).sentence
    for part in ("score is 100.5", "baseline last has 100", "+0.5 [", "(unpaired)", "margin 10"):
        assert part in sentence


# Files


def test_json_round_trip(
    make_value: MakeValue, make_result: MakeResult, judged: Judged, tmp_path: Path
) -> None:
    """Verdicts written beside a result read back equal, as strict JSON."""
    result, last = pair(make_value, make_result, 0.0)
    judgement = judged(
        result,
        COMPARED,
        "score <= 5",
        {"value": "score", "at_least": 0, "level": "warn"},
        last=last,
    )
    write_judgement(judgement, tmp_path)
    assert load_judgement(tmp_path) == judgement
    content = json.loads((tmp_path / "verdicts.json").read_text(), parse_constant=pytest.fail)
    assert content == judgement_json(judgement)
    assert content["result"] == result.document.digest


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"{", b"\xff", b'{"verdicts": 5}'])
def test_what_holds_no_verdicts(tmp_path: Path, content: bytes | None) -> None:
    """An absent or damaged file is a usage error that names it, never "no gates"."""
    if content is not None:
        (tmp_path / "verdicts.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"verdicts\.json holds no verdicts"):
        load_judgement(tmp_path)


def test_judging_edits_no_result(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """Judging twice gives the same judgement and leaves the result as it was."""
    result, last = pair(make_value, make_result, 0.0)
    before = result.document.digest
    assert judged(result, COMPARED, last=last) == judged(result, COMPARED, last=last)
    assert result.document.digest == before


# A whole run


@pytest.mark.parametrize(
    ("gates", "code"),
    [
        ("[fid >= 0]", 0),
        ("[fid <= -1]", 1),
        ("[fid >= 0, fid <= -1, kid >= -1]", 3),
        ("[{value: fid, no_worse_than: last}]", 3),
    ],
)
def test_exit_codes_of_a_run(
    run_suite: Callable[..., Outcome], rng: np.random.Generator, gates: str, code: int
) -> None:
    """A run ends with the exit code of its judgement (kid is undefined below 1,000 samples)."""
    images = rng.integers(0, 256, (2, 60, 8, 8, 3), dtype=np.uint8)
    outcome = run_suite(
        "extractor: {name: pixels, side: 2}\nmetrics: [fid, kid: {optional: true}]\n"
        f"baselines: {{last: absent.json}}\ngates: {gates}\n",
        *images,
    )
    assert outcome.exit_code == code


def test_interval_at_another_level(
    make_value: MakeValue, make_result: MakeResult, judged: Judged
) -> None:
    """Intervals of a run at 0.8 serve comparisons at 0.95: the error is read off their level."""
    half = quantile(0.8) * 1 / math.sqrt(2)
    results = [
        make_result(
            [
                make_value(
                    "score",
                    number,
                    direction="lower",
                    interval=Interval(number - half, number + half, 0.8, "made", "population"),
                    no_interval=None,
                )
            ],
            name,
        )
        for name, number in (("new", 0.0), ("last", 0.0))
    ]
    for margin, status in ((1.65, "PASS"), (1.64, "INCONCLUSIVE")):
        rule = {"value": "score", "no_worse_than": "last", "margin": margin}
        assert only(judged(results[0], rule, last=results[1])).status == status
    assert Role.GENERATED in results[0]["score"].n
