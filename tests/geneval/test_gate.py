"""Gates: what a suite's author may write, and that nonsense is refused before any work."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.errors import UsageError
from geneval.gate import Gate, Waiver, read_gates
from geneval.suite import load_suite
from geneval.value import AddressBook

QUICK = settings(max_examples=200, deadline=None, database=None, derandomize=True)
MakeGates = Callable[..., tuple[Gate, ...]]
BOOK = AddressBook(
    (
        ("fid", "fid", ("fid", "debiased")),
        ("precision_recall", "precision_recall", ("precision", "recall")),
        ("fd_dinov2", "fid", ("fid", "debiased")),
    )
)
RECALL = "precision_recall.recall"
KINDS = ("at_least", "at_most", "no_worse_than", "better_than", "equivalent_to")
KEYS = ("value", *KINDS, "margin", "level", "judge", "confidence", "min_n", "on_inconclusive", "x")


# The short form


@pytest.mark.parametrize(
    ("text", "address", "kind", "limit", "strict"),
    [
        ("fid <= 12", "fid", "at_most", 12.0, False),
        ("fid<=12", "fid", "at_most", 12.0, False),
        ("  fid   <=   12  ", "fid", "at_most", 12.0, False),
        ("fid < 12", "fid", "at_most", 12.0, True),
        ("fid >= 12", "fid", "at_least", 12.0, False),
        ("fid > 12", "fid", "at_least", 12.0, True),
        ("12 >= fid", "fid", "at_most", 12.0, False),
        ("12 > fid", "fid", "at_most", 12.0, True),
        ("0.4 <= recall", RECALL, "at_least", 0.4, False),
        ("0.4 < recall", RECALL, "at_least", 0.4, True),
        ("fid.debiased <= -1.5", "fid.debiased", "at_most", -1.5, False),
        ("fid <= 1e-3", "fid", "at_most", 0.001, False),
        ("fd_dinov2.debiased <= .5", "fd_dinov2.debiased", "at_most", 0.5, False),
        ("recall[label=3] >= 0.4", f"{RECALL}[label=3]", "at_least", 0.4, False),
        ('recall[label="a cat"] >= 0.4', f'{RECALL}[label="a cat"]', "at_least", 0.4, False),
        ('recall[label="<5"] >= 0.4', f'{RECALL}[label="<5"]', "at_least", 0.4, False),
        ('0.4 <= recall[age="a >= 18"]', f'{RECALL}[age="a >= 18"]', "at_least", 0.4, False),
    ],
)
def test_short_form(
    make_gates: MakeGates, text: str, address: str, kind: str, limit: float, strict: bool
) -> None:
    """An address and a number in either order; the address becomes canonical."""
    (gate,) = make_gates([text], BOOK)
    assert (gate.address, gate.kind, gate.limit) == (address, kind, limit)
    assert (gate.strict, gate.judge, gate.level) == (strict, "point", "fail")
    assert gate.text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fid",
        "fid = 12",
        "fid == 12",
        "fid != 12",
        "fid <=",
        "<= 12",
        "fid <= nan",
        "fid <= NaN",
        "nan >= fid",
        "fid <= inf",
        "fid <= -inf",
        "fid <= Infinity",
        "fid <= 1e999",
        "fid <= twelve",
        "fid <= 5%",
        "fid <= 12 or so",
        "3 <= 12",
        "fid <= recall",
        "1 <= fid <= 3",
        "fid =< 12",
        "fid => 12",
        "fid << 12",
        "fid ≤ 12",
        "fid[label] <= 12",
        "fid[ <= 12",
        "debiased <= 12",
    ],
)
def test_nonsense_is_refused(make_gates: MakeGates, text: str) -> None:
    """A rule that could never be judged is a usage error that quotes it."""
    with pytest.raises(UsageError) as caught:
        make_gates([text], BOOK)
    assert f"gate {text}: " in str(caught.value)


def test_unknown_address_offers_the_nearest(make_gates: MakeGates) -> None:
    """A gate on a value the plan cannot produce is a usage error, not an error after the run."""
    with pytest.raises(UsageError, match=r"unknown address 'fidd'; did you mean 'fid'"):
        make_gates(["fidd <= 12"], BOOK)


@QUICK
@given(st.text(st.sampled_from("fid recall<>=.[]\"0129-+en%,'label"), max_size=24))
def test_any_text_is_a_gate_or_refused(make_gates: MakeGates, text: str) -> None:
    """Whatever is written, the outcome is a gate with a finite limit or a usage error."""
    try:
        (gate,) = make_gates([text], BOOK)
    except UsageError:
        return
    assert gate.limit is not None
    assert math.isfinite(gate.limit)


# The long form


def test_long_form_of_a_limit(make_gates: MakeGates) -> None:
    """A limit on the whole interval, as a warning, from some n on."""
    raw = {"value": "recall", "at_least": 0.4, "judge": "interval", "level": "warn", "min_n": 50}
    (gate,) = make_gates([raw], BOOK)
    assert gate == Gate(
        text="value: recall, at_least: 0.4, judge: interval, level: warn, min_n: 50",
        address=RECALL,
        kind="at_least",
        limit=0.4,
        level="warn",
        judge="interval",
        min_n=50,
    )


@pytest.mark.parametrize("kind", ["no_worse_than", "better_than", "equivalent_to"])
@pytest.mark.parametrize(
    ("margin", "number", "relative"),
    [("5%", 0.05, True), ("0.5%", 0.005, True), (0.25, 0.25, False), (1, 1.0, False)],
)
def test_long_form_of_a_comparison(
    make_gates: MakeGates, kind: str, margin: Any, number: float, relative: bool
) -> None:
    """A baseline by name and a margin, absolute or in percent; judged on the interval."""
    (gate,) = make_gates([{"value": "fid", kind: "last", "margin": margin}], BOOK)
    assert (gate.kind, gate.baseline, gate.limit) == (kind, "last", None)
    assert (gate.margin, gate.relative) == (pytest.approx(number), relative)
    assert (gate.judge, gate.confidence, gate.on_inconclusive) == ("interval", 0.95, "error")


def test_defaults_fail_closed(make_gates: MakeGates) -> None:
    """Unless said otherwise a gate fails, has no margin, and does not wave through the unclear."""
    (gate,) = make_gates([{"value": "fid", "no_worse_than": "last"}], BOOK)
    assert (gate.level, gate.margin, gate.on_inconclusive) == ("fail", 0.0, "error")


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({}, "value"),
        ({"value": "fid"}, "give exactly one of at_least, at_most"),
        ({"value": "fid", "at_most": 1, "at_least": 0}, "give exactly one"),
        ({"value": "fid", "at_most": 1, "no_worse_than": "last"}, "give exactly one"),
        ({"value": "fid", "better_than": "last", "no_worse_than": "last"}, "give exactly one"),
        ({"value": 5, "at_most": 1}, "value"),
        ({"value": "fidd", "at_most": 1}, "did you mean 'fid'"),
        ({"value": "fid", "atmost": 1}, "unknown key 'atmost'; did you mean 'at_most'"),
        ({"value": "fid", "at_most": 1, "direction": "lower"}, "unknown key 'direction'"),
        ({"value": "fid", "at_most": "12"}, "at_most"),
        ({"value": "fid", "at_most": "1e-3"}, "at_most"),
        ({"value": "fid", "at_most": True}, "at_most"),
        ({"value": "fid", "at_most": None}, "give exactly one"),
        ({"value": "fid", "at_most": math.nan}, "finite"),
        ({"value": "fid", "at_least": math.inf}, "finite"),
        ({"value": "fid", "at_least": -math.inf}, "finite"),
        ({"value": "fid", "no_worse_than": 5}, "no_worse_than"),
        ({"value": "fid", "no_worse_than": "lasst"}, "did you mean 'last'"),
        ({"value": "fid", "no_worse_than": ""}, "unknown baseline ''"),
        ({"value": "fid", "no_worse_than": "last", "margin": "5"}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": "5 percent"}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": "1e-3"}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": "-5%"}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": "nan%"}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": "inf%"}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": "%"}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": ""}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": -0.1}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": math.nan}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": math.inf}, "neither a number"),
        ({"value": "fid", "no_worse_than": "last", "margin": True}, "margin"),
        ({"value": "fid", "equivalent_to": "last"}, "needs a margin above 0"),
        ({"value": "fid", "equivalent_to": "last", "margin": "0%"}, "needs a margin above 0"),
        ({"value": "fid", "at_most": 1, "level": "error"}, "level"),
        ({"value": "fid", "at_most": 1, "judge": "both"}, "judge"),
        ({"value": "fid", "no_worse_than": "last", "confidence": 1.0}, "confidence"),
        ({"value": "fid", "no_worse_than": "last", "confidence": 0.5}, "confidence"),
        ({"value": "fid", "no_worse_than": "last", "confidence": 95}, "confidence"),
        ({"value": "fid", "no_worse_than": "last", "confidence": "0.95"}, "confidence"),
        ({"value": "fid", "no_worse_than": "last", "confidence": math.nan}, "confidence"),
        ({"value": "fid", "at_most": 1, "min_n": 0}, "min_n"),
        ({"value": "fid", "at_most": 1, "min_n": 1.5}, "min_n"),
        ({"value": "fid", "at_most": 1, "min_n": "50"}, "min_n"),
        ({"value": "fid", "no_worse_than": "last", "on_inconclusive": "ignore"}, "on_inconclusive"),
    ],
)
def test_what_the_long_form_refuses(make_gates: MakeGates, raw: dict[str, Any], told: str) -> None:
    """Unknown keys, two rules at once, text for numbers, NaN and odd margins are usage errors."""
    with pytest.raises(UsageError) as caught:
        make_gates([raw], BOOK)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        {"value": "fid", "at_most": 12, "margin": "5%"},
        {"value": "recall", "at_least": 0.4, "judge": "interval", "confidence": 0.99},
    ],
    ids=["margin", "confidence"],
)
def test_keys_without_effect_are_refused(make_gates: MakeGates, raw: dict[str, Any]) -> None:
    """A tolerance or a confidence that would silently do nothing to this kind is a mistake."""
    with pytest.raises(
        UsageError, match=next(key for key in raw if key in ("margin", "confidence"))
    ):
        make_gates([raw], BOOK)


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.sampled_from(["fid", "recall", "last", "5%", "interval", "point", "warn", "pass"])
        | st.floats()
        | st.integers(-2, 3)
        | st.none()
        | st.booleans()
        | st.lists(st.integers(), max_size=1),
    )
)
def test_any_mapping_is_a_gate_or_refused(make_gates: MakeGates, raw: dict[str, Any]) -> None:
    """Whatever keys and values are written, a gate is judgeable or the rule is refused."""
    try:
        (gate,) = make_gates([raw], BOOK)
    except UsageError:
        return
    assert (gate.limit is None) != (gate.baseline is None)
    assert gate.limit is None or math.isfinite(gate.limit)
    assert gate.margin >= 0
    assert math.isfinite(gate.margin)
    assert 0.5 < gate.confidence < 1


# In a suite: against baselines, waived, and with a budget of false alarms

METRICS = """\
version: 1
metrics:
  - fid
  - precision_recall
  - fid: {as: fd_dinov2}
