"""ROUGE of two texts: tokens as numbers, what they share as counts, precision, recall and F1.

A text is a list of sentences, each a list of numbers that stand for its tokens; equal tokens have
equal numbers. Values are those of the package rouge-score 0.1.2.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import chain
from typing import Literal, NamedTuple

from geneval.metric import Undefined
from geneval.text.words import words

Tokenizer = Literal["rouge", "unicode"]
RougeType = Literal[
    "rouge1",
    "rouge2",
    "rouge3",
    "rouge4",
    "rouge5",
    "rouge6",
    "rouge7",
    "rouge8",
    "rouge9",
    "rougeL",
    "rougeLsum",
]
Sentence = list[int]
_ASCII_WORD = re.compile("[a-z0-9]+")
_STEMMED_FROM = 4  # letters; the package leaves shorter words alone


class Score(NamedTuple):
    """F1, precision and recall, each in [0, 1]."""

    f1: float
    precision: float
    recall: float


class Numbers(dict[str, int]):
    """The number of every word, given when it is first asked for.

    With `stemmed`, words of one Porter stem have one number; only ASCII words of at least four
    characters are stemmed, since Porter's rules are those of English.
    """

    def __init__(self, stemmed: bool) -> None:
        super().__init__()
        self._forms: dict[str, int] = {}
        self._stem = _stemmer() if stemmed else None

    def __missing__(self, word: str) -> int:
        form = word
        if self._stem is not None and len(word) >= _STEMMED_FROM and word.isascii():
            form = self._stem(word)
        number = self[word] = self._forms.setdefault(form, len(self._forms))
        return number


def _stemmer() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer

    stem: Callable[[str], str] = PorterStemmer().stem
    return stem


def ascii_words(text: str) -> list[str]:
    """Runs of a–z and 0–9 in lower case, the package's own tokens: any other letter parts words."""
    return _ASCII_WORD.findall(text.lower())


def loses_all(text: str) -> bool:
    """Whether a text has words, but none of a–z and 0–9."""
    return not _ASCII_WORD.search(text.lower()) and bool(words(text))


TOKENS: Mapping[Tokenizer, Callable[[str], list[str]]] = {"rouge": ascii_words, "unicode": words}


def lines(text: str) -> list[str]:
    """The lines of a text, which `rougeLsum` takes for its sentences."""
    return text.split("\n")


def english_sentences(text: str) -> list[str]:
    """The sentences that NLTK's Punkt finds; raises `Undefined` where its data is not here."""
    import nltk

    try:
        found: list[str] = nltk.sent_tokenize(text)
    except LookupError:
        raise Undefined(
            "split_summaries needs NLTK's punkt_tab, which geneval does not download: run "
            "`python -m nltk.downloader punkt_tab`, or put every sentence on a line of its own"
        ) from None
    return found


def reader(stemmed: bool, split_summaries: bool) -> Callable[[str, Tokenizer], list[Sentence]]:
    """What reads a text with a tokeniser, the same numbers for the same tokens of all texts."""
    numbers, sentences = Numbers(stemmed), english_sentences if split_summaries else lines

    def read(text: str, tokenizer: Tokenizer) -> list[Sentence]:
        split = TOKENS[tokenizer]
        return [[numbers[word] for word in split(one)] for one in sentences(text)]

    return read


# ------------------------------------------------------------------------------- what is shared


def shared_ngrams(made: Sentence, wanted: Sentence, n: int) -> int:
    """Size of the intersection of the multisets of n-grams."""
    one, other = _ngrams(made, n), _ngrams(wanted, n)
    return sum(min(count, other[ngram]) for ngram, count in one.items() if ngram in other)


def _ngrams(tokens: Sentence, n: int) -> Counter[Hashable]:
    """How often each n-gram occurs; of single tokens the tokens, which are quicker than tuples."""
    return Counter(tokens if n == 1 else zip(*(tokens[i:] for i in range(n)), strict=False))


