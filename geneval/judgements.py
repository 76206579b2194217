"""Comparisons of two systems each, and what is computed of them: Elo, Bradley–Terry, agreement.

A record has the systems `a` and `b` and the `winner`: `a`, `b`, `tie`, a system's name, or the name
of the column that holds it; it may have an `item` and a `rater`. All functions are pure; what they
cannot define raises `Undefined` with the systems by name.

Elo and strengths are evalica's, α is krippendorff's: the extra `geneval[human]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.errors import SampleError, UsageError
from geneval.metric import Undefined
from geneval.samples.metadata import renamed
from geneval.samples.pairs import SUFFIXES, Lines, read_columns

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
INITIAL, BASE, SCALE = 1000.0, 10.0, 400.0  # of Elo ratings
_NEEDED = ("a", "b", "winner")
_TIES = ("tie", "tie (bothbad)")  # the second is that of Chatbot Arena
_TOLERANCE, _LIMIT = 1e-10, 10_000  # of the iteration for strengths


@dataclass(frozen=True, eq=False)
class Judgements:
    """Comparisons in their order: `a` and `b` int64 [n] index the sorted `systems`.

    `won` float64 [n] is what `a` got of the comparison: 1, ½ or 0.
    """

    systems: tuple[str, ...]
    a: Indices
    b: Indices
    won: Floats
    items: tuple[str, ...] | None = None
    raters: tuple[str, ...] | None = None

    @property
    def units(self) -> Indices:
        """The number [n] of what goes together, from 0: items where there are any, else records."""
        if self.items is None:
            return np.arange(len(self.a))
        return np.unique(np.array(self.items), return_inverse=True)[1].astype(np.int64)

    def wins(self, weights: Indices | None = None) -> Floats:
        """How often each system [s, s] beat each other one, ties half, by weights [n] or all 1."""
        s = len(self.systems)
        each = np.ones(len(self.a)) if weights is None else weights
        forth = np.bincount(self.a * s + self.b, weights=each * self.won, minlength=s * s)
        back = np.bincount(self.b * s + self.a, weights=each * (1 - self.won), minlength=s * s)
        return np.asarray(forth + back, dtype=np.float64).reshape(s, s)


@dataclass(frozen=True, eq=False)
class Ratings:
    """How many raters gave each value: counts [u, 3] for u items with two systems each.

    The values are: the first system (by name) won, a tie, the second won. `units` int64 [u] is the
    number of the item among `Judgements.units`.
    """

    counts: Indices
    units: Indices


def require_human() -> None:
    """Raise `UsageError` unless the libraries of `geneval[human]` are there."""
    try:
        import evalica  # noqa: F401
        import krippendorff  # noqa: F401
    except ImportError:
        raise UsageError(
            "preferences need evalica and krippendorff: pip install 'geneval[human]'"
        ) from None


def read_judgements(
    given: Path | str | Sequence[Mapping[str, Any]], fields: Mapping[str, str] | None = None
) -> Judgements:
    """The comparisons of a file (jsonl, csv, parquet) or of a list of records.

    `fields` says which column holds a field. Raises `UsageError` for a file or column that is not
    there, `SampleError` for a record that cannot be meant.
    """
    fields = fields or {}
    if isinstance(given, str | Path):
        name, (columns, where) = str(given), _columns(Path(given))
    else:
        name, where = "the preferences", Lines("[{}]", range(len(given)))
        names = dict.fromkeys(key for record in given for key in record)
        columns = {key: [record.get(key) for record in given] for key in names}
    columns = renamed(columns, fields, name)
    absent = [column for column in _NEEDED if column not in columns]
    if absent:
        raise UsageError(
            f"{name} has no column {absent[0]}; it has {', '.join(columns) or 'none'}: name the "
            f"one that holds it with --field {absent[0]}=COLUMN"
        )
    kept = {n: columns[n] for n in (*_NEEDED, "item", "rater") if n in columns}
    return _judgements(kept, fields, lambda row: f"{name}{where(row)}")


def _columns(path: Path) -> tuple[dict[str, list[Any]], Lines]:
    if not path.is_file():
        raise UsageError(f"{path} {'is no file' if path.exists() else 'does not exist'}")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: preferences are read from {', '.join(SUFFIXES)}")
    return read_columns(path, loose=True)


def _judgements(
    columns: Mapping[str, Sequence[Any]], fields: Mapping[str, str], place: Callable[[int], str]
) -> Judgements:
    """The columns as numbers, every cell checked."""
    texts = {name: _texts(name, cells, place) for name, cells in columns.items()}
    systems = tuple(sorted({*texts["a"], *texts["b"]}))
    code = {system: i for i, system in enumerate(systems)}
    sides = {fields.get("a", "a"): 1.0, fields.get("b", "b"): 0.0, "a": 1.0, "b": 0.0}
    won = []
    for row, (a, b, winner) in enumerate(zip(*(texts[n] for n in _NEEDED), strict=True)):
        if a == b:
            raise SampleError(f"{place(row)}: {a!r} is compared with itself")
        meant = {share for name, share in ((a, 1.0), (b, 0.0)) if winner == name}
        meant |= {sides[winner]} if winner in sides else set()
        meant |= {0.5} if winner in _TIES else set()
        if len(meant) != 1:
            told = "could mean either" if meant else f"is none of a, b, tie, {a!r} and {b!r}"
            raise SampleError(f"{place(row)}: winner {winner!r} {told}")
        won.append(meant.pop())
    return Judgements(
        systems,
        np.array([code[one] for one in texts["a"]], dtype=np.int64),
        np.array([code[one] for one in texts["b"]], dtype=np.int64),
        np.array(won),
        tuple(texts["item"]) if "item" in texts else None,
        tuple(texts["rater"]) if "rater" in texts else None,
    )


def _texts(name: str, cells: Sequence[Any], place: Callable[[int], str]) -> list[str]:
    """The cells of a column as text; raises `SampleError` for what is none or empty."""
    for row, cell in enumerate(cells):
        if not isinstance(cell, str | int | float) or cell == "":
            raise SampleError(f"{place(row)}: the record has no {name!r}")
    return [str(cell) for cell in cells]


def elo(found: Judgements, rows: Indices, k: float) -> Floats:
    """Elo ratings [s] after the comparisons of these rows, in their order, from 1000 each."""
    import evalica

    of = {1.0: evalica.Winner.X, 0.5: evalica.Winner.Draw, 0.0: evalica.Winner.Y}
    result = evalica.elo(
        found.a[rows].tolist(),
        found.b[rows].tolist(),
        [of[share] for share in found.won[rows].tolist()],
        initial=INITIAL,
        base=BASE,
        scale=SCALE,
        k=k,
    )
    scores = result.scores.reindex(range(len(found.systems)), fill_value=INITIAL)
    return np.asarray(scores, dtype=np.float64)


def bradley_terry(wins: Floats, systems: Sequence[str]) -> Floats:
    """Log-odds strengths [s] with mean 0 that make wins [s, s] of rows over columns likeliest.

    Raises `Undefined` where a group of systems is not connected with the others by comparisons, or
    never lost or tied against them: their strength would be infinite.
    """
    import evalica

    _require_connected(wins, systems)
    winners, losers = np.nonzero(wins)
    result = evalica.bradley_terry(
        winners.tolist(),
        losers.tolist(),
        [evalica.Winner.X] * len(winners),
        weights=wins[winners, losers].tolist(),
        tolerance=_TOLERANCE,
        limit=_LIMIT,
    )
    if result.iterations >= _LIMIT:
        raise Undefined("the strengths did not settle: too few comparisons connect the systems")
    scores = np.asarray(result.scores.reindex(range(len(systems))), dtype=np.float64)
    return np.asarray(np.log(scores) - np.log(scores).mean())


def _require_connected(wins: Floats, systems: Sequence[str]) -> None:
    """Raise `Undefined` unless a chain of wins or ties leads from every system to every other."""
    from scipy.sparse.csgraph import connected_components

    beats = wins > 0
    count, label = connected_components(beats, connection="strong")
    if count == 1:
        return
    apart, part = connected_components(beats, directed=False)
    if apart > 1:
        groups = [_names(systems, part == number) for number in range(apart)]
        raise Undefined(f"no comparison connects {' with '.join(groups)}")
    first = next(n for n in range(count) if not beats[label != n][:, label == n].any())
    raise Undefined(
        f"{_names(systems, label == first)} never lost or tied against "
        f"{_names(systems, label != first)}, so that the strength has no bound"
    )


def _names(systems: Sequence[str], chosen: NDArray[np.bool_]) -> str:
    return ", ".join(system for system, is_one in zip(systems, chosen, strict=True) if is_one)


def ratings(found: Judgements) -> Ratings:
    """What several raters said of the same items and systems; raises `Undefined`."""
    if found.raters is None or found.items is None:
        raise Undefined("agreement needs the columns item and rater")
    low, high = np.minimum(found.a, found.b), np.maximum(found.a, found.b)
    keys = list(zip(found.units.tolist(), low.tolist(), high.tolist(), strict=True))
    if len(set(zip(keys, found.raters, strict=True))) < len(keys):
        raise Undefined("a rater judged the same systems twice on one item; keep one judgement")
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    rows = np.array([number[key] for key in keys])
    values = 2 * np.where(found.a < found.b, 1 - found.won, found.won)
    counts = np.bincount(3 * rows + values.astype(np.int64), minlength=3 * len(number))
    return Ratings(
        counts.reshape(-1, 3).astype(np.int64),
        np.array([unit for unit, _, _ in number], dtype=np.int64),
    )


def alpha(counts: Indices) -> float:
    """Krippendorff's nominal α of counts [u, v]: raters that gave each of v values to a unit.

    1 is agreement, 0 what chance gives, below is worse. Raises `Undefined` where no unit has two
    raters, and where only one value was ever given to such units.
    """
    import krippendorff

    shared = counts[counts.sum(1) > 1]
    if not len(shared):
        raise Undefined("no item was judged by two raters on the same systems")
    if (shared.sum(0) > 0).sum() < 2:
        raise Undefined("the raters never differed from one and the same answer")
    return float(krippendorff.alpha(value_counts=shared, level_of_measurement="nominal"))
