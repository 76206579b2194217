"""`char-ngrams`: texts as counts of their character bigrams and trigrams, hashed; no model.

Texts are compared in lower case and compatibility form (NFKC), with a mark before and behind. Each
n-gram adds +1 or −1 at one of `width` places, both given by its BLAKE2 digest, so that n-grams that
share a place cancel on average; rows are divided by their length. A text has an odd number of
n-grams, so that no row is 0. It knows spelling and nothing of meaning: its numbers compare with
each other, never with those of a sentence encoder.

Source: feature hashing, Weinberger et al. 2009, arXiv:0902.2206.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated

import numpy as np

from geneval.extractors.extractor import extractor
from geneval.extractors.texts import Rows, TextEncoder, unit
from geneval.options import AtLeast
from geneval.signature import Scalar

ORDERS = (2, 3)
BEFORE, BEHIND = "\x02", "\x03"


class CharNgrams(TextEncoder):
    """Hashed character n-grams of length 1."""

    def __init__(self, width: int) -> None:
        self._width = width

    @property
    def width(self) -> int:
        """Places of the hash."""
        return self._width

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """Orders and width are all there is."""
        return {"ext": "char-ngrams", "orders": "2-3", "width": self.width, "prec": "fp32"}

    def embed(self, texts: Sequence[str]) -> Rows:
        """Rows [n, width] of length 1."""
        rows = np.zeros((len(texts), self.width))
        for row, text in zip(rows, texts, strict=True):
            for gram, count in Counter(grams(text)).items():
                place, sign = placed(gram)
                row[place % self.width] += sign * count
        return unit(rows).astype(np.float32)


def grams(text: str) -> Iterator[str]:
    """The n-grams of a text between its marks."""
    whole = BEFORE + unicodedata.normalize("NFKC", text).lower() + BEHIND
    for n in ORDERS:
        for start in range(len(whole) - n + 1):
            yield whole[start : start + n]


@lru_cache(2**16)
def placed(gram: str) -> tuple[int, int]:
    """A place (63 bits) and a sign for an n-gram, the same on every machine."""
    number = int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "big")
    return number >> 1, 1 - 2 * (number & 1)


@extractor("char-ngrams")
def char_ngrams(*, width: Annotated[int, AtLeast(16)] = 512) -> CharNgrams:
    """Hashed character bigrams and trigrams of texts, no network: a baseline feature space."""
    return CharNgrams(width)
