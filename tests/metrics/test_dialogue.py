"""dialogue_repetition and context_overlap: counts by hand, turn by turn."""

from __future__ import annotations

from typing import Any

import pytest

from geneval.data import Fields
from geneval.metric import find_metric
from geneval.resample import Context
from geneval.text.turns import answers, by_turn
from geneval.value import Estimate, Role


def turns(*texts: str) -> list[dict[str, str]]:
    """User and assistant in alternation."""
    return [{"role": ("user", "assistant")[i % 2], "content": t} for i, t in enumerate(texts)]


def measured(name: str, dialogues: list[Any], **options: Any) -> Estimate:
    """The estimate of dialogues."""
    spec = find_metric(name)
    ids = tuple(f"{i:04d}" for i in range(len(dialogues)))
    given = {"texts": Fields(ids, {"turns": dialogues})}
    (found,) = spec.measure(given, Context(), spec.check_options(options))
    return found


def test_answers_know_what_was_said_before() -> None:
    """All that is not the assistant's is context, the system's turns too; order is kept."""
    talk = [{"role": "system", "content": "be kind"}, *turns("hi", "hello", "bye", "so long")]
    first, second = answers(talk)
    assert (first.text, first.own, first.others) == ("hello", (), ("be kind", "hi"))
    assert (second.text, second.own, second.others) == (
        "so long",
        ("hello",),
        ("be kind", "hi", "bye"),
    )
    assert answers(turns("alone")) == []


def test_shares_by_turn_leave_out_turns_of_nothing() -> None:
    """Means over the dialogues that have the turn and something in it."""
    table = by_turn("title", [[(0, 0), (1, 2)], [(0, 0), (1, 4), (3, 3)], []], "share")
    assert table.columns == {"turn": [2, 3], "share": [0.375, 1], "dialogues": [2, 1]}


def test_repetition_across_turns_by_hand() -> None:
    """Bigrams: of b c, c d and a b the first answer has b c and a b; turn 3 is told by both.

    Dialogue 1: 1 of 2 in turn 2, 1 of 1 in turn 3; dialogue 2 has one answer, dialogue 3 none new.
    """
    dialogues = [
        turns("x", "a b c", "y", "b c d", "z", "c d"),
        turns("x", "a a a a a a"),  # repeats within the first turn only
        turns("x", "a b c", "b c d", "e f g"),  # what the user said is not the assistant's
    ]
    found = measured("dialogue_repetition", dialogues, order=2)
    assert found.number == pytest.approx((2 / 3 + 0) / 2)
    assert found.n == {Role.GENERATED: 2}
    assert found.tables[0].columns == {
        "turn": [2, 3],
        "repeated": [0.25, 1],
        "dialogues": [2, 1],
    }
    assert found.galleries[0].ids[0] == "0000"
    assert "1 dialogues" in found.finding


def test_single_answers_repeat_nothing() -> None:
    """Undefined without a second answer."""
    found = measured("dialogue_repetition", [turns("a", "b c d e")] * 2)
    assert "second turn" in str(found.problem)


def test_overlap_by_hand() -> None:
    """`the` stands in both contexts and is no content word; what is said later is no context.

    Answer 1 has sea and deep of which sea was asked for; answer 2 deep, which the user took up, and
    the sea once more: 1 of 2 and 2 of 2, 3 of 4. Dialogue 2: hill of hill and is.
    """
    dialogues = [
        turns("the sea", "the sea deep", "how deep", "the deep sea"),
        turns("the hill", "the hill is"),
    ]
    found = measured("context_overlap", dialogues, common=0.5)
    assert found.number == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found.tables[0].columns["from context"] == [0.5, 1]
    assert found.tables[0].columns["turn"] == [1, 2]


def test_few_dialogues_keep_their_content_words() -> None:
    """A word of one dialogue alone is never common, however few dialogues there are."""
    found = measured("context_overlap", [turns("茶", "茶"), turns("酒", "水")], common=0.0)
    assert found.number == 0.5


def test_no_content_is_no_overlap() -> None:
    """Undefined where the assistant says common words only."""
    found = measured("context_overlap", [turns("the", "the"), turns("the", "The!")])
    assert "no content word" in str(found.problem)
