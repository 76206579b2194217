"""Values: complete or refused; addresses: one grammar, written and read."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.errors import GenevalError
from geneval.value import (
    AddressBook,
    Estimate,
    Evidence,
    Interval,
    OutputSpec,
    Role,
    Value,
    address_of,
    parse_address,
    shown,
)

QUICK = settings(max_examples=300, deadline=None, database=None, derandomize=True)
SPREAD = Interval(0.5, 1.5, 0.95, "made", "population")
BOOK = AddressBook(
    (
        ("fid", "fid", ("fid", "debiased")),
        ("fd_dinov2", "fid", ("fid", "debiased")),
        ("precision_recall", "precision_recall", ("precision", "recall")),
        ("kid", "kid", ("kid", "unbiased")),
    )
)


def test_roles_keep_their_order() -> None:
    """Roles always come as generated, reference, train."""
    assert [role.value for role in Role] == ["generated", "reference", "train"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"number": 1.0, "problem": "both", "no_interval": "none"},
        {"number": 1.0},
        {"number": 1.0, "interval": SPREAD, "no_interval": "both"},
        {"number": math.nan, "no_interval": "none"},
        {"number": math.inf, "no_interval": "none"},
        {"number": -math.inf, "no_interval": "none"},
        {"number": float(np.float64("nan")), "no_interval": "none"},
    ],
    ids=["neither", "both", "no interval", "two answers", "nan", "inf", "-inf", "numpy nan"],
)
def test_incomplete_estimates_are_refused(given: dict[str, Any]) -> None:
    """Exactly one of number and problem, a finite number, and an interval or a reason for none."""
    with pytest.raises(ValueError, match=r"number|interval"):
        Estimate(output="fid", **given)


@pytest.mark.parametrize(
    "given",
    [
        {"number": 1.0, "interval": SPREAD},
        {"number": 1.0, "no_interval": "a count"},
        {"problem": "too few samples"},
    ],
)
def test_complete_estimates_are_accepted(given: dict[str, Any]) -> None:
    """A number with its interval or the reason for none, or a problem, is an estimate."""
    estimate = Estimate(output="fid", **given)
    assert (estimate.number is None) == ("problem" in given)


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 0.5), (math.nan, 1.0), (0.0, math.nan), (-math.inf, 0.0), (0, math.inf)]
)
def test_interval_is_finite_and_ordered(low: float, high: float) -> None:
    """An interval that could never be judged is refused when it is made."""
    with pytest.raises(ValueError, match="not finite and ordered"):
        Interval(low, high, 0.95, "made", "at_n")


def test_evidence_names_every_row() -> None:
    """Evidence has one row per id."""
    with pytest.raises(ValueError, match="2 evidence rows for 3 ids"):
        Evidence("scores", ("a", "b", "c"), np.zeros(2))


@pytest.mark.parametrize(
    ("limits", "number", "inside"),
    [
        ((0, 1), 0.0, True),
        ((0, 1), 1.0, True),
        ((0, 1), 1.1, False),
        ((0, None), 1e300, True),
        ((0, None), -1e-300, False),
        ((None, 1), -1e300, True),
        ((None, None), -5.0, True),
        ((0, 1), math.nan, False),
    ],
)
def test_range_of_an_output(
    limits: tuple[float | None, float | None], number: float, inside: bool
) -> None:
    """Both ends belong to the range, an end of None is unbounded, NaN is in no bounded range."""
    assert (number in OutputSpec("x", "higher", range=limits)) is inside


@pytest.mark.parametrize(
    ("key", "metric", "output", "at", "address"),
    [
        ("fid", "fid", "fid", {}, "fid"),
        ("fid", "fid", "debiased", {}, "fid.debiased"),
        ("fd_dinov2", "fid", "fid", {}, "fd_dinov2"),
        ("pr", "precision_recall", "recall", {"label": "3"}, "pr.recall[label=3]"),
        ("fid", "fid", "fid", {"b": "2", "a": "1"}, "fid[a=1,b=2]"),
        ("fid", "fid", "fid", {"label": "a cat"}, 'fid[label="a cat"]'),
        ("fid", "fid", "fid", {"label": ""}, 'fid[label=""]'),
    ],
)
def test_canonical_address(
    key: str, metric: str, output: str, at: dict[str, str], address: str
) -> None:
    """An address is the key, the output unless it bears the metric's name, and sorted groups."""
    assert address_of(key, metric, output, at) == address


@QUICK
@given(
    st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), st.text()),
    st.sampled_from(["fid", "debiased"]),
)
def test_addresses_round_trip(at: dict[str, str], output: str) -> None:
    """Whatever text labels hold, an address that is written is read back as the same groups."""
    address = address_of("fid", "fid", output, at)
    name, groups = parse_address(address)
    assert groups == at
    assert name == ("fid" if output == "fid" else "fid.debiased")
    assert BOOK.resolve(address) == address


@pytest.mark.parametrize("column", ["hair-color", "file name", "größe", "a.b", "x=y", "1st"])
def test_any_metadata_column_makes_an_address(column: str) -> None:
    """A group by any metadata column can be addressed: DESIGN.md allows `by` any column."""
    address = address_of("fid", "fid", "fid", {column: "red"})
    assert parse_address(address) == ("fid", {column: "red"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fid.",
        ".fid",
        "fid..debiased",
        "1fid",
        "fid[label]",
        "fid[label=]",
        "fid[label=3",
        "fid[label=3]]",
        "fid[]",
        "fid[label=3,]",
        'fid[label="3]',
        "fid <= 3",
        "fid[label=3][label=4]",
    ],
)
def test_bad_addresses_are_refused(text: str) -> None:
    """Text outside the grammar is refused with an example of the grammar."""
    with pytest.raises(ValueError, match="is not an address such as"):
        parse_address(text)


