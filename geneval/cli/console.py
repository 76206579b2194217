"""What the commands share in talking to a person: data on stdout, progress and words on stderr."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, directions, surrogates, line separators
_COMMAND = re.compile(r"^(\s*)::")
_COLOURS = {"PASS": "32", "FAIL": "31", "WARN": "33", "INCONCLUSIVE": "35", "ERROR": "35"}


def printable(text: str) -> str:
    """Text on one line without what could steer a terminal or a CI system; that is spelled out.

    GitHub Actions takes a line that begins with `::`, or holds `##[`, for a command.
    """
    seen = "".join(
        c if unicodedata.category(c) not in _UNSEEN else f"\\x{ord(c):02x}" for c in text
    )
    return _COMMAND.sub(r"\1\\x3a:", seen).replace("##[", "#\\x23[")


def say(sentence: str) -> None:
    """A message for the person, on stderr."""
    print(printable(sentence), file=sys.stderr, flush=True)


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Rows as aligned lines; the last column is not padded."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else []
    return [
        indent + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=True))]).rstrip()
        for row in cells
    ]


def status(word: str) -> str:
    """A status word, coloured on a terminal that wants colour."""
    import os

    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return word
    return f"\033[1;{_COLOURS.get(word, '0')}m{word}\033[0m"
