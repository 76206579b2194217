"""Texts in a report: a hypothesis beside its references, with what differs marked.

What a model wrote is untrusted: pieces are plain text here and escaped by the template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import Indel

MOST = 2000  # characters shown of a text
_CHARACTERS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_TOKENS = re.compile(rf"[{_CHARACTERS}]|[^\W{_CHARACTERS}]+|\s+|.", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """A stretch of text; `differs` when the other side does not have it there."""

    text: str
    differs: bool = False


@dataclass(frozen=True)
class TextView:
    """One record: its score in words, what was asked, what was written, what was wanted."""

    id: str
    caption: str
    lang: str
    asked: tuple[tuple[str, str], ...]
    written: tuple[tuple[Piece, ...], ...]
    references: tuple[tuple[Piece, ...], ...]


def text_view(entry: Mapping[str, Any], caption: str) -> TextView:
    """The view of one record of media/texts.json."""
    wanted = [_clipped(text) for text in entry.get("references") or () if text is not None]
    written = [_clipped(text) for text in _written(entry)]
    asked = [(name, str(entry[name])) for name in ("source", "prompt") if entry.get(name)]
    asked += [(turn["role"], turn["content"]) for turn in (entry.get("turns") or ())]
    first = written[0] if written else ""
    pairs = [marked(first, text) for text in wanted]
    nearest = min(
        (made for made, _ in pairs), key=_differing, default=(Piece(first),) if written else ()
    )
    return TextView(
        id=str(entry["id"]),
        caption=caption,
        lang=str(entry.get("lang") or ""),
        asked=tuple((name, _clipped(text)) for name, text in asked),
        written=(nearest, *((Piece(text),) for text in written[1:])),
        references=tuple(other for _, other in pairs),
    )


def marked(one: str, other: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts in pieces, by a longest common subsequence of words (of characters in Chinese)."""
    left, right = _TOKENS.findall(one), _TOKENS.findall(other)
    mine, theirs = list[Piece](), list[Piece]()
    for step in Indel.opcodes(left, right):
        differs = step.tag != "equal"
        if step.src_start < step.src_end:
            mine.append(Piece("".join(left[step.src_start : step.src_end]), differs))
        if step.dest_start < step.dest_end:
            theirs.append(Piece("".join(right[step.dest_start : step.dest_end]), differs))
    return tuple(mine), tuple(theirs)


def _differing(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.text) for piece in pieces if piece.differs)


def _written(entry: Mapping[str, Any]) -> list[str]:
    """What was written: the hypothesis, or the samples of one prompt."""
    if entry.get("hypothesis") is not None:
        return [str(entry["hypothesis"])]
    return [str(text) for text in entry.get("samples") or ()]


def _clipped(text: str) -> str:
    return text if len(text) <= MOST else f"{text[:MOST]}…"
