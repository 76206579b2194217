"""Options: typed keyword parameters, checked strictly."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest

from geneval.errors import UsageError
from geneval.options import AtLeast, AtMost, checked, declared


def example(
    x: int,
    plain: int = 1,
    *,
    required: int,
    k: int = 3,
    share: float = 0.5,
    exact: bool = False,
    mode: Literal["a", "b"] = "a",
    classes: list[str] | None = None,
) -> None:
    """A function with parameters of every kind."""


def test_options_are_keywords_with_a_default() -> None:
    """Positional parameters and keywords without a default are not options."""
    names = [option.name for option in declared(example)]
    assert names == ["k", "share", "exact", "mode", "classes"]


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("k", "k: int = 3"),
        ("share", "share: float = 0.5"),
        ("mode", "mode: Literal['a', 'b'] = 'a'"),
        ("classes", "classes: list[str] | None = None"),
    ],
)
def test_described(name: str, described: str) -> None:
    """An option is listed as it would be written."""
    assert {o.name: o.described() for o in declared(example)}[name] == described


def test_defaults_are_filled_in() -> None:
    """What is not given is complete with the defaults."""
    assert checked("metric x", example, {"k": 5}) == {
        "k": 5,
        "share": 0.5,
        "exact": False,
        "mode": "a",
        "classes": None,
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"share": 1}, 1.0),
        ({"share": 0.25}, 0.25),
        ({"exact": True}, True),
        ({"mode": "b"}, "b"),
        ({"classes": ["x", "y"]}, ["x", "y"]),
        ({"classes": None}, None),
    ],
)
def test_fitting_options(given: dict[str, Any], kept: Any) -> None:
    """A whole number serves as a float; everything else fits as it is."""
    ((name, _),) = given.items()
    assert checked("metric x", example, given)[name] == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k", "3"),
        ("k", 3.0),
        ("k", True),
        ("k", None),
        ("share", "0.5"),
        ("share", "1e-3"),
        ("share", True),
        ("exact", "yes"),
        ("exact", 1),
        ("mode", "c"),
        ("classes", "x"),
        ("classes", [1, 2]),
    ],
)
def test_unfitting_options(name: str, value: Any) -> None:
    """No text becomes a number and no number a truth value; the sentence shows the declaration."""
    with pytest.raises(UsageError) as caught:
        checked("metric x", example, {name: value})
    sentence = str(caught.value)
    described = {o.name: o.described() for o in declared(example)}[name]
    assert sentence.startswith(f"metric x: option {name} = {value!r} does not fit `{described}`")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(value: float) -> None:
    """NaN is smaller and larger than nothing, so a metric with it as a limit finds no fault."""
    with pytest.raises(UsageError, match="share"):
        checked("metric x", example, {"share": value})


@pytest.mark.parametrize("name", ["kk", "x", "plain", "required"])
def test_unknown_options_list_the_known(name: str) -> None:
    """Only options can be set; the sentence names the thing, the option and those there are."""
    with pytest.raises(UsageError, match=rf"^metric x: unknown option '{name}'.*classes, exact, k"):
        checked("metric x", example, {name: 1})


def test_unknown_option_offers_the_nearest() -> None:
    """A slip of the finger gets the option that was meant."""
    with pytest.raises(UsageError, match="did you mean 'share'"):
        checked("metric x", example, {"shore": 1.0})


def test_bounds() -> None:
    """Both ends of an option's range belong to it; what lies beyond names the end."""

    def bounded(*, rate: Annotated[float, AtLeast(0), AtMost(1)] = 0.1) -> None:
        """A function with a share."""

    for rate in (0, 0.5, 1):
        assert checked("metric x", bounded, {"rate": rate}) == {"rate": rate}
    with pytest.raises(UsageError, match=r"option rate = -0\.1 must be at least 0"):
        checked("metric x", bounded, {"rate": -0.1})
    with pytest.raises(UsageError, match=r"option rate = 1\.1 must be at most 1"):
        checked("metric x", bounded, {"rate": 1.1})
