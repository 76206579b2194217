"""Texts: what a model wrote, with references, as jsonl, csv, parquet, plain lines or lists.

A record has `hypothesis`, or several `samples` of one prompt, or the `turns` of a conversation;
`references` (a list of texts, or one text), `prompt`, `source`, `lang`, and any other column to
group by. Its id is its `id`, else the zero-padded number of its row. Blank texts are texts; a
record whose `hypothesis` is null is a bad sample. Where a record has no `hypothesis`, the first of
its `samples`, or the assistant's last turn, stands for it; `written` is the hypothesis, and of a
record that is nothing but references the first of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from geneval.errors import SampleError, UsageError
from geneval.samples.metadata import is_text, renamed
from geneval.samples.pairs import SUFFIXES, Lines, read_columns, read_lines, record_ids
from geneval.samples.sampleset import COST, TEXT, WRITTEN, Batch, FieldType, rows_of, type_of
from geneval.signature import Digest, digest
from geneval.value import Ids

REFERENCES = "references"
ASKED = ("prompt", "source", "turns")  # what a model is asked with
_PLAIN = ("hypothesis", "prompt", "source", "lang")  # fields that are one text each
_STRUCTURED = (*SUFFIXES, ".json", ".ndjson", ".tsv", ".xml", ".xlsx")
_TYPES: Mapping[str, FieldType] = {
    **dict.fromkeys(_PLAIN, "text"),
    "samples": "texts",
    REFERENCES: "texts",
    "turns": "turns",
    TEXT: "text",
    **dict.fromkeys(COST, "cost"),
}
_TURN_ROLES = ("user", "assistant")  # of turns that are plain texts, in alternation

Where = Callable[[int], str]


class TextSet:
    """Texts in memory, sorted by id. `where` names a row of the columns in messages.

    `hypothesis`, `prompt`, `source` and `lang` are a text each, `samples` a list of texts,
    `references` a list of as many texts as every record has (or None in place of one), `turns` a
    list of `{role, content}`.
    """

    requested_labels = False
    conventions: Mapping[str, str] = {}

    def __init__(self, name: str, columns: Mapping[str, Sequence[Any]], where: Where) -> None:
        self.name = name
        self._where = where
        given = dict(columns)
        n = len(next(iter(given.values())))
        ids = record_ids(given.pop("id", None), n, name)
        self._order = sorted(range(n), key=ids.__getitem__)
        self.ids = tuple(ids[row] for row in self._order)
        self._rows = rows_of(self.ids)
        checked, left_out = _checked(given, lambda row: f"{name}{where(row)}")
        stands_for = _add_hypothesis(checked)
        if "hypothesis" in checked:
            checked[TEXT] = checked["hypothesis"]
        elif REFERENCES in checked:
            checked[TEXT] = [_first(one) for one in checked[REFERENCES]]
        self._columns = {
            field: [cells[row] for row in self._order] for field, cells in checked.items()
        }
        self.notes = tuple(
            f"{name}: the column {field} holds lists, mappings or nulls and was left out"
            for field in left_out
        ) + ((f"{name}: {stands_for}",) if stands_for else ())

    @cached_property
    def fields(self) -> Mapping[str, FieldType]:
        """Every column with its type."""
        return {n: _TYPES.get(n) or type_of(n, cells) for n, cells in self._columns.items()}

    def content(self) -> Sequence[Digest]:
        """A digest of what was written in each record; of a set of references, of these."""
        return self._content

    @cached_property
    def _content(self) -> list[Digest]:
        own = [name for name in WRITTEN if name in self._columns]
        own = own or [n for n in (REFERENCES, *ASKED) if n in self._columns][:1]
        cells = zip(*(self._columns[name] for name in own), strict=True)
        return [digest(dict(zip(own, row, strict=True))) for row in cells]

    def locate(self, sample: str) -> str:
        """The file and the line or row."""
        return f"{self.name}{self._where(self._order[self._rows[sample]])}"

    def row(self, sample: str) -> int:
        """The place of an id."""
        return self._rows[sample]

    def column(self, name: str) -> Sequence[Any]:
        """A column in the order of `ids`."""
        return self._columns[name]

    def first(self, n: int) -> TextSet:
        """The records with the first n ids, as a set of their own."""
        if n >= len(self.ids):
            return self
        columns = {"id": self.ids[:n]} | {name: c[:n] for name, c in self._columns.items()}
        return TextSet(self.name, columns, self._row_name)

    def records(self, ids: Ids | None = None) -> list[dict[str, Any]]:
        """The records of some ids, or of all, as they would be written to a file."""
        columns = {name: cells for name, cells in self._columns.items() if name != TEXT}
        rows = range(len(self.ids)) if ids is None else [self._rows[sample] for sample in ids]
        return [{"id": self.ids[row]} | {n: c[row] for n, c in columns.items()} for row in rows]

    def read(self, ids: tuple[str, ...]) -> Batch:
        """The records of these ids; those without what should have been written are in `bad`."""
        own = [name for name in WRITTEN if name in self._columns]
        bad = {
            sample: f"has no {name} (null)"
            for sample in ids
            for name in own
            if self._columns[name][self._rows[sample]] is None
        }
        good = tuple(sample for sample in ids if sample not in bad)
        rows = [self._rows[sample] for sample in good]
        columns = {name: [cells[row] for row in rows] for name, cells in self._columns.items()}
        return Batch(good, columns, bad)

    @property
    def references(self) -> TextSet | None:
        """The references that came with the records, as a set of their own."""
        if REFERENCES not in self._columns:
            return None
        columns = {"id": self.ids, REFERENCES: self._columns[REFERENCES]}
        return TextSet(self.name, columns, self._row_name)

    def _row_name(self, row: int) -> str:
        return self._where(self._order[row])

    def with_references(self, given: TextSet) -> TextSet:
        """These texts with the references of the same ids; both must have the same ids."""
        if REFERENCES in self._columns:
            raise UsageError(
                f"{self.name} has references of its own and {given.name} brings others; give one"
            )
        for one, other in ((self, given), (given, self)):
            alone = [sample for sample in one.ids if sample not in other._rows]
            if alone:
                raise SampleError(
                    f"{one.locate(alone[0])}: {other.name} has no record {alone[0]!r} "
                    f"({len(one.ids):,} records here, {len(other.ids):,} there)"
                )
        columns = {"id": self.ids, **self._columns, REFERENCES: given._columns[REFERENCES]}
        joined = TextSet(self.name, columns, self._row_name)
        joined.notes = self.notes
        return joined


def open_texts(
    given: Any, name: str, fields: Mapping[str, str] | None = None, own: str = "hypothesis"
) -> TextSet:
    """Texts of a path, of several files of parallel references, or of a list in memory.

    `own` is the field that plain lines and plain strings are: `hypothesis`, `references`, or
    `prompt` where a model is yet to write.
    """
    if isinstance(given, TextSet):
        return given
    if isinstance(given, str | Path):
        given = [Path(given)]
    if not isinstance(given, list | tuple) or not given:
        raise UsageError(f"{name}: give a path or a list of texts, not {given!r:.60}")
    if not all(isinstance(one, Path) for one in given):
        return _from_memory(given, name, fields or {}, own)
    paths = [Path(one) for one in given]
    for path in paths:
        _require_readable(path)
    if len(paths) == 1 and paths[0].suffix in SUFFIXES:
        return _from_records(paths[0], fields or {}, own)
    if own != REFERENCES and len(paths) > 1:
        raise UsageError(f"{name}: give one file; only references may lie in several")
    records = [path for path in paths if path.suffix in SUFFIXES]
    if records or fields:
        what = records[0] if records else paths[0]
        told = "holds records, which one file has" if records else "holds lines, without columns"
        raise UsageError(f"{name}: {what} {told}; parallel files are plain text")
    return _from_lines(paths, own)


def _require_readable(path: Path) -> None:
    """Raise `UsageError` for what is no file, and for records of a kind that is not read."""
    if not path.is_file():
        raise UsageError(f"{path} {'is no file' if path.exists() else 'does not exist'}")
    if path.suffix not in SUFFIXES and path.suffix.lower() in _STRUCTURED:
        raise UsageError(
            f"{path} holds no plain lines; records are read from {', '.join(SUFFIXES)}"
        )


def _from_lines(paths: Sequence[Path], own: str) -> TextSet:
    """Parallel files of one text a line."""
    lines = [read_lines(path) for path in paths]
    for path, found in zip(paths, lines, strict=True):
        if len(found) != len(lines[0]):
            raise SampleError(
                f"{path} has {len(found):,} lines and {paths[0]} {len(lines[0]):,}: from line "
                f"{min(len(found), len(lines[0])) + 1} on they do not pair"
            )
    if not lines[0]:
        raise SampleError(f"{paths[0]} has no lines")
    cells = lines[0] if own != REFERENCES else [list(texts) for texts in zip(*lines, strict=True)]
    name = ", ".join(map(str, paths))
    return TextSet(name, {own: cells}, Lines(":{}", range(1, len(cells) + 1)))


def _from_records(path: Path, fields: Mapping[str, str], own: str) -> TextSet:
    columns, where = read_columns(path, loose=True)
    return TextSet(str(path), _named(columns, fields, str(path), own), where)


def _from_memory(given: Sequence[Any], name: str, fields: Mapping[str, str], own: str) -> TextSet:
    """Records, or texts as such, of a list."""
    where = Lines("[{}]", range(len(given)))
    if not all(isinstance(one, Mapping) for one in given):
        return TextSet(name, {own: list(given)}, where)
    names = list(dict.fromkeys(field for record in given for field in record))
    columns = {field: [record.get(field) for record in given] for field in names}
    return TextSet(name, _named(columns, fields, name, own), where)


def _named(
    columns: dict[str, list[Any]], fields: Mapping[str, str], name: str, own: str
) -> dict[str, list[Any]]:
    """The columns under the names of the fields they hold, with what a set must have."""
    found = renamed(columns, fields, name)
    wanted = {REFERENCES: (REFERENCES,), "prompt": ASKED}.get(own, WRITTEN)
    if not any(field in found for field in wanted):
        raise UsageError(
            f"{name} has no column {wanted[0]}; it has {', '.join(found)}: name the one that holds "
            f"it with --field {wanted[0]}=COLUMN"
        )
    if own == "prompt":  # what some model once wrote is no part of what another one is asked
        return {n: cells for n, cells in found.items() if n not in ("hypothesis", "samples")}
    return {REFERENCES: found[REFERENCES], **_only_id(found)} if own == REFERENCES else found


def _only_id(columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    return {"id": columns["id"]} if "id" in columns else {}


def _checked(
    columns: Mapping[str, Sequence[Any]], place: Where
) -> tuple[dict[str, list[Any]], list[str]]:
    """The columns in the form of their type, and the names of those that were left out."""
    found, left_out = dict[str, list[Any]](), []
    for name, cells in columns.items():
        form = _FORMS.get(_TYPES[name]) if name in _TYPES else None
        if form is not None:
            found[name] = [form(cell, f"{place(row)}: {name}") for row, cell in enumerate(cells)]
            if name == "samples":  # of which none may be missing, as some references may
                found[name] = [None if cell and None in cell else cell for cell in found[name]]
        elif not _is_plain(cells):
            left_out.append(name)
        else:
            found[name] = list(cells)
    for name in ("prompt", "source", "lang", REFERENCES):
        if None in found.get(name, ()):
            raise SampleError(f"{place(found[name].index(None))}: the record has no {name!r}")
    _require_equal_counts(found.get(REFERENCES, ()), place)
    return found, left_out


def _is_plain(cells: Sequence[Any]) -> bool:
    """Whether cells are texts, or numbers of which some may not be known."""
    there = [cell for cell in cells if cell is not None]
    if len(there) < len(cells):
        return bool(there) and all(isinstance(cell, int | float) for cell in there)
    return not any(isinstance(cell, list | dict) for cell in cells)


def _add_hypothesis(columns: dict[str, list[Any]]) -> str:
    """Add the hypothesis of samples or turns that have none; returns what was taken, or ''."""
    if "hypothesis" in columns:
        return ""
    if "samples" in columns:
        columns["hypothesis"] = [cell and cell[0] for cell in columns["samples"]]
        several = any(cell and len(cell) > 1 for cell in columns["samples"])
        return "the first sample of a prompt is its hypothesis" if several else ""
    if "turns" in columns:
        columns["hypothesis"] = [cell and _last_answer(cell) for cell in columns["turns"]]
        return "the assistant's last turn of a conversation is its hypothesis"
    return ""


def _last_answer(turns: Sequence[Mapping[str, str]]) -> str | None:
    """The last turn, if it is the assistant's."""
    return turns[-1]["content"] if turns and turns[-1]["role"] == "assistant" else None


