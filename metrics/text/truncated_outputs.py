"""Truncated outputs: how many break off before they are at an end.

    truncated_outputs = share of outputs that were cut off

Input: one text a record, and `finish_reason` or `stop_reason` where the records have one: cut off
are those that were stopped by a limit of length (`length`, `max_tokens`, `max_length`,
`model_length`, whatever the case of their letters). Without either, an output is cut off that does
not end with a mark that ends sentences in some script (. ! ? … 。 ？ । ؟ and others), closing
quotes, brackets and spaces left aside; an empty one is not. Range [0, 1]; lower is better. The
signature says which of the two told (`by`).

Where the mark tells, it must be one that texts of the kind have: undefined unless at least half of
the references end with one, or, without references, half of the outputs. The interval is Wilson's,
of the population.

Source: the definition above; the reasons are those that interfaces of language models return.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geneval.data import Fields
from geneval.items import mean_of
from geneval.metric import Undefined, fields, metric
from geneval.resample import Context
from geneval.text.normal import is_empty
from geneval.text.scripts import is_ended
from geneval.value import Estimate, OutputSpec

_REASONS = ("finish_reason", "stop_reason")
_CUT = {"length", "max_tokens", "max_length", "model_length"}
_LEAST = 0.5  # share of texts that must end with a mark for the lack of one to tell


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Sentences with a full stop; damage cuts that share of them off in the middle."""
    said = [f"It was the year {rng.integers(1000, 2000)}, and it rained." for _ in range(80)]
    cut = [text[: int(rng.integers(5, 20))] if rng.random() < damage else text for text in said]
    columns: dict[str, list[Any]] = {"written": cut, "references": [[text] for text in said]}
    return {"texts": Fields(tuple(f"{i:04d}" for i in range(80)), columns)}


@metric(
    "truncated_outputs",
    version=1,
    min_n=1,
    n_match="any",
    outputs=[OutputSpec("truncated_outputs", "lower", range=(0, 1))],
    needs=lambda o: {"texts": fields("generated", "written", also=["references", *_REASONS])},
    example=example,
)
def truncated_outputs(texts: Fields, context: Context) -> list[Estimate]:
    """The share of outputs that were cut off."""
    reason = next((name for name in _REASONS if name in texts.columns), None)
    said = texts.columns["written"]
    if reason:
        cut = [str(cell).lower() in _CUT for cell in texts.columns[reason]]
    else:
        _require_ends(said, texts.columns.get("references"))
        cut = [not (is_empty(text) or is_ended(text)) for text in said]
    return [
        mean_of(
            context,
            "truncated_outputs",
            np.array(cut, dtype=np.float64),
            texts.ids,
            (0, 1),
            worst_first=-1,
            signed={"by": reason or "end"},
            title="Cut off",
            share=True,
        )
    ]


def _require_ends(said: Sequence[str], references: Sequence[Sequence[str | None]] | None) -> None:
    """Raise `Undefined` unless texts of this kind end with a mark."""
    whole = said if references is None else [t for texts in references for t in texts if t]
    ended = [is_ended(text) for text in whole if not is_empty(text)]
    if sum(ended) < _LEAST * len(ended) or not ended:
        what = "outputs" if references is None else "references"
        raise Undefined(
            f"{sum(ended):,} of {len(ended):,} {what} end with a mark that ends sentences, so that "
            "the lack of one tells nothing: give the records a finish_reason"
        )
