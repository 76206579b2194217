"""ROUGE: the n-grams and subsequences that a text shares with its references, mean over records.

    F1 = 2PR / (P + R),  P = hits / what the hypothesis has,  R = hits / what the reference has

Input: hypotheses and references by record. `types` chooses the outputs, by default rouge1, rouge2,
rougeL and rougeLsum. rouge1 … rouge9 count n-grams as multisets; rougeL the longest common
subsequence of all tokens; rougeLsum, for every sentence of the reference, the union of its longest
common subsequences with the hypothesis' sentences, a token at most as often as either side has it.
Sentences are lines, or what NLTK's Punkt for English finds (`split_summaries`). Of several
references the one with the largest F1 counts, for each type alone. Range [0, 1]; higher is better.
A hypothesis or a reference without words scores 0, even against another without words.

Tokens (`tokenizer`) are runs of a–z and 0–9 as in the package rouge-score (`rouge`), to which any
other letter is a gap, or words of any script (`unicode`: geneval.text.words, characters where no
space parts words); both are the same on ASCII text. Unless set, `rouge` reads the records whose
`lang` is English, or, where records have no `lang`, all of them if letters beyond a–z are at most
1 % of the references' characters; `unicode` reads the others, and those whose reference would lose
all its words. With `tokenizer: rouge` such a reference makes the value a problem. `use_stemmer`
compares words of a–z and 0–9, from four characters on, by their Porter stems, which suit English.

The value is the plain mean over records, never the median of resamples; the interval is of the
mean of the population, by the central limit theorem. No stop words, no truncation, F1 only.

Paper: Lin 2004 (Text Summarization Branches Out). Equal to rouge-score 0.1.2 with the tokeniser
`rouge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from geneval.data import Fields
from geneval.items import Floats, mean_of
from geneval.metric import Undefined, fields, metric
from geneval.metrics.text.bleu import example
from geneval.resample import Context
from geneval.text.corpus import reference_count
from geneval.text.rouge_scores import RougeType, Tokenizer, best_rouge, loses_all, reader
from geneval.text.scripts import has_plain_letters, is_english
from geneval.value import DetailTable, Estimate, OutputSpec

DEFAULT: tuple[RougeType, ...] = ("rouge1", "rouge2", "rougeL", "rougeLsum")
References = Sequence[Sequence[str | None]]


def chosen_types(types: Sequence[RougeType] | None) -> tuple[RougeType, ...]:
    """The types that are asked for, each once."""
    return tuple(dict.fromkeys(types or DEFAULT))


def chosen_tokenizers(
    references: References, lang: Sequence[str] | None, option: Tokenizer | None
) -> list[Tokenizer]:
    """The tokeniser of every record; raises `Undefined` where the option leaves no words."""
    lost = [any(loses_all(text) for text in texts if text) for texts in references]
    if option == "rouge" and any(lost):
        raise Undefined(
            f"{sum(lost)} of {len(lost)} records have a reference of which the tokeniser rouge "
            "leaves no word, since it knows a-z and 0-9 only: set tokenizer: unicode"
        )
    if option is not None:
        return [option] * len(lost)
    if lang is not None:
        english = [is_english(code) for code in lang]
    else:
        plain = has_plain_letters(text for texts in references for text in texts if text)
        english = [plain] * len(lost)
    return [
        "rouge" if served and not empty else "unicode"
        for served, empty in zip(english, lost, strict=True)
    ]


@metric(
    "rouge",
    version=1,
    min_n=2,
    n_match="any",
    outputs=lambda o: [OutputSpec(name, "higher", range=(0, 1)) for name in chosen_types(o.types)],
    needs=lambda o: {"texts": fields("generated", "hypothesis", "references", also=["lang"])},
    example=example,
)
def rouge(
    texts: Fields,
    context: Context,
    *,
    types: list[RougeType] | None = None,
    tokenizer: Tokenizer | None = None,
    use_stemmer: bool = False,
    split_summaries: bool = False,
) -> list[Estimate]:
    """The mean F1 of every type."""
    references, kinds = texts.columns["references"], chosen_types(types)
    names = chosen_tokenizers(references, texts.columns.get("lang"), tokenizer)
    read = reader(use_stemmer, split_summaries and "rougeLsum" in kinds)
    scores, wordless = np.empty((len(names), len(kinds), 3)), 0
    records = zip(texts.columns["hypothesis"], references, names, strict=True)
    for row, (made, wanted, name) in enumerate(records):
        known = [read(text, name) for text in wanted if text is not None]
        scores[row] = best_rouge(kinds, read(made, name), known)
        wordless += not any(sentence for text in known for sentence in text)
    used = "+".join(sorted(set(names)))
    signed = {"tokenizer": used, "nrefs": reference_count(references)}
    told = [] if tokenizer or used == "rouge" else [f"tokenised as {used}, by lang or script"]
    if wordless:
        told.append(f"{wordless:,} records without a word in any reference score 0")
    found = [
        mean_of(
            context,
            kind,
            scores[:, i, 0],
            texts.ids,
            (0, 1),
            signed={"types": kind, **signed},
            finding="; ".join(told),
            title="Least like their references",
        )
        for i, kind in enumerate(kinds)
    ]
    return [replace(found[0], tables=(_means(kinds, scores),)), *found[1:]]


def _means(kinds: Sequence[RougeType], scores: Floats) -> DetailTable:
    """Means over records of scores [n, kinds, 3]."""
    f1, precision, recall = scores.mean(axis=0).T.tolist()
    columns = {"type": list(kinds), "precision": precision, "recall": recall, "f1": f1}
    return DetailTable("Precision, recall and F1", columns)
