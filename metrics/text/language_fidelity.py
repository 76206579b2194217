"""Language fidelity: whether the outputs are in the language that was asked for.

    language_fidelity = share of outputs of which every line is in the language of `lang`
    lines             = share of lines that are

Input: one text and the language code `lang` a record; codes may be of two or three letters with a
region or script behind them. Range [0, 1]; higher is better. Lines with fewer than `least_words`
words (characters in scripts without spaces; numbers do not count) are too short to tell and
ignored; outputs without any other line are left out, as are records in a language that the detector
does not know, and both are counted in the finding. Undefined where none is left. The detector is
py3langid, whose model is part of its package; it chooses among all its languages. It mistakes near
relatives for each other, such as Croatian, Bosnian and Serbian, or Malay and Indonesian; Norwegian,
Chinese and Arabic are one language each in all their forms.

The interval of `language_fidelity` is Wilson's, of the population; that of `lines` is of the
population of outputs, by multinomial bootstrap.

Paper: Marchisio et al. 2024, arXiv:2406.20052, whose line-level pass rate the first output is, with
another detector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any

import numpy as np

from geneval.data import Fields
from geneval.items import mean_of
from geneval.metric import Undefined, fields, metric
from geneval.options import AtLeast
from geneval.resample import Context
from geneval.text.corpus import by_id, corpus_estimate, own_share, share
from geneval.text.languages import language
from geneval.text.words import words
from geneval.value import DetailTable, Estimate, OutputSpec

_ENGLISH = "the train to the coast leaves early in the morning and comes back late at night"
_GERMAN = "der Zug an die Küste fährt früh am Morgen ab und kommt spät in der Nacht zurück"
_SHOWN = 20  # pairs of languages in the table


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two lines of English each; damage puts German in place of the second of that share."""
    said = [
        f"Number {i}: {_ENGLISH}.\n{_GERMAN if rng.random() < damage else _ENGLISH}, so it is."
        for i in range(40)
    ]
    ids = tuple(f"{i:04d}" for i in range(40))
    return {"texts": Fields(ids, {"written": said, "lang": ["en-GB"] * 40})}


@cache
def _detector() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)


@cache
def _known() -> set[str]:
    return {language(code) for code in _detector().labels}


def detected(line: str) -> str:
    """The language of a line, by its code in the shortest form."""
    return language(_detector().classify(line)[0])


@metric(
    "language_fidelity",
    version=1,
    paper="arXiv:2406.20052",
    min_n=1,
    n_match="any",
    outputs=[
        OutputSpec("language_fidelity", "higher", range=(0, 1)),
        OutputSpec("lines", "higher", range=(0, 1)),
    ],
    needs=lambda o: {"texts": fields("generated", "written", "lang")},
    example=example,
    conventions={"detector": "py3langid"},
    reduce={"lines": share},
    alone={"lines": own_share},
)
def language_fidelity(
    texts: Fields, context: Context, *, least_words: Annotated[int, AtLeast(1)] = 5
) -> list[Estimate]:
    """The shares of outputs and of lines that are in the language asked for."""
    texts = by_id(texts)
    asked = [language(code) for code in texts.columns["lang"]]
    said = [
        _languages(text, least_words) if code in _known() else []
        for text, code in zip(texts.columns["written"], asked, strict=True)
    ]
    if not any(said):
        raise Undefined(
            f"no record has a line of {least_words} words in a language that the detector knows; "
            "see that lang holds language codes, or lower least_words"
        )
    pairs = list(zip(asked, said, strict=True))
    rows = np.array([(found.count(code), len(found)) for code, found in pairs], dtype=np.float64)
    kept = np.flatnonzero(rows[:, 1])
    right = rows[:, 0] == rows[:, 1]
    finding = _left_out(pairs)
    whole = mean_of(
        context,
        "language_fidelity",
        right[kept].astype(np.float64),
        tuple(texts.ids[row] for row in kept),
        (0, 1),
        finding=finding,
        title="Not in the language asked for",
        share=True,
    )
    lines = corpus_estimate(
        context,
        "lines",
        texts.ids,
        rows,
        share,
        np.where(right, 1.0, share(rows)),
        range_=(0, 1),
        finding=finding,
        title="Fewest lines in the language asked for",
    )
    return [replace(whole, tables=(_confusions(pairs),)), lines]


def _languages(text: str, least: int) -> list[str]:
    """The language of each line that has words enough."""
    return [detected(line) for line in text.splitlines() if _letters(line) >= least]


def _letters(line: str) -> int:
    """How many words of a line are not numbers."""
    return sum(not word.isnumeric() for word in words(line))


def _left_out(said: Sequence[tuple[str, Sequence[str]]]) -> str:
    """What is not judged, in words."""
    foreign = Counter(code for code, _ in said if code not in _known())
    short = sum(not found and code in _known() for code, found in said)
    told = [f"{short:,} outputs without a line long enough are left out"] if short else []
    if foreign:
        names = ", ".join(f"{code or 'none'} ({count:,})" for code, count in foreign.most_common())
        told.append(f"the detector does not know {names}")
    return "; ".join(told)


def _confusions(said: Sequence[tuple[str, Sequence[str]]]) -> DetailTable:
    """How many lines of which language were written where which was asked for."""
    pairs = Counter((code, one) for code, found in said for one in found)
    most = sorted(pairs.items(), key=lambda item: (item[0][0] == item[0][1], -item[1], item[0]))
    columns: dict[str, list[Any]] = {
        "asked for": [code for (code, _), _ in most[:_SHOWN]],
        "written": [one for (_, one), _ in most[:_SHOWN]],
        "lines": [count for _, count in most[:_SHOWN]],
    }
    return DetailTable("Languages of lines, the wrong ones first", columns)
