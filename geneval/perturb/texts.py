"""Perturbations of texts: slips of the pen and the keyboard, in Latin and Chinese script.

A text is taken in characters as a reader sees them (grapheme clusters), so that combining marks
stay with their letter and emoji sequences whole. `rate` is the probability of each place where a
perturbation can happen; places of a higher rate include those of a lower one. What a perturbation
cannot happen to, such as Chinese characters in `homoglyphs`, stays as it is. Severities are this
project's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import regex
from numpy.typing import NDArray

from geneval.errors import UsageError
from geneval.options import AtLeast, AtMost
from geneval.perturb.lookalikes import (
    CONFUSIONS,
    FULL_WIDTH,
    HALF_WIDTH,
    HOMOGLYPHS,
    IRRELEVANT,
    KEYBOARD,
)
from geneval.perturb.perturbation import perturbation
from geneval.text.words import CHARACTER, RUN

Rng = np.random.Generator
Rate = Annotated[float, AtLeast(0), AtMost(1)]
Clusters = list[str]
CHARACTERS = {"rate": (0.02, 0.05, 0.1, 0.2, 0.4)}  # severities of what happens to characters
WORDS = {"rate": (0.05, 0.1, 0.2, 0.4, 0.6)}  # and of what happens to or between words
UNSEEN = "\u200b\u2060"  # zero width space, word joiner: both are clusters of their own

_CLUSTER = regex.compile(r"\X")
_WORDLIKE = regex.compile(r"[\p{L}\p{N}]")
_LATIN, _HAN = regex.compile(r"\p{Latin}"), regex.compile(r"\p{Han}")
_PUNCTUATION = regex.compile(r"\p{P}")
_UNIT = regex.compile(rf"{CHARACTER}|{RUN}(?:['’-]{RUN})*", regex.VERSION1)


def _clusters(text: str) -> Clusters:
    """The characters of a text as a reader sees them."""
    return _CLUSTER.findall(text)


def _hits(n: int, rate: float, rng: Rng) -> NDArray[np.bool_]:
    """Which of n places are hit; those of a lower rate are among those of a higher one."""
    return rng.random(n) < rate


def _picked(choices: str | tuple[str, ...], luck: float) -> str:
    """One of some choices, by a number in [0, 1)."""
    return choices[int(luck * len(choices))]


def _is_wordlike(cluster: str) -> bool:
    """Whether a cluster is a letter or digit, with its marks."""
    return _WORDLIKE.match(cluster) is not None


def _replaced(text: str, table: Mapping[str, str], rate: float, rng: Rng) -> str:
    """Characters in a table replaced by one of those it gives; marks stay."""
    found = _clusters(text)
    luck = rng.random(len(found))
    for i in np.flatnonzero(_hits(len(found), rate, rng)):
        first, marks = found[i][0], found[i][1:]
        if first in table:
            found[i] = _picked(table[first], luck[i]) + marks
    return "".join(found)


@perturbation("keyboard_typos", "text", severity=CHARACTERS)
def keyboard_typos(text: str, rng: Rng, *, rate: Rate = 0.1) -> str:
    """Letters a to z replaced by one beside them on a QWERTY keyboard, in their case."""
    return _replaced(text, KEYBOARD, rate, rng)


@perturbation("han_confusions", "text", severity=CHARACTERS)
def han_confusions(
    text: str, rng: Rng, *, rate: Rate = 0.1, kind: Literal["shape", "sound", "both"] = "both"
) -> str:
    """Chinese characters replaced by one that looks or sounds alike, as far as a table has them."""
    return _replaced(text, CONFUSIONS[kind], rate, rng)


@perturbation("homoglyphs", "text", severity=CHARACTERS)
def homoglyphs(text: str, rng: Rng, *, rate: Rate = 0.1) -> str:
    """Latin letters replaced by Cyrillic or Greek ones that look the same."""
    return _replaced(text, HOMOGLYPHS, rate, rng)


@perturbation("character_swap", "text", severity=CHARACTERS)
def character_swap(text: str, rng: Rng, *, rate: Rate = 0.1) -> str:
    """Two neighbours within a word, or two Chinese characters side by side, change places."""
    found = _clusters(text)
    hits = _hits(len(found), rate, rng)
    i = 0
    while i < len(found) - 1:
        if hits[i] and _is_wordlike(found[i]) and _is_wordlike(found[i + 1]):
            found[i], found[i + 1] = found[i + 1], found[i]
            i += 1  # what has moved once stays
        i += 1
    return "".join(found)


@perturbation("character_drop", "text", severity=CHARACTERS)
def character_drop(text: str, rng: Rng, *, rate: Rate = 0.1) -> str:
    """Letters, digits and Chinese characters left out."""
    return _dropped(text, _is_wordlike, rate, rng)


@perturbation("character_insert", "text", severity=CHARACTERS)
def character_insert(text: str, rng: Rng, *, rate: Rate = 0.1) -> str:
    """A letter beside it on the keyboard after one of a to z; others (no emoji) are doubled."""
    found = _clusters(text)
    luck = rng.random(len(found))
    for i in np.flatnonzero(_hits(len(found), rate, rng)):
        if _is_wordlike(found[i]):
            found[i] += _picked(KEYBOARD[found[i]], luck[i]) if found[i] in KEYBOARD else found[i]
    return "".join(found)


@perturbation("letter_case", "text", severity=WORDS)
def letter_case(
    text: str, rng: Rng, *, rate: Rate = 0.2, form: Literal["upper", "lower", "random"] = "random"
) -> str:
    """Letters in upper or lower case; `random` turns each into the one that it is not in."""
    change = {"upper": str.upper, "lower": str.lower, "random": str.swapcase}[form]
    found = _clusters(text)
    for i in np.flatnonzero(_hits(len(found), rate, rng)):
        found[i] = change(found[i])
    return "".join(found)


@perturbation("punctuation_drop", "text", severity=WORDS)
def punctuation_drop(text: str, rng: Rng, *, rate: Rate = 0.2) -> str:
    """Punctuation marks of any script left out."""
    return _dropped(text, lambda cluster: _PUNCTUATION.match(cluster) is not None, rate, rng)


@perturbation("punctuation_add", "text", severity=WORDS)
def punctuation_add(text: str, rng: Rng, *, rate: Rate = 0.2) -> str:
    """One of , . ; ! ? after a word; one of ， 。 ； ！ ？ after a Chinese character."""

    def with_mark(unit: str, luck: float) -> str:
        return unit + _picked("，。；！？" if _is_han(unit) else ",.;!?", luck)

    return _beside_units(text, rate, rng, with_mark)


@perturbation("punctuation_width", "text", severity=WORDS)
def punctuation_width(
    text: str, rng: Rng, *, rate: Rate = 0.2, width: Literal["half", "full"] = "half"
) -> str:
    """Full-width marks as those of ASCII, or, after a Chinese character, the reverse."""
    if width == "half":
        return _replaced(text, HALF_WIDTH, rate, rng)
    found = _clusters(text)
    for i in np.flatnonzero(_hits(len(found), rate, rng)):
        if i and _is_han(found[i - 1]):
            found[i] = FULL_WIDTH.get(found[i], found[i])
    return "".join(found)


@perturbation("space_drop", "text", severity=WORDS)
def space_drop(text: str, rng: Rng, *, rate: Rate = 0.2) -> str:
    """Spaces left out; lines stay apart."""
    return _dropped(text, lambda cluster: cluster == " ", rate, rng)


@perturbation("space_double", "text", severity=WORDS)
def space_double(text: str, rng: Rng, *, rate: Rate = 0.2) -> str:
    """Spaces doubled."""
    found = _clusters(text)
    for i in np.flatnonzero(_hits(len(found), rate, rng)):
        found[i] *= 2 if found[i] == " " else 1
    return "".join(found)


@perturbation("word_insert", "text", severity=WORDS)
def word_insert(text: str, rng: Rng, *, rate: Rate = 0.2) -> str:
    """Words that have nothing to do with the text, before Latin words and Chinese characters."""

    def before(unit: str, luck: float) -> str:
        if _is_han(unit):
            return _picked(IRRELEVANT["han"], luck) + unit
        return f"{_picked(IRRELEVANT['latin'], luck)} {unit}" if _LATIN.match(unit) else unit

    return _beside_units(text, rate, rng, before)


@perturbation("word_shuffle", "text", severity={"distance": (1, 2, 3, 5, 8)})
def word_shuffle(text: str, rng: Rng, *, distance: Annotated[int, AtLeast(0)] = 3) -> str:
    """Words, or characters of a script without spaces, moved by at most `distance` places.

    They are sorted by place + U(0, `distance` + 1), the noise of Lample et al. 2018 ("Unsupervised
    Machine Translation Using Monolingual Corpora Only", arXiv:1711.00043). What stands between
    them stays in its place.
    """
    units = _UNIT.findall(text)
    order = np.argsort(np.arange(len(units)) + rng.random(len(units)) * (distance + 1))
    moved: Iterator[str] = iter([units[i] for i in order])
    return _UNIT.sub(lambda _: next(moved), text)


@perturbation("zero_width", "text", severity=CHARACTERS)
def zero_width(text: str, rng: Rng, *, rate: Rate = 0.1) -> str:
    """A zero-width space or a word joiner, neither of which shows, between letters side by side."""
    found = _clusters(text)
    luck = rng.random(len(found))
    inside = [False, *(_is_wordlike(a) and _is_wordlike(b) for a, b in pairwise(found))]
    for i in np.flatnonzero(_hits(len(found), rate, rng)):
        if inside[i]:
            found[i] = _picked(UNSEEN, luck[i]) + found[i]
    return "".join(found)


@perturbation("template", "text")
def template(text: str, rng: Rng, *, form: str = "{text}") -> str:
    """The text in a `form` that says the same otherwise; `{text}` in it stands for the text.

    So one request is put as a prefix ("Question: {text} Answer:") and as a cloze ("The answer to
    {text} is"). Raises `UsageError` for a form without `{text}`.
    """
    if "{text}" not in form:
        raise UsageError(f"perturbation template: form = {form!r} has no {{text}} in it")
    return form.replace("{text}", text)


def _dropped(text: str, is_meant: Callable[[str], bool], rate: float, rng: Rng) -> str:
    """The text without the clusters that are meant and hit."""
    found = _clusters(text)
    hits = _hits(len(found), rate, rng)
    return "".join(c for c, hit in zip(found, hits, strict=True) if not (hit and is_meant(c)))


def _beside_units(text: str, rate: float, rng: Rng, change: Callable[[str, float], str]) -> str:
    """The text with `change(unit, luck)` in place of the words that are hit."""
    units = _UNIT.findall(text)
    hits, luck = _hits(len(units), rate, rng), rng.random(len(units))
    made: Iterator[str] = iter(
        [change(u, x) if hit else u for u, hit, x in zip(units, hits, luck, strict=True)]
    )
    return _UNIT.sub(lambda _: next(made), text)


def _is_han(text: str) -> bool:
    """Whether a word or cluster begins with a Chinese character."""
    return _HAN.match(text) is not None