def _first(texts: Sequence[str | None]) -> str:
    """The first reference that is there."""
    return next(text for text in texts if text is not None)


def _require_equal_counts(references: Sequence[list[str | None]], place: Where) -> None:
    for row, texts in enumerate(references):
        if len(texts) != len(references[0]):
            raise SampleError(
                f"{place(row)}: {len(texts)} references where {place(0)} has "
                f"{len(references[0])}; a null stands for one that a record does not have"
            )


def _text(cell: Any, place: str) -> str | None:
    """One text; numbers are written out."""
    if cell is None:
        return None
    if isinstance(cell, list | dict):
        kind = "list" if isinstance(cell, list) else "mapping"
        raise SampleError(f"{place} is a {kind}, no text")
    text = str(cell)
    if not is_text(text):
        raise SampleError(f"{place} is no text that can be written")
    return text


def _texts(cell: Any, place: str) -> list[str | None] | None:
    """A list of texts of which one at least is there; one text is a list of one."""
    if cell is None:
        return None
    found = [_text(one, place) for one in (cell if isinstance(cell, list) else [cell])]
    if all(text is None for text in found):
        raise SampleError(f"{place} has no text")
    return found


def _turns(cell: Any, place: str) -> list[dict[str, str]] | None:
    """The turns of a conversation; plain texts are the user's and the assistant's in turn."""
    if cell is None:
        return None
    turns = []
    for i, turn in enumerate(cell if isinstance(cell, list) else [cell]):
        plain = {"role": _TURN_ROLES[i % 2], "content": turn} if isinstance(turn, str) else turn
        if not isinstance(plain, Mapping) or not {"role", "content"} <= plain.keys():
            raise SampleError(f"{place}[{i}] is neither a text nor {{role, content}}")
        role, content = (_text(plain[part], f"{place}[{i}]") for part in ("role", "content"))
        turns.append({"role": role or "", "content": content or ""})
    return turns


_FORMS: Mapping[FieldType, Callable[[Any, str], Any]] = {
    "text": _text,
    "texts": _texts,
    "turns": _turns,
}
