"""language_fidelity, spelling_errors and length on texts whose state is known."""

from __future__ import annotations

from typing import Any

import pytest

from geneval.data import Fields
from geneval.metric import find_metric
from geneval.metrics.text.language_fidelity import detected
from geneval.resample import Context
from geneval.value import Estimate, Role


def measured(name: str, columns: dict[str, list[Any]], **options: Any) -> dict[str, Estimate]:
    """Estimates by output."""
    spec = find_metric(name)
    n = len(next(iter(columns.values())))
    given = {"texts": Fields(tuple(f"{i:04d}" for i in range(n)), columns)}
    found = spec.measure(given, Context(), spec.check_options(options))
    return {estimate.output: estimate for estimate in found}


# ------------------------------------------------------------------------ language_fidelity

# The first article of the Universal Declaration of Human Rights.
ARTICLE = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "zh": "人人生而自由，在尊严和权利上一律平等。",
    "ja": "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ar": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
}


@pytest.mark.parametrize("code", ARTICLE)
def test_a_sentence_of_known_language(code: str) -> None:
    """The detector knows the declaration in ten languages."""
    assert detected(ARTICLE[code]) == code


def test_one_line_in_another_language_fails_its_output() -> None:
    """Outputs count by all of their lines, lines each for itself; short ones and numbers do not."""
    said = [
        f"{ARTICLE['en']}\n{ARTICLE['en']}\nOkay!",
        f"{ARTICLE['zh']}\n\n{ARTICLE['en']}",
        f"{ARTICLE['zh']}\n1 2 3 4 5 6 7 8 9 10",
        ARTICLE["fr"],
    ]
    found = measured("language_fidelity", {"written": said, "lang": ["eng", "zh-CN", "zho", "de"]})
    assert found["language_fidelity"].number == 2 / 4
    assert found["lines"].number == 4 / 6
    (table,) = found["language_fidelity"].tables
    assert list(zip(*table.columns.values(), strict=True)) == [
        ("de", "fr", 1),
        ("zh", "en", 1),
        ("en", "en", 2),
        ("zh", "zh", 2),
    ]
    assert set(found["lines"].galleries[0].ids[:2]) == {"0001", "0003"}


def test_what_cannot_be_judged_is_told() -> None:
    """Short outputs and unknown languages are left out of number and evidence, and counted."""
    columns = {
        "written": [ARTICLE["en"], "Yes.", ARTICLE["en"]],
        "lang": ["en", "en", "tlh"],
    }
    found = measured("language_fidelity", columns)["language_fidelity"]
    assert found.number == 1
    assert found.n == {Role.GENERATED: 1}
    assert "1 outputs without a line" in found.finding
    assert "does not know tlh (1)" in found.finding
    columns = {"written": ["Yes.", "No."], "lang": ["en", "en"]}
    assert "least_words" in str(measured("language_fidelity", columns)["lines"].problem)


# -------------------------------------------------------------------------- spelling_errors


def test_spelling_by_hand() -> None:
    """An English word of six, one of three, a French one of four; Chinese has no dictionary."""
    columns = {
        "written": [
            "Teh cat doesn't see the 2nd mouse",
            "I recieve it",
            "L’eau du lac éttait",
            "猫",
        ],
        "lang": ["en-US", "eng", "fr", "zh"],
    }
    found = measured("spelling_errors", columns)["spelling_errors"]
    assert found.evidence[Role.GENERATED].rows.tolist() == [[1, 6], [1, 3], [1, 4]]
    assert found.number == pytest.approx(3 / 13)
    assert found.finding == "there is no dictionary of zh (1)"
    assert sorted(found.tables[0].columns["word"]) == ["recieve", "teh", "éttait"]


def test_no_dictionary_is_no_perfect_spelling() -> None:
    """Undefined, with the languages there are."""
    found = measured("spelling_errors", {"written": ["猫", "犬"], "lang": ["zh", "ja"]})
    assert "ar, de, en, es" in str(found["spelling_errors"].problem)


# ---------------------------------------------------------------------------------- lengths


def test_lengths_by_hand() -> None:
    """Words of two languages, and their percentiles."""
    said = ["one two three", "今天下雨了。", "one"]
    found = measured("length", {"written": said})["length"]
    assert found.number == 3
    assert found.tables[0].columns["words"][0] == 1
    assert found.tables[0].columns["words"][-1] == 5
