"""geneval.text.words: words of any script."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import tokenize

from geneval.text.words import spelt, words


@given(st.text(alphabet=string.printable))
def test_ascii_words_are_those_of_rouge_score(text: str) -> None:
    """On ASCII text the words are rouge-score's tokens."""
    assert words(text) == tokenize.tokenize(text, None)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Cristóbal fährt!", ["cristóbal", "fährt"]),
        ("Cristo\u0301bal", ["cristóbal"]),  # composed and decomposed forms are one word
        ("火车早上 Hello世界。", ["火", "车", "早", "上", "hello", "世", "界"]),
        ("コーヒーを飲む", ["コー", "ヒー", "を", "飲", "む"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),  # vowel signs belong to their letters
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("한국어 문장입니다.", ["한국어", "문장입니다"]),
        ("ＡＢＣ １２３", ["abc", "123"]),
        ("𠮷野家", ["𠮷", "野", "家"]),
        ("... —", []),
    ],
)
def test_words_of_other_scripts(text: str, wanted: list[str]) -> None:
    """Letters keep their marks, scripts without spaces give characters."""
    assert words(text) == wanted


def test_words_that_a_dictionary_could_have() -> None:
    """Digits make no word, an apostrophe does not part one, marks stay with their letters."""
    assert spelt("Don’t 3d mp3 co-op e\u0301t\u00e9 'quoted'") == [
        "don't",
        "co",
        "op",
        "été",
        "quoted",
    ]
