"""Spelling errors: the share of words that a dictionary of the language does not have.

    spelling_errors = words that the dictionary does not have / words

Input: one text and the language code `lang` a record. Sums are over outputs. Range [0, 1]; lower is
better. Words are runs of letters in lower case with apostrophes inside them, NFC; a word with an
apostrophe is known if it or each of its parts is. Numbers and words with digits do not count. The
dictionaries are pyspellchecker's: English, Spanish, French, Portuguese, German, Italian, Russian,
Arabic, Latvian, Basque, Dutch, Persian. Records in other languages are left out and named in the
finding; undefined where none is left. Names, rare words and most German compounds count as errors,
so compare values with one another, and with that of the references, but not with 0.

The interval is of the population of outputs, by multinomial bootstrap.

Source: the word lists of pyspellchecker 0.9, after Norvig 2007.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from geneval.data import Fields
from geneval.metric import Undefined, fields, metric
from geneval.resample import Context
from geneval.text.corpus import by_id, corpus_estimate, own_share, share
from geneval.text.languages import language
from geneval.text.words import spelt
from geneval.value import DetailTable, Estimate, OutputSpec

_SHOWN = 20  # words in the table
_SENTENCES = ["the old house stands on the hill", "every morning they walk to the river and back"]


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """English sentences; damage turns round the letters of that share of their words."""
    said = [
        " ".join(w[::-1] if rng.random() < damage else w for w in _SENTENCES[i % 2].split())
        for i in range(40)
    ]
    ids = tuple(f"{i:04d}" for i in range(40))
    return {"texts": Fields(ids, {"written": said, "lang": ["en"] * 40})}


@cache
def _dictionary(code: str) -> Callable[[str], bool]:
    """Whether a word is in the dictionary of a language."""
    from spellchecker import SpellChecker

    has = SpellChecker(language=code, distance=1).__contains__
    return cache(lambda word: has(word) or ("'" in word and all(map(has, word.split("'")))))


@metric(
    "spelling_errors",
    version=1,
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("spelling_errors", "lower", range=(0, 1))],
    needs=lambda o: {"texts": fields("generated", "written", "lang")},
    example=example,
    conventions={"dictionary": "pyspellchecker"},
    reduce={"spelling_errors": share},
    alone={"spelling_errors": own_share},
)
def spelling_errors(texts: Fields, context: Context) -> list[Estimate]:
    """The share of words that no dictionary has."""
    from spellchecker import SpellChecker

    texts = by_id(texts)
    asked = [language(code) for code in texts.columns["lang"]]
    served = set(SpellChecker.languages())
    kept = [row for row, code in enumerate(asked) if code in served]
    said = [spelt(texts.columns["written"][row]) for row in kept]
    if not any(said):
        raise Undefined(
            f"no word in a language with a dictionary: {', '.join(sorted(served))}; see that lang "
            "holds language codes"
        )
    wrong = [
        [word for word in one if not _dictionary(asked[row])(word)]
        for row, one in zip(kept, said, strict=True)
    ]
    rows = np.array([(len(w), len(s)) for w, s in zip(wrong, said, strict=True)], dtype=np.float64)
    estimate = corpus_estimate(
        context,
        "spelling_errors",
        tuple(texts.ids[row] for row in kept),
        rows,
        share,
        share(rows),
        range_=(0, 1),
        worst_first=-1,
        finding=_left_out([code for code in asked if code not in served]),
        title="Most unknown words",
    )
    return [replace(estimate, tables=(_unknown([asked[row] for row in kept], wrong),))]


def _left_out(codes: Sequence[str]) -> str:
    """What is not judged, in words."""
    names = ", ".join(f"{code} ({count:,})" for code, count in Counter(codes).most_common())
    return f"there is no dictionary of {names}" if names else ""


def _unknown(codes: Sequence[str], wrong: Sequence[Sequence[str]]) -> DetailTable:
    """The words that are unknown most often."""
    counts = Counter((word, code) for code, one in zip(codes, wrong, strict=True) for word in one)
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    columns: dict[str, list[Any]] = {
        "word": [word for (word, _), _ in most],
        "lang": [code for (_, code), _ in most],
        "times": [count for _, count in most],
    }
    return DetailTable("Unknown words", columns)
