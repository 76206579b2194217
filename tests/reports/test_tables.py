"""Comparisons as one table: tie groups in bold, and nothing that a reader of it would run."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest

from geneval.compare import Cell, Comparison, Entry, Row
from geneval.difference import Difference
from geneval.reports.tables import as_csv, latex, markdown
from geneval.value import Interval, OutputSpec

LOWER, TARGET = OutputSpec("fid", "lower"), OutputSpec("n", "target")


def comparison(*names: str) -> Comparison:
    """Three entries under two values; the first two tie in the first value."""

    def cell(number: float | None, rank: int | None, by: float | None = None) -> Cell:
        if number is None:
            return Cell(None, None, "too few samples")
        interval = Interval(number - 1, number + 1, 0.95, "made", "population")
        found = Difference("fid", by, 0.5, interval, True, 0.01, n=50) if by else None
        return Cell(number, interval, None, rank, None, found, tier="regression" if by else None)

    rows = (
        Row("fid", LOWER, "fid|v:1", (cell(3, 1), cell(3.25, 1), cell(9, 3, 6))),
        Row("n_50%", TARGET, "n|v:1", (cell(1, None), cell(None, None), cell(2, None))),
    )
    entries = tuple(Entry(name, None, ("0",), ("",)) for name in names)
    return Comparison("suite", entries, 0, rows)


PLAIN = comparison("a", "b", "c")


def test_the_tie_group_is_bold() -> None:
    """Who shares the first rank is bold in LaTeX and Markdown and marked in CSV; others are not."""
    (line,) = [line for line in latex(PLAIN).splitlines() if line.startswith("fid")]
    assert re.findall(r"\\textbf\{(\S+)\}", line) == ["3", "3.25"]
    (line,) = [line for line in markdown(PLAIN).splitlines() if line.startswith("| fid")]
    assert re.findall(r"\*\*(\S+)\*\*", line) == ["3", "3.25"]
    rows = list(csv.DictReader(io.StringIO(as_csv(PLAIN))))
    assert [row["best"] for row in rows if row["value"] == "fid"] == ["1", "1", "0"]


def test_the_latex_table_is_whole() -> None:
    """As many cells in every row, special characters escaped, intervals beside the numbers."""
    text = latex(comparison("a_b", "50% {x}", "~^\\&#$"))
    lines = text.splitlines()
    rows = [line for line in lines if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", line)) for line in rows] == [3, 3, 3]
    assert rows[0].startswith(r" & a\_b & 50\% \{x\} & \textasciitilde{}\textasciicircum{}")
    assert rows[0].endswith("\\textbackslash{}\\&\\#\\$ \\\\")
    assert rows[1].startswith(r"fid $\downarrow$ & \textbf{3} [2, 4] & ")
    assert rows[2].startswith(r"n\_50\% & 1 [0, 2] & -- & 2 [1, 3]")


def test_markdown_says_what_differences_say() -> None:
    """Below the table stands every tier but `no evidence`."""
    told = markdown(PLAIN).splitlines()
    assert told[-3:] == ["Against a:", "", "- c, fid: regression"]
    assert "Against" not in markdown(replace(PLAIN, rows=PLAIN.rows[1:]))


def test_csv_has_every_number() -> None:
    """Unrounded numbers, intervals, differences and problems, in one line per value and entry."""
    rows = list(csv.DictReader(io.StringIO(as_csv(PLAIN))))
    assert len(rows) == 6
    assert rows[2] == {
        **{"value": "fid", "direction": "lower", "entry": "c", "step": "", "number": "9"},
        **{"low": "8", "high": "10", "level": "0.95", "rank": "3", "best": "0"},
        **{"difference": "6", "difference_low": "8", "difference_high": "10", "paired": "1"},
        **{"p": "0.01", "effect": "", "tier": "regression", "n": "50", "n_needed": ""},
        "problem": "",
    }
    assert rows[4]["problem"] == "too few samples"


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x", "\tx"])
def test_csv_runs_no_formula(name: str) -> None:
    """A checkpoint's name that a spreadsheet would run is text."""
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison(name, 'q"u,o', "c")), newline="")))
    assert rows[0]["entry"] == f"'{name}"
    assert rows[1]["entry"] == 'q"u,o'


def test_csv_has_a_line_per_value_and_entry() -> None:
    """A name cannot begin a line of its own."""
    text = as_csv(comparison("a\r\n=b", "c\u2028d", "e"))
    assert len(text.splitlines()) == 1 + 6
    assert "\nfid,lower,a =b," in text
