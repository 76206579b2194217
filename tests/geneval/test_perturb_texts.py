"""geneval.perturb.texts: what each does to Latin and Chinese text, and what it leaves alone."""

from __future__ import annotations

import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from geneval.errors import UsageError
from geneval.perturb.lookalikes import CONFUSIONS, HOMOGLYPHS, KEYBOARD, SHAPE, SOUND
from geneval.perturb.perturbation import all_perturbations, applied

TEXTS = sorted(name for name, spec in all_perturbations().items() if spec.kind == "text")
SEVERE = [name for name in TEXTS if all_perturbations()[name].severity]
ENGLISH = (
    "The harbour was quiet, and nobody expected the ferry before noon. Two children fed the gulls; "
    "an old man mended nets. 'It isn't far,' he said, 'but the road climbs.' They laughed!"
)
CHINESE = (
    "港口很安静，没有人想到渡船中午以前会来。两个孩子在喂海鸟；老人坐在那里补网。"
    "他说：“路不远，但是要往上走。”大家都笑了！"
)
FAMILY, FLAG = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea"
WAVE = "\U0001f44b\U0001f3fd"  # with a skin tone
ODD = [
    "",
    " ",
    "\n\n",
    FAMILY,
    FLAG,
    "e\u0301",
    "\u0301",
    "\u200b",
    "a\r\nb",
    "ǆ",
    "각",
    "\U0001f469\u200d",
]


def changed(name: str, text: str, seed: int = 0, **options: object) -> str:
    """The text perturbed."""
    made: str = applied(name, options)(text, np.random.default_rng(seed))
    return made


def clusters(text: str) -> list[str]:
    """The characters as a reader sees them."""
    return regex.findall(r"\X", text)


def is_within(short: str, long: str) -> bool:
    """Whether a text can be had of a longer one by leaving out."""
    rest = iter(long)
    return all(character in rest for character in short)


