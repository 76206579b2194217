"""Planning gates: figures by hand, and against verdicts on simulated runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from geneval.errors import UsageError
from geneval.foresight import foresee
from geneval.gate import Gate
from geneval.result import Result
from geneval.value import Value
from geneval.verdict import Status, judge

MakeValue = Callable[..., Value]
MakeResult = Callable[..., Result]
MakeGates = Callable[..., tuple[Gate, ...]]
# Quantiles of the standard normal (table): 0.95, 0.8, 0.9, 0.975
Z95, Z80, Z90, Z975 = 1.644854, 0.841621, 1.281552, 1.959964


@pytest.fixture
def baseline(make_value: MakeValue, make_result: MakeResult) -> Result:
    """A score of 100 known to 1 from 400 samples: one sample has a deviation of 20."""
    return make_result([make_value("score", 100.0, se=1.0, n=400, direction="lower")])


@pytest.mark.parametrize(
    ("rule", "n", "detectable", "needed", "passes"),
    [
        # se of the difference: √(1 + 1) at n = 400, √(1 + 400/1600) at 1,600
        ({"no_worse_than": "last", "margin": 5}, 400, 5 + (Z95 + Z80) * 2**0.5, 198, 0.9707),
        ({"no_worse_than": "last", "margin": 5}, 1600, 5 + (Z95 + Z80) * 1.25**0.5, 198, 0.9976),
        ({"no_worse_than": "last", "margin": "5%"}, 400, 5 + (Z95 + Z80) * 2**0.5, 198, 0.9707),
        ({"no_worse_than": "last"}, 400, (Z95 + Z80) * 2**0.5, None, 0.05),
        ({"better_than": "last"}, 400, (Z95 + Z80) * 2**0.5, None, 0.05),
        # two one-sided tests for 80 %; violated on either side, so two-sided
        ({"equivalent_to": "last", "margin": 5}, 400, 5 + (Z975 + Z80) * 2**0.5, 275, 0.9414),
        # limits: the point, and the upper end of the interval
        ({"at_most": 103}, 400, 3 + Z80, 32, 0.99865),
        ({"at_most": 103}, 100, 3 + Z80 * 2, 32, 0.9332),
        ({"at_most": 103, "judge": "interval"}, 400, 3 + Z80 - Z975, 349, 0.8508),
        ({"at_least": 98}, 400, 2 + Z80, 71, 0.97725),
        ({"at_most": 99}, 400, 0.0, None, 0.1587),
    ],
)
def test_figures_by_hand(
    baseline: Result,
    make_gates: MakeGates,
    rule: dict[str, Any],
    n: int,
    detectable: float,
    needed: int | None,
    passes: float,
) -> None:
    """Smallest change, n needed and chance to pass follow from the standard error alone."""
    gates = make_gates([{"value": "score", **rule}], baseline)
    (found,) = foresee(gates, baseline, n=n)
    assert found.detectable == pytest.approx(detectable, abs=1e-4)
    assert found.needed == needed
    assert found.passes == pytest.approx(passes, abs=1e-4)
    assert (found.n, found.problem) == (n, "")


def test_false_alarms_a_year(baseline: Result, make_gates: MakeGates) -> None:
    """With margin 0 an equal model fails at α; two gates share it, and a budget replaces it."""
    rule = {"value": "score", "no_worse_than": "last"}
    for rules, alpha, runs, alarms in (
        ([rule], None, 365, 0.05 * 365),
        ([rule, rule], None, 365, 0.025 * 365),
        ([rule, "score <= 1e9", {**rule, "judge": "point"}], None, 100, 5.0),
        ([rule], 1 / 365, 365, 1.0),
        ([rule, rule], 1 / 365, 730, 1.0),
    ):
        found = foresee(make_gates(rules, baseline), baseline, alpha=alpha, runs=runs)[0]
        assert found.alarms == pytest.approx(alarms)
    point = foresee(make_gates(["score <= 102"], baseline), baseline, runs=1000)[0]
    assert point.alarms == pytest.approx(1000 * (1 - NormalDist().cdf(2)))


@pytest.mark.parametrize(
    "rule",
    [
        {"no_worse_than": "last", "margin": 2},
        {"equivalent_to": "last", "margin": 2},
        {"at_most": 102},
        {"at_most": 102, "judge": "interval"},
    ],
)
def test_verdicts_on_simulated_runs_bear_it_out(
    make_value: MakeValue, make_result: MakeResult, make_gates: MakeGates, rule: dict[str, Any]
) -> None:
    """A model worse by the detectable change fails in 80 % of runs, an equal one passes as told."""
    rng, runs, n = np.random.default_rng(1), 400, 500
    se = 20 / math.sqrt(n)

    def drawn(truth: float) -> Result:
        return make_result(
            [make_value("score", truth + se * rng.normal(), se=se, n=n, direction="lower")]
        )

    exact = make_result([make_value("score", 100.0, se=se, n=n, direction="lower")])
    gates = make_gates([{"value": "score", **rule}], exact)
    (planned,) = foresee(gates, exact)
    assert planned.detectable is not None
    assert planned.passes is not None
    shares = []
    for worse, status in ((planned.detectable, Status.FAIL), (0.0, Status.PASS)):
        hits = [
            judge(gates, drawn(100 + worse), {"last": drawn(100)}).verdicts[0].status is status
            for _ in range(runs)
        ]
        shares.append(float(np.mean(hits)))
    # binomial(400, 0.8) has a standard deviation of 2 %, of any share at most 2.5 %; 3.5 of them
    assert shares[0] == pytest.approx(0.8, abs=0.07)
    assert shares[1] == pytest.approx(planned.passes, abs=0.0875)


def test_the_debiased_value_is_planned_with(
    make_value: MakeValue, make_result: MakeResult, make_gates: MakeGates
) -> None:
    """A gate against a baseline on `fid` compares the debiased values, a limit the plain one."""
    plain = make_value("fid", 5.0, se=9.0, n=100, direction="lower", compared_by="debiased")
    debiased = make_value("fid.debiased", 1.0, se=1.0, n=100, direction="lower")
    result = make_result([plain, debiased])
    rules = [{"value": "fid", "no_worse_than": "last", "margin": "50%"}, "fid <= 14"]
    compared, limit = foresee(make_gates(rules, result), result)
    assert compared.detectable == pytest.approx(0.5 + (Z95 + Z80) * 2**0.5, abs=1e-4)
    assert limit.detectable == pytest.approx(9 + Z80 * 9, abs=1e-4)


def test_what_cannot_be_planned_says_why(
    make_value: MakeValue, make_result: MakeResult, make_gates: MakeGates
) -> None:
    """A baseline without interval, value or n gives a sentence instead of figures."""
    values = [
        make_value("a", 1.0),
        make_value("b", problem="too few samples"),
        make_value("c", 1.0, se=1.0, n=None),
    ]
    result = make_result(values, failed={"d": "crashed"})
    gates = make_gates([f"{key} <= 1" for key in "abcd"], result)
    told = [one.problem for one in foresee(gates, result)]
    assert told[0] == "a of the baseline: none was made"
    assert told[1] == "b of the baseline: too few samples"
    assert told[2] == "c of the baseline: its spread or n is not known"
    assert told[3] == "d was not measured: crashed"
    assert all(one.detectable is None for one in foresee(gates, result))
    with pytest.raises(UsageError, match="needs two samples"):
        foresee(gates, result, n=1)
