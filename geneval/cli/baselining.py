"""Baselines as text."""

from __future__ import annotations

from pathlib import Path

from geneval.baseline import baselines_in, load_baseline, read_note
from geneval.cli.console import columns, printable
from geneval.value import shown


def path_of(which: str, directory: Path) -> Path:
    """The file of a baseline by its name in a folder, unless it is a path itself."""
    named = directory / f"{which}.json"
    return named if named.is_file() and not Path(which).exists() else Path(which)


def listing(directory: Path) -> list[str]:
    """A line for every baseline of a folder."""
    rows = [("name", "of", "step", "date", "author", "reason")]
    for path, note in baselines_in(directory):
        subject = load_baseline(path).document.subject
        step = "" if subject.step is None else f"{subject.step:,}"
        rows.append((note.name, subject.name, step, note.date, note.author, note.reason))
    return columns(rows) if len(rows) > 1 else [printable(f"no baselines in {directory}")]


def in_full(path: Path) -> list[str]:
    """A baseline's note, then its values."""
    note, found = read_note(path), load_baseline(path)
    told = (
        f"{note.name}: {found.name} under {found.document.suite.name}",
        f"made on {note.date} by {note.author}: {note.reason}",
        f"result {note.result}",
        "scores per sample: " + (note.evidence or "none, differences will be unpaired"),
    )
    rows = [("value", "number", "interval", "n", "signature")]
    for value in found.values():
        interval = value.interval
        bounds = f"[{shown(interval.low)}, {shown(interval.high)}]" if interval else ""
        number = "—" if value.number is None else shown(value.number)
        n = "/".join("?" if count is None else str(count) for count in value.n.values())
        rows.append((value.address, number, bounds, n, value.signature.line()))
    return [*map(printable, told), *columns(rows, "  ")]
