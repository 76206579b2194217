"""A ranking by preferences as a table and sentences, and as preferences.json and preferences.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from geneval.ledger import atomic_write
from geneval.preferences import Ranking, to_json
from geneval.reports.markdown import escape, table
from geneval.value import Measured

DOCUMENT = "preferences.json"
PAGE = "preferences.md"
HEAD = ("System", "Games", "Win rate", "Elo", "Strength", "Rank", "Not told apart from")


def rows(ranking: Ranking) -> list[tuple[str, ...]]:
    """A row of text for each system, under `HEAD`."""
    return [
        (
            one.system,
            f"{one.games:,}",
            cell(one.win_rate),
            cell(one.elo),
            cell(one.strength),
            "–" if one.rank is None else str(one.rank),
            "–" if one.rank is None else ", ".join(one.tied) or "none",
        )
        for one in ranking.standings
    ]


def cell(measured: Measured) -> str:
    """A number with its interval where it has one."""
    if measured.number is None:
        return "undefined"
    number, interval = _short(measured.number), measured.interval
    if interval is None:
        return number
    return f"{number} [{_short(interval.low)}, {_short(interval.high)}]"


def _short(number: float) -> str:
    """Three digits after the point, or one of what is as large as Elo ratings."""
    return f"{number:.3f}" if abs(number) < 10 else f"{number:.1f}"


def sentences(ranking: Ranking) -> Iterator[str]:
    """What the table leaves open: what is undefined, agreement, and how the numbers were made."""
    for name, parts in (
        ("Elo", [one.elo for one in ranking.standings]),
        ("strength", [one.strength for one in ranking.standings]),
    ):
        yield from dict.fromkeys(f"{name}: {_why(part)}" for part in parts if _why(part))
    agreement = ranking.agreement
    if agreement is not None:
        why = _why(agreement)
        yield f"Krippendorff's α of the raters: {cell(agreement)}" + (f" ({why})" if why else "")
    how = ranking.method
    counted = [f"{how[name]:,} {name}" for name in ("records", "items", "raters") if name in how]
    yield (
        f"{', '.join(counted)}; {how['level']:.0%} intervals: Wilson's of win rates (ties half), "
        f"else percentiles of {how['resamples']:,} resamples of {how['resampled']}, "
        f"seed {how['seed']}"
    )
    yield (
        f"Elo in the order of the records: initial {how['elo_initial']:g}, K {how['elo_k']:g}, "
        f"scale {how['elo_scale']:g}, base {how['elo_base']:g}"
    )
    yield "strengths: Bradley–Terry log-odds with mean 0, a tie half a win for each"
    yield "rank: one more than the systems that are stronger by an interval that excludes 0"
    if "items" in how and how["items"] != how["records"]:
        yield "win rates: intervals take records as independent, though items have several"


def _why(part: Measured) -> str:
    return part.problem or part.no_interval or ""


def render(ranking: Ranking) -> str:
    """The ranking as Markdown."""
    told = [f"- {escape(sentence)}" for sentence in sentences(ranking)]
    return "\n".join(["## Preferences", "", *table(HEAD, rows(ranking)), "", *told]) + "\n"


def write_preferences(ranking: Ranking, directory: Path) -> Path:
    """preferences.json and preferences.md in a folder; returns the latter."""
    content = json.dumps(to_json(ranking), indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write(directory / DOCUMENT, content.encode() + b"\n")
    atomic_write(directory / PAGE, render(ranking).encode())
    return directory / PAGE
