"""What can go wrong, sorted by whose fault it is, and the exit code each kind ends with.

`UsageError` is the caller's (a wrong name, a missing path), `SampleError` the data's,
`CheckpointError` the model's. Everything else that escapes is a defect and ends as `ERROR`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; when several apply, `ERROR` wins over `FAILED`."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    ERROR = 3
    INTERRUPTED = 130


class GenevalError(Exception):
    """An error whose message is one complete sentence for the person at the terminal."""

    exit_code = ExitCode.ERROR


class UsageError(GenevalError):
    """The request cannot be meant: an unknown name, an absent path, an impossible plan."""

    exit_code = ExitCode.USAGE


class SampleError(GenevalError):
    """The samples cannot be evaluated: a broken file, a wrong shape, a value out of range."""


class CheckpointError(GenevalError):
    """The checkpoint cannot be loaded or does not generate what was asked of it."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not known: it offers the nearest one and lists the rest."""
    names = sorted(known)
    folded = {known_name.casefold(): known_name for known_name in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    hint = f"; did you mean {folded[near[0]]!r}?" if near else ";"
    return f"unknown {kind} {name!r}{hint} known: {', '.join(names) or 'none'}"