baselines: {anchor: a.json, last: b.json}
"""


def of_suite(write: Callable[..., Path], *lines: str) -> tuple[Gate, ...]:
    """The gates of a suite with two baselines."""
    return suite_gates(write(METRICS + "\n".join(lines) + "\n"))


@pytest.mark.parametrize(
    ("text", "address", "baseline", "margin", "relative"),
    [
        ("fid <= last + 2", "fid", "last", 2.0, False),
        ("fid<=last + 2", "fid", "last", 2.0, False),
        ("fid <= last +2", "fid", "last", 2.0, False),
        ("  fid  <=  anchor  +  0.5  ", "fid", "anchor", 0.5, False),
        ("fid <= last + 5%", "fid", "last", 0.05, True),
        ("fid <= last", "fid", "last", 0.0, False),
        ("fd_dinov2.debiased <= last + 1e-3", "fd_dinov2.debiased", "last", 0.001, False),
        ("recall >= last - 0.05", RECALL, "last", 0.05, False),
        ("recall[label=3] >= last - 5%", f"{RECALL}[label=3]", "last", 0.05, True),
        ("recall >= baseline - 0.05", RECALL, "anchor", 0.05, False),  # the first one
    ],
)
def test_short_form_against_a_baseline(
    write: Callable[..., Path],
    text: str,
    address: str,
    baseline: str,
    margin: float,
    relative: bool,
) -> None:
    """It is `no_worse_than` with that margin, judged on the interval as the long form is."""
    (gate,) = of_suite(write, f"gates: ['{text}']")
    number = f"{100 * margin:g}%" if relative else margin
    name = address.replace("precision_recall.", "")
    long = f"{{value: '{name}', no_worse_than: {baseline}, margin: {number}}}"
    (same,) = of_suite(write, f"gates: [{long}]")
    assert gate == Gate(
        text,
        address,
        "no_worse_than",
        baseline=baseline,
        margin=pytest.approx(margin),
        relative=relative,
        judge="interval",
    )
    assert (same.address, same.kind, same.baseline) == (address, gate.kind, gate.baseline)
    assert (same.margin, same.relative, same.judge) == (gate.margin, gate.relative, gate.judge)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fid >= last - 2", "lower is better for fid: write fid <= last + MARGIN"),
        ("fid <= last - 2", "lower is better for fid: write fid <= last + MARGIN"),
        ("fid >= last", "lower is better for fid"),
        ("fid < last", "better_than: last"),
        ("recall <= last", "higher is better for precision_recall.recall"),
        ("recall >= last + 0.1", "recall >= last - MARGIN"),
        ("fid <= lasst + 2", "unknown baseline 'lasst'; did you mean 'last'"),
        ("fid <= last + 2 percent", "write ADDRESS <= NUMBER"),
        ("fid <= last + 2x", "could not convert"),
        ("fid <= last + 2e999", "neither a number"),
        ("fid <= last + x%", "write ADDRESS <= NUMBER"),
        ("fid <= last + 2x%", "neither a number"),
        ("fid <= last+2", "write ADDRESS <= NUMBER"),
        ("last + 2 >= fid", "write ADDRESS <= NUMBER"),
    ],
)
def test_margins_that_point_the_wrong_way(write: Callable[..., Path], text: str, told: str) -> None:
    """A tolerance is for the worse side of the output's direction; anything else is refused."""
    with pytest.raises(UsageError) as caught:
        of_suite(write, f"gates: ['{text}']")
    assert told in str(caught.value)