@pytest.mark.parametrize("name", SEVERE)
@given(text=st.one_of(st.text(max_size=30), st.sampled_from(ODD)), severity=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_any_text_stays_a_text(name: str, text: str, severity: int) -> None:
    """A text that can be written, the same twice."""
    step = applied(name, {"severity": severity})
    made, again = (step(text, np.random.default_rng(3)) for _ in range(2))
    assert made == again
    made.encode()


@pytest.mark.parametrize("name", [n for n in SEVERE if "rate" in applied(n).options])
@given(text=st.text(max_size=30))
@settings(max_examples=20, deadline=None)
def test_rate_zero_changes_nothing(name: str, text: str) -> None:
    """Without a hit the text is the same, to the code point."""
    assert changed(name, text, rate=0.0) == text


@pytest.mark.parametrize("name", SEVERE)
def test_severity_takes_texts_further_away(name: str) -> None:
    """The mean edit distance grows with every severity, over many draws of two languages."""
    text = CHINESE if name in ("han_confusions", "punctuation_width") else f"{ENGLISH} {CHINESE}"

    def distance(severity: int) -> float:
        made = [changed(name, text, seed, severity=severity) for seed in range(20)]
        return float(np.mean([Levenshtein.distance(text, one) for one in made]))

    apart = [distance(severity) for severity in range(1, 6)]
    assert apart[0] > 0
    assert all(a < b for a, b in pairwise(apart)), apart


@pytest.mark.parametrize("name", SEVERE)
def test_emoji_and_marks_stay_whole(name: str) -> None:
    """Sequences of emoji and letters with combining marks are never taken apart."""
    text = f"cafe\u0301s {FAMILY} open{FLAG}here, ok {WAVE}\u3002 你好{FAMILY}朋友"
    for seed in range(20):
        found = Counter(clusters(changed(name, text, seed, severity=5)))
        assert [found[one] for one in (FAMILY, FLAG, WAVE)] == [2, 1, 1]
        marked = [one for one in found if "\u0301" in one]
        assert all(unicodedata.category(one[0])[0] == "L" for one in marked)


@pytest.mark.parametrize(
    "name", ["keyboard_typos", "homoglyphs", "letter_case", "space_drop", "space_double"]
)
def test_what_is_latin_leaves_chinese_alone(name: str) -> None:
    """Letters, case and spaces are not of Chinese text."""
    assert changed(name, CHINESE, rate=1.0) == CHINESE


@pytest.mark.parametrize("name", ["han_confusions", "punctuation_width"])
def test_what_is_chinese_leaves_latin_alone(name: str) -> None:
    """Neither look-alikes of characters nor full-width marks are of Latin text."""
    assert changed(name, ENGLISH, rate=1.0) == ENGLISH
    assert changed("punctuation_width", ENGLISH, rate=1.0, width="full") == ENGLISH


def test_the_keyboard_is_qwerty() -> None:
    """The keys around some keys of a keyboard in a photograph; every slip can slip back."""
    assert {key: set(KEYBOARD[key]) for key in "gqpZ"} == {
        "g": set("ftyhbv"),
        "q": set("wa"),
        "p": set("ol"),
        "Z": set("ASX"),
    }
    assert all(key in KEYBOARD[other] for key, others in KEYBOARD.items() for other in others)
    assert len(KEYBOARD) == 52


def test_keyboard_typos_are_neighbours() -> None:
    """Every letter of a to z is replaced by a neighbour in its case, and nothing else is."""
    for before, after in zip(ENGLISH, changed("keyboard_typos", ENGLISH, rate=1.0), strict=True):
        assert after in KEYBOARD[before] if before in KEYBOARD else after == before


def test_homoglyphs_look_alike_and_are_others() -> None:
    """Apple in Cyrillic, as Unicode's confusables have it; each is another script's letter."""
    assert changed("homoglyphs", "Apple café", rate=1.0) == "Аррӏе саfé"
    for latin, other in HOMOGLYPHS.items():
        assert "LATIN" in unicodedata.name(latin)
        assert unicodedata.name(other).split()[0] in ("CYRILLIC", "GREEK")
        assert unicodedata.category(latin) == unicodedata.category(other)


def test_confusions_are_of_their_group() -> None:
    """Characters by shape, by sound, or both; each group has its characters once."""
    assert CONFUSIONS["shape"]["己"] == "已巳"
    assert CONFUSIONS["sound"]["的"] == "地得"
    assert set(CONFUSIONS["both"]["已"]) == {"己", "巳", "以"}
    for group in f"{SHAPE} {SOUND}".split():
        assert len(set(group)) == len(group) > 1
        assert all(regex.fullmatch(r"\p{Han}", character) for character in group)
    for before, after in zip(CHINESE, changed("han_confusions", CHINESE, rate=1.0), strict=True):
        table = CONFUSIONS["both"]
        assert after in table[before] if before in table else after == before


def test_rates_are_met() -> None:
    """Of 20,000 letters a tenth is hit, and what is hit at a rate is hit at a higher one."""
    text = "p" * 20_000
    low, high = (np.array(list(changed("homoglyphs", text, rate=r))) != "p" for r in (0.1, 0.3))
    assert low.mean() == pytest.approx(0.1, abs=0.01)
    assert high.mean() == pytest.approx(0.3, abs=0.01)
    assert (high | ~low).all()


@given(text=st.text(max_size=40), seed=st.integers(0, 99))
@example(text="ab cd 你好，世界", seed=1)
@settings(max_examples=60, deadline=None)
def test_swaps_move_and_keep(text: str, seed: int) -> None:
    """The same characters, spaces and marks in their places, none moved by more than one."""
    before, after = clusters(text), changed("character_swap", text, seed, rate=0.5)
    assert Counter(text) == Counter(after)
    if all(len(one) == 1 for one in before):
        moved = [i for i, (a, b) in enumerate(zip(text, after, strict=True)) if a != b]
        assert all(text[i].isalnum() or regex.match(r"[\p{L}\p{N}]", text[i]) for i in moved)
        assert all(after[i] in text[max(0, i - 1) : i + 2] for i in moved)


def test_swap_at_every_place() -> None:
    """What has moved once stays: pairs change places."""
    assert changed("character_swap", "abcde 你好世界", rate=1.0) == "badce 好你界世"


@given(text=st.text(max_size=40), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_drops_and_inserts(text: str, seed: int) -> None:
    """A text with drops lies within the text, which lies within one with inserts."""
    for name in ("character_drop", "punctuation_drop", "space_drop"):
        assert is_within(changed(name, text, seed, rate=0.5), text)
    inserted = ("character_insert", "punctuation_add", "space_double", "word_insert", "zero_width")
    for name in inserted:
        assert is_within(text, changed(name, text, seed, rate=0.5))


def test_drops_are_of_their_kind() -> None:
    """Letters and digits, marks of any script, spaces but not lines."""
    text = "No. 7, “路”！\nyes no"
    assert changed("character_drop", text, rate=1.0) == ". , “”！\n "
    assert changed("punctuation_drop", text, rate=1.0) == "No 7 路\nyes no"
    assert changed("space_drop", text, rate=1.0) == "No.7,“路”！\nyesno"


def test_inserted_characters() -> None:
    """After a letter its neighbour on the keyboard; Chinese characters and digits are doubled."""
    made = changed("character_insert", "as7你é!", rate=1.0)
    assert made[0] == "a"
    assert made[1] in KEYBOARD["a"]
    assert made[2] == "s"
    assert made[3] in KEYBOARD["s"]
    assert made[4:] == "77你你éé!"


def test_case() -> None:
    """Upper, lower, and each the other way round; marks go with their letters."""
    text = "Straße Cafe\u0301 Ég"
    assert changed("letter_case", text, rate=1.0, form="upper") == "STRASSE CAFE\u0301 ÉG"
    assert changed("letter_case", text, rate=1.0, form="lower") == "straße cafe\u0301 ég"
    assert changed("letter_case", "aBc É", rate=1.0) == "AbC é"


def test_punctuation() -> None:
    """Marks of the script they stand in, full-width ones in half and back where Chinese is."""
    made = changed("punctuation_add", "one two 你好", rate=1.0)
    assert regex.fullmatch(r"one[,.;!?] two[,.;!?] 你[，。；！？]好[，。；！？]", made)
    half = changed("punctuation_width", "你好，世界（3.14）！", rate=1.0)
    assert half == "你好,世界(3.14)!"
    full = changed("punctuation_width", "你好, ok. 世界! 3.14", rate=1.0, width="full")
    assert full == "你好， ok. 世界！ 3.14"


def test_inserted_words() -> None:
    """Words of the script they stand before; other scripts, digits and marks get none."""
    made = changed("word_insert", "red 花 7, мир", rate=1.0)
    assert regex.fullmatch(r"[A-Za-z]+ red \p{Han}+花 7, мир", made)
    assert made != "red 花 7, мир"


@given(n=st.integers(0, 60), distance=st.integers(0, 6), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_words_move_by_the_distance_at_most(n: int, distance: int, seed: int) -> None:
    """A permutation of the words in which none goes further (Lample et al. 2018, section 3.1)."""
    numbers = [f"w{i}" for i in range(n)]
    made = changed("word_shuffle", " ".join(numbers), seed, distance=distance).split()
    assert sorted(made) == sorted(numbers)
    assert all(abs(int(word[1:]) - i) <= distance for i, word in enumerate(made))


def test_shuffled_words_leave_marks_in_place() -> None:
    """Words with their apostrophes and hyphens, and Chinese characters, are what moves."""
    text = "It isn't well-known, you know: 你好，世界！"
    made = changed("word_shuffle", text, 1, distance=50)
    assert made != text
    assert regex.sub(r"[\w'-]+", "", made) == regex.sub(r"[\w'-]+", "", text)
    assert "isn't" in made
    assert "well-known" in made


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_zero_width_does_not_show(text: str) -> None:
    """Only between letters, at every such place at most once; without them the text is back."""
    made = changed("zero_width", text, rate=1.0)
    assert regex.sub("[\u200b\u2060]", "", made) == text
    assert len(made) - len(text) == len(regex.findall(r"(?<=[\p{L}\p{N}])[\p{L}\p{N}]", text))


def test_templates() -> None:
    """One request as a prefix and as a cloze; braces of the text are text; a form has a place."""
    assert changed("template", "2+2?", form="Question: {text} Answer:") == "Question: 2+2? Answer:"
    assert changed("template", "{x}", form="{text} 的答案是") == "{x} 的答案是"
    with pytest.raises(UsageError, match=r"has no \{text\} in it"):
        changed("template", "2+2?", form="Question:")
