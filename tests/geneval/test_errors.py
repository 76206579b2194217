"""Errors: whose fault they are, and the exit code they end with."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.errors import (
    CheckpointError,
    ExitCode,
    GenevalError,
    SampleError,
    UsageError,
    unknown,
)

QUICK = settings(max_examples=100, deadline=None, database=None, derandomize=True)


@pytest.mark.parametrize(
    ("name", "code"),
    [("PASSED", 0), ("FAILED", 1), ("USAGE", 2), ("ERROR", 3), ("INTERRUPTED", 130)],
)
def test_exit_codes(name: str, code: int) -> None:
    """The exit codes are those of DESIGN.md, "Gates and exit codes"."""
    assert ExitCode[name] == code


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError, 2), (SampleError, 3), (CheckpointError, 3), (GenevalError, 3)]
)
def test_every_error_has_an_exit_code(error: type[GenevalError], code: int) -> None:
    """The caller's mistake is 2; what is wrong with data or model could not be evaluated: 3."""
    assert error("told").exit_code == code
    assert str(error("told")) == "told"


def test_unknown_offers_the_nearest() -> None:
    """A mistyped name is told with the nearest known one, and with all there are."""
    sentence = unknown("metric", "fidd", ["kid", "fid", "recall"])
    assert sentence == "unknown metric 'fidd'; did you mean 'fid'? known: fid, kid, recall"


def test_unknown_without_a_near_name() -> None:
    """A name like none of the known ones gets no guess."""
    sentence = unknown("metric", "zzzzzz", ["kid", "fid"])
    assert "did you mean" not in sentence
    assert sentence.endswith("known: fid, kid")


def test_unknown_among_none() -> None:
    """Where nothing is known the sentence says so."""
    assert unknown("baseline", "last", []).endswith("known: none")


@QUICK
@given(st.text(max_size=20), st.sets(st.text(min_size=1, max_size=20), max_size=8))
def test_unknown_lists_everything(name: str, known: set[str]) -> None:
    """Whatever the names are, the sentence holds every one of them."""
    sentence = unknown("thing", name, known)
    assert all(one in sentence for one in known)
    assert repr(name) in sentence