def test_baseline_is_the_name_where_there_is_one(write: Callable[..., Path]) -> None:
    """`baseline: PATH` is short for one of that name; without any the word is unknown."""
    text = "version: 1\nmetrics: [fid]\nbaseline: a.json\ngates: [fid <= baseline]\n"
    assert suite_gates(write(text))[0].baseline == "baseline"
    with pytest.raises(UsageError, match="unknown baseline 'baseline'; known: none"):
        suite_gates(write(text.replace("baseline: a.json\n", "")))


@pytest.mark.parametrize("kind", ["no_worse_than", "better_than", "equivalent_to"])
def test_several_baselines_are_a_gate_each(write: Callable[..., Path], kind: str) -> None:
    """All must hold, so each stands for itself and is named in its own text."""
    gates = of_suite(write, f"gates: [{{value: fid, {kind}: [anchor, last], margin: 5%}}]")
    assert [gate.baseline for gate in gates] == ["anchor", "last"]
    assert [gate.text for gate in gates] == [
        f"value: fid, {kind}: {name}, margin: 5%" for name in ("anchor", "last")
    ]
    assert {(gate.kind, gate.margin, gate.relative) for gate in gates} == {(kind, 0.05, True)}


def test_no_baselines_at_all_are_refused(write: Callable[..., Path]) -> None:
    """A rule against an empty list would hold of anything."""
    with pytest.raises(UsageError, match="no_worse_than"):
        of_suite(write, "gates: [{value: fid, no_worse_than: []}]")


