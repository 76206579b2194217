"""geneval.text.languages: one form of language codes."""

from __future__ import annotations

import pytest

from geneval.text.languages import language


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("zh-CN", "zh"),
        ("zho", "zh"),
        ("zho_Hans", "zh"),
        ("cmn", "zh"),
        ("yue", "zh"),
        (" EN-gb ", "en"),
        ("ger", "de"),
        ("nb", "no"),
        ("nno", "no"),
        ("iw", "he"),
        ("arz", "ar"),
        ("ace", "ace"),  # has no code of two letters
        ("", ""),
    ],
)
def test_codes(code: str, expected: str) -> None:
    """ISO 639 codes of two and three letters, with regions and scripts."""
    assert language(code) == expected
