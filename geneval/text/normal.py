"""Normal forms in which texts are compared, and whether there is anything to compare."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Mapping
from typing import Literal

from geneval.text.words import words

Normalize = Literal["none", "squad"]
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_normal(text: str) -> str:
    """A text in the form in which SQuAD compares answers.

    Lower-cased, without ASCII punctuation and the words a, an, the, with single spaces.
    """
    plain = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


NORMAL: Mapping[Normalize, Callable[[str], str]] = {"none": str.strip, "squad": squad_normal}


def wording(text: str) -> str:
    """The words of a text with single spaces; of a text without words itself, without space."""
    return " ".join(words(text)) or "".join(text.split())


def is_empty(text: str) -> bool:
    """Whether a text shows nothing: only space, control and other invisible characters."""
    return all(unicodedata.category(c)[0] in "ZC" for c in text)