WAIVERS = "waivers: [{gate: '%s', reason: data moved, until: 2026-12-31}]"


@pytest.mark.parametrize(
    ("gate", "waived"),
    [("fid <= 12", [0]), ("12>=fid", [0]), ("fid <= last + 5%", [2]), ("fid <= anchor + 5%", [1])],
)
def test_a_waiver_belongs_to_the_gates_that_demand_the_same(
    write: Callable[..., Path], gate: str, waived: list[int]
) -> None:
    """However the rule is written; of several baselines each can be waived by itself."""
    gates = of_suite(
        write,
        "gates: [fid <= 12, {value: fid, no_worse_than: [anchor, last], margin: 5%}]",
        WAIVERS % gate,
    )
    waiver = Waiver("data moved", date(2026, 12, 31))
    assert [i for i, one in enumerate(gates) if one.waiver is not None] == waived
    assert {one.waiver for one in gates} == {None, waiver}


def test_a_waiver_of_the_long_form_waives_every_baseline(write: Callable[..., Path]) -> None:
    """A waiver may be written as the gate is."""
    gate = "{value: fid, no_worse_than: [anchor, last]}"
    waiver = f"{{gate: {gate}, reason: x, until: 2026-01-01}}"
    gates = of_suite(write, f"gates: [{gate}]", f"waivers: [{waiver}]")
    assert all(one.waiver is not None for one in gates)


