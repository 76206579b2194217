"""What the script of a text tells: how to tokenise it, and whether it is at an end."""

from __future__ import annotations

import re
from collections.abc import Iterable

import regex

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA = re.compile("[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d]")
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")  # Thai, Lao, Burmese, Khmer
_LETTER = re.compile(r"[^\W\d_]")
_BEYOND = re.compile(r"[^\W\d_\x00-\x7f]")  # letters other than a to z
_ENDED = regex.compile(r"[\p{Sentence_Terminal}…‥]['\"\p{Pe}\p{Pf}\p{Pi}\s]*\Z")
_CODES = {
    **dict.fromkeys(("zh", "zho", "chi", "cmn", "yue"), "zh"),
    **dict.fromkeys(("ja", "jpn"), "ja"),
    **dict.fromkeys(("ko", "kor"), "ko"),
    **dict.fromkeys(("th", "tha", "lo", "lao", "my", "mya", "km", "khm"), "unspaced"),
}
_ENGLISH = ("en", "eng")
_BORROWED = 0.01  # share of characters that letters beyond a to z are in English at most
_KANA_SHARE = 0.05  # of the Han and kana letters, from which on a text is Japanese


def of_code(lang: str) -> str:
    """`zh`, `ja`, `ko`, `unspaced` (Thai, Lao, Burmese, Khmer) or `other`, of a language code.

    Codes may be of two or three letters and have more behind them: `zh-TW`, `zho_Hans`.
    """
    return _CODES.get(_language(lang), "other")


def _language(lang: str) -> str:
    return re.split("[-_]", lang.strip().lower())[0]


def is_english(lang: str) -> bool:
    """Whether a language code is one of English."""
    return _language(lang) in _ENGLISH


def has_plain_letters(texts: Iterable[str]) -> bool:
    """Whether texts are written in a to z but for a letter here and there, as English is."""
    beyond = length = 0
    for text in texts:
        length += len(text)
        beyond += 0 if text.isascii() else len(_BEYOND.findall(text))
    return beyond <= _BORROWED * length


def of_script(texts: Iterable[str]) -> str:
    """The same, of the script in which most letters of some texts are written."""
    whole = "".join(texts)
    kana = len(_KANA.findall(whole))
    counts = {
        "zh": len(_HAN.findall(whole)) + kana,
        "ko": len(_HANGUL.findall(whole)),
        "unspaced": len(_UNSPACED.findall(whole)),
    }
    written = max(counts, key=lambda name: counts[name])
    if counts[written] * 2 <= len(_LETTER.findall(whole)):
        return "other"
    return "ja" if written == "zh" and kana > _KANA_SHARE * counts["zh"] else written


def is_spaced(text: str) -> bool:
    """Whether spaces part the words of a text, or it has no letters of a script without spaces."""
    letters = _HAN.findall(text) + _KANA.findall(text) + _UNSPACED.findall(text)
    return len(letters) * 2 <= len(_LETTER.findall(text)) or len(letters) <= 4 * len(text.split())


def is_ended(text: str) -> bool:
    """Whether a text ends as sentences do in some script, quotes and brackets left aside."""
    return _ENDED.search(text) is not None
