"""Gates: what a suite's author may write, and that nonsense is refused before any work."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.errors import UsageError
from geneval.gate import Gate, read_gates
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


# In a suite


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