@pytest.mark.parametrize(
    ("waiver", "told"),
    [
        ("{gate: fid <= 13, reason: x, until: 2026-12-31}", "no such gate to waive; it has fid"),
        ("{gate: fidd <= 12, reason: x, until: 2026-12-31}", "unknown address 'fidd'"),
        ("{gate: fid <= 12, until: 2026-12-31}", "reason"),
        ("{gate: fid <= 12, reason: '  ', until: 2026-12-31}", "say why"),
        ("{gate: fid <= 12, reason: x}", "until"),
        ("{gate: fid <= 12, reason: x, until: soon}", "write a day such as 2026-12-31"),
        ("{gate: fid <= 12, reason: x, until: 2026-13-31}", "month must be in 1..12"),
        ("{gate: fid <= 12, reason: x, until: 20261231}", "until"),
        ("{gate: fid <= 12, reason: x, until: 2026-12-31, by: me}", "unknown key 'by'"),
    ],
)
def test_waivers_that_are_refused(write: Callable[..., Path], waiver: str, told: str) -> None:
    """A waiver of no gate, without a reason or without an end is an error with its line."""
    with pytest.raises(UsageError) as caught:
        of_suite(write, "gates: [fid <= 12]", f"waivers:\n  - {waiver}")
    assert re.search(r"suite\.yaml:\d+: ", str(caught.value))
    assert told in str(caught.value)


