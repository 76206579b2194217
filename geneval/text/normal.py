"""Normal forms in which answers are compared."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from typing import Literal

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