def shared_subsequence(made: Sentence, wanted: Sentence) -> int:
    """Length of the longest common subsequence."""
    from rapidfuzz.distance import LCSseq

    return int(LCSseq.similarity(made, wanted))


def shared_summary(made: Sequence[Sentence], wanted: Sequence[Sentence]) -> int:
    """Hits of the union of longest common subsequences, summed over the wanted sentences.

    A token counts at most as often as it occurs on either side.
    """
    if len(made) == len(wanted) == 1:
        return shared_subsequence(made[0], wanted[0])
    left = Counter(chain.from_iterable(made)) & Counter(chain.from_iterable(wanted))
    places = [(places_of(sentence), len(sentence)) for sentence in made]
    hits = 0
    for sentence in wanted:
        union = set[int]().union(*(common_places(sentence, *one) for one in places))
        for place in union:
            token = sentence[place]
            if left[token] > 0:
                left[token] -= 1
                hits += 1
    return hits


def places_of(sentence: Sentence) -> dict[int, int]:
    """For every token of a sentence the set of its places, as the bits of a number."""
    places = dict[int, int]()
    for place, token in enumerate(sentence):
        places[token] = places.get(token, 0) | 1 << place
    return places


def common_places(wanted: Sentence, places: Mapping[int, int], length: int) -> list[int]:
    """Places in `wanted` of one longest common subsequence with a sentence of these places.

    Which one decides what a union has: of several the one that is traced back from the end, by a
    match where there is one, else towards the start of the other sentence where that keeps more
    than going towards the start of `wanted`. Rows of the table are numbers whose unset bits mark
    where the length grows (Hyyrö 2004), so that a row takes a few operations on whole numbers.
    """
    full = (1 << length) - 1
    row, rows = full, [full]
    for token in wanted:
        matches = places.get(token, 0)
        if matches:
            row = (row + (row & matches) | row & ~matches) & full
        rows.append(row)
    found = list[int]()
    i, j, here = len(wanted), length, length - row.bit_count()
    while here:
        last = 1 << j - 1
        if places.get(wanted[i - 1], 0) & last:
            i, j, here = i - 1, j - 1, here - 1
            found.append(i)
            continue
        up = j - (rows[i - 1] & 2 * last - 1).bit_count()
        back = here - (not rows[i] & last)
        if back > up:
            j, here = j - 1, back
        else:
            i, here = i - 1, up
    return found


# --------------------------------------------------------------------------------------- scores


def rouge_of(
    kinds: Sequence[RougeType], made: Sequence[Sentence], wanted: Sequence[Sentence]
) -> list[Score]:
    """The score of each kind, of a text and one reference; 0 where either has no tokens."""
    whole, other = list(chain.from_iterable(made)), list(chain.from_iterable(wanted))
    found = []
    for kind in kinds:
        n = 1
        if kind == "rougeL":
            hits = shared_subsequence(whole, other)
        elif kind == "rougeLsum":
            hits = shared_summary(made, wanted)
        else:
            n = int(kind.removeprefix("rouge"))
            hits = shared_ngrams(whole, other, n)
        found.append(_score(hits, len(whole) - n + 1, len(other) - n + 1))
    return found


def _score(hits: int, made: int, wanted: int) -> Score:
    """Of so many hits among so many made and wanted."""
    if hits == 0:
        return Score(0.0, 0.0, 0.0)
    precision, recall = hits / made, hits / wanted
    return Score(2 * precision * recall / (precision + recall), precision, recall)


def best_rouge(
    kinds: Sequence[RougeType], made: Sequence[Sentence], wanted: Sequence[Sequence[Sentence]]
) -> list[Score]:
    """The score of each kind under the reference with the largest F1, the first of equal ones."""
    by_reference = [rouge_of(kinds, made, one) for one in wanted]
    return [max(scores, key=lambda one: one.f1) for scores in zip(*by_reference, strict=True)]