def test_a_gate_is_waived_once(write: Callable[..., Path]) -> None:
    """Two waivers of one gate would leave open which day holds."""
    waiver = "{gate: fid <= 12, reason: x, until: 2026-12-31}"
    with pytest.raises(UsageError, match="no such gate to waive; it has none"):
        of_suite(write, "gates: [fid <= 12]", f"waivers: [{waiver}, {waiver}]")


def test_waivers_and_gates_append_to_what_is_extended(write: Callable[..., Path]) -> None:
    """A suite that extends another keeps its gates and waivers, and names its own lines."""
    write(METRICS + "gates: [fid <= 12]\n" + WAIVERS % "fid <= 12" + "\n", "base.yaml")
    child = "version: 1\nextends: base.yaml\ngates: [recall >= 0.4]\nwaivers:\n"
    own = "  - {gate: recall >= 0.4, reason: y, until: 2026-01-01}\n"
    gates = suite_gates(write(child + own))
    assert [gate.waiver.reason for gate in gates if gate.waiver] == ["data moved", "y"]
    with pytest.raises(UsageError, match=r"suite\.yaml:5: waiver of recall >= 0\.5"):
        suite_gates(write(child + own.replace("0.4", "0.5")))


@pytest.mark.parametrize(
    ("text", "alpha"),
    [("1 per 365 runs", 1 / 365), ("5 per 100 runs", 0.05), ("1 per 2 runs", 0.5)],
)
def test_a_budget_of_false_alarms(write: Callable[..., Path], text: str, alpha: float) -> None:
    """So many runs of so many may fail by chance."""
    assert load_suite(str(write(f"{METRICS}false_alarms: {text}\n"))).alpha == alpha
    assert load_suite(str(write(METRICS))).alpha is None


@pytest.mark.parametrize(
    "text", ["0.05", "1 in 365", "0 per 365 runs", "1 per 0 runs", "2 per 3 runs", "none", "1e-3"]
)
def test_budgets_that_are_refused(refused: Callable[..., str], text: str) -> None:
    """What is no share of runs is refused with the form to write."""
    told = refused(f"{METRICS}false_alarms: {text!r}\n")
    assert "write N per M runs, such as 1 per 365 runs" in told


def suite_gates(path: Path) -> tuple[Gate, ...]:
    """The gates of a suite file."""
    return read_gates(load_suite(str(path)), BOOK)


SUITE = """\
version: 1
metrics: [fid, precision_recall]
baselines: {last: baselines/main.json}
gates:
  - fid <= 12
  - {value: fid, no_worse_than: last, margin: 5%, confidence: 0.9}
  - {value: "recall[label=3]", at_least: 0.4, judge: interval, level: warn}
"""


def test_gates_of_a_suite(write: Callable[..., Path]) -> None:
    """The forms of DESIGN.md's example are gates."""
    gates = suite_gates(write(SUITE))
    assert [(gate.address, gate.kind) for gate in gates] == [
        ("fid", "at_most"),
        ("fid", "no_worse_than"),
        (f"{RECALL}[label=3]", "at_least"),
    ]
    assert (gates[1].margin, gates[1].confidence) == (pytest.approx(0.05), 0.9)


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ("fidd <= 12", "gate fidd <= 12: unknown address 'fidd'"),
        ("{value: fid, at_most: 1e-3}", "gate value: fid, at_most: 1e-3: at_most"),
        ("{value: fid, better_than: main}", "unknown baseline 'main'; known: last"),
    ],
)
def test_refusals_name_the_line(write: Callable[..., Path], gate: str, told: str) -> None:
    """A gate that is refused is told with file and line."""
    path = write(f"{SUITE}  - {gate}\n")
    with pytest.raises(UsageError) as caught:
        suite_gates(path)
    assert str(caught.value).startswith(f"{path}:8: gate ")
    assert told in str(caught.value)


def test_a_suite_without_gates(write: Callable[..., Path]) -> None:
    """Gates are optional."""
    assert suite_gates(write("version: 1\nmetrics: [fid]\n")) == ()
