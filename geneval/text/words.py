"""The words of a text in any script: runs of letters and digits, characters where no space parts.

On ASCII text these are the words of the ROUGE package's tokeniser without stemming. Characters of
Han, kana, Thai, Lao, Burmese and Khmer are words of their own (with their marks), since none of
these scripts puts spaces between words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Literal

import regex

Words = Literal["unicode", "whitespace"]
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Myanmar}\p{Khmer}"
CHARACTER = rf"[[\p{{L}}\p{{N}}]&&[{_UNSPACED}]][\p{{M}}ー]*"
RUN = rf"[[\p{{L}}\p{{N}}]--[{_UNSPACED}]][[\p{{L}}\p{{N}}\p{{M}}]--[{_UNSPACED}]]*"
_WORD = regex.compile(f"{CHARACTER}|{RUN}", regex.VERSION1)
_LETTERS, _ALL = r"\p{L}[\p{L}\p{M}]*", r"[\p{L}\p{M}\p{N}]"
_SPELT = regex.compile(rf"(?<!{_ALL}){_LETTERS}(?:'{_LETTERS})*(?!{_ALL})")


def words(text: str) -> list[str]:
    """The words in lower case, compatibility forms folded (NFKC); no punctuation, no underscore."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def spelt(text: str) -> list[str]:
    """The words that a dictionary could have: letters in lower case (NFC), apostrophes inside."""
    return _SPELT.findall(unicodedata.normalize("NFC", text).lower().replace("’", "'"))


SPLIT: Mapping[Words, Callable[[str], list[str]]] = {"unicode": words, "whitespace": str.split}