def test_a_group_column_is_named_once() -> None:
    """Two values for one column contradict each other."""
    with pytest.raises(ValueError, match="'label' twice"):
        parse_address("fid[label=3,label=4]")


@QUICK
@given(st.text())
def test_parsing_never_crashes(text: str) -> None:
    """Any text is an address or a `ValueError`, nothing else."""
    try:
        name, _ = parse_address(text)
    except ValueError:
        return
    assert name in text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("kid", "kid"),
        ("kid.kid", "kid"),
        ("kid.unbiased", "kid.unbiased"),
        ("unbiased", "kid.unbiased"),
        ("fid", "fid"),
        ("fid.fid", "fid"),
        ("fd_dinov2", "fd_dinov2"),
        ("fd_dinov2.fid", "fd_dinov2"),
        ("precision_recall", "precision_recall.precision"),
        ("recall", "precision_recall.recall"),
        ("recall[label=3]", "precision_recall.recall[label=3]"),
        ('recall[label="3"]', "precision_recall.recall[label=3]"),
        ("recall[b=2,a=1]", "precision_recall.recall[a=1,b=2]"),
        ("  recall ", "precision_recall.recall"),
    ],
)
def test_what_addresses_mean(text: str, canonical: str) -> None:
    """The key alone is its first output, an output alone is enough where it is unique."""
    assert BOOK.resolve(text) == canonical


def test_ambiguous_address_names_the_choices() -> None:
    """An output that several measurements have is refused with all of them."""
    with pytest.raises(LookupError, match=r"fid\.debiased, fd_dinov2\.debiased"):
        BOOK.resolve("debiased")


def test_unknown_address_offers_the_nearest() -> None:
    """An address that nothing produces is told with the nearest one."""
    with pytest.raises(LookupError, match=r"did you mean 'precision_recall\.recall'"):
        BOOK.resolve("precision_recall.recal")


def test_a_key_comes_before_an_output() -> None:
    """A measurement called like another one's output is what its key says."""
    book = AddressBook((("recall", "fid", ("fid",)), ("pr", "precision_recall", ("recall",))))
    assert book.resolve("recall") == "recall"
    assert book.resolve("pr.recall") == "pr.recall"


def test_all_names_resolve_to_themselves() -> None:
    """Every canonical address is one of its own readings."""
    assert [BOOK.resolve(name) for name in BOOK.names()] == BOOK.names()


def test_compared_by_keeps_key_and_group(make_value: Callable[..., Value]) -> None:
    """The output compared instead is that of the same measurement and the same group."""
    value = make_value("fd_dinov2[label=3]", metric="fid", compared_by="debiased")
    assert value.compared_by == "fd_dinov2.debiased[label=3]"
    assert make_value("kid").compared_by == "kid"


@pytest.mark.parametrize(
    ("number", "beside", "text"),
    [
        (12.0, None, "12"),
        (3.14159265, None, "3.142"),
        (12.00001, 12.0, "12.00001"),
        (12.0, 12.0, "12"),
        (0.1 + 0.2, 0.3, "0.30000000000000004"),
        (-1e-30, 0.0, "-1e-30"),
    ],
)
def test_shown_tells_numbers_apart(number: float, beside: float | None, text: str) -> None:
    """Four significant digits, or as many as it takes to differ from the number beside it."""
    assert shown(number, beside) == text


@QUICK
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_different_numbers_look_different(a: float, b: float) -> None:
    """A sentence never prints two different numbers as one."""
    assert a == b or shown(a, b) != shown(b, a)


@pytest.mark.parametrize("kind", [int, float, np.float64, np.int64, np.float32])
def test_a_value_is_compared_by_its_number(
    make_value: Callable[..., Value], kind: type[float]
) -> None:
    """Against numbers of every kind, on either side; against another value by all that it is."""
    value, low, same, high = make_value("fid", 12.0), kind(11), kind(12), kind(13)
    assert value <= same <= value
    assert low < value < high
    assert high > value > low
    assert value == same
    assert same == value
    assert value != high
    for wrong in (
        value < same,
        value > same,
        value <= low,
        value >= high,
        value == low,
        low > value,
    ):
        assert not wrong
    assert value == make_value("fid", 12.0)
    assert value != make_value("kid", 12.0)
    assert len({value, make_value("fid", 12.0)}) == 1
    assert float(value) == 12


COMPARED: list[Callable[[Any, Any], Any]] = [
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
    operator.eq,
    operator.ne,
]


@pytest.mark.parametrize("compare", COMPARED)
def test_a_comparison_that_means_nothing_raises(
    make_value: Callable[..., Value], compare: Callable[[Any, Any], Any]
) -> None:
    """A problem, a limit that is not finite: neither true nor false, in either order."""
    broken, value = make_value("fid", problem="too few samples"), make_value("fid", 12.0)
    for sides in ((broken, 12), (12, broken)):
        with pytest.raises(GenevalError, match="fid has no number: too few samples"):
            compare(*sides)
    for limit in (math.nan, math.inf, -math.inf, np.float64("nan")):
        for sides in ((value, limit), (limit, value)):
            with pytest.raises(GenevalError, match="fid cannot be compared with"):
                compare(*sides)
    if compare not in (operator.eq, operator.ne):
        for other in (True, "12", None, value, 1j):
            with pytest.raises(TypeError):
                compare(value, other)
