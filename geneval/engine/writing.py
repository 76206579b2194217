"""The texts of a checkpoint: written batch by batch, kept in the ledger, made a set of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from geneval.checkpoint import GeneratedTexts
from geneval.engine.extract import chunks
from geneval.engine.progress import Progress, stage
from geneval.ledger import Ledger, Shard
from geneval.samples.sampleset import SampleSet, Subset
from geneval.samples.texts import TextSet
from geneval.signature import digest
from geneval.value import Ids

FORMAT = 1  # of what is kept of a batch; part of every key


def written(
    samples: SampleSet, ledger: Ledger, backend: str, batch_size: int, progress: Progress
) -> TextSet | None:
    """What a checkpoint writes at its prompts, or None for samples that are there already.

    Every batch is kept as soon as it is written, so that a run that was killed goes on from there.
    With several repeats a record has `samples`; what else the adapter says, and what it cost, is of
    the first of them.
    """
    base = samples.base if isinstance(samples, Subset) else samples
    if not isinstance(base, GeneratedTexts):
        return None
    by_repeat = list[list[dict[str, Any]]]()
    with stage(progress, "texts", len(samples.ids) * base.repeats):
        for repeat in range(base.repeats):
            made = []
            for ids in chunks(samples.ids, batch_size):
                records, cached = _batch(base, ids, repeat, ledger, backend)
                made += records
                progress.advance(len(ids), cached)
            by_repeat.append(made)
    return _as_set(base, samples.ids, by_repeat)


def _batch(
    base: GeneratedTexts, ids: Ids, repeat: int, ledger: Ledger, backend: str
) -> tuple[list[dict[str, Any]], bool]:
    """The records written at some prompts, and whether they were written before."""
    asked = base.requests(ids, repeat)
    key = digest(
        {
            "format": FORMAT,
            "checkpoint": base.checkpoint.digest,
            "asked": {name: list(cells) for name, cells in asked.columns.items()},
            "backend": backend,
        }
    )
    stored = ledger.read(key)
    if stored is not None:
        known: list[dict[str, Any]] = stored.facts["records"]
        return known, True
    records = base.checkpoint.write(asked)
    ledger.write(key, Shard({"rows": np.arange(len(ids))}, {"records": records}))
    return records, False


def _as_set(base: GeneratedTexts, ids: Ids, by_repeat: Sequence[list[dict[str, Any]]]) -> TextSet:
    """The prompts' records with what was written at them."""
    records = base.prompts.records(ids)
    for row, record in enumerate(records):
        first = by_repeat[0][row]
        record.update(first)
        if base.repeats > 1:
            record["samples"] = [made[row]["hypothesis"] for made in by_repeat]
        if "turns" in record and first["hypothesis"] is not None:
            answer = {"role": "assistant", "content": first["hypothesis"]}
            record["turns"] = [*record["turns"], answer]
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {name: [record.get(name) for record in records] for name in names}
    made = TextSet(base.name, columns, lambda row: f", prompt {ids[row]}")
    made.requested_labels = True
    if base.repeats > 1:
        made.notes = (f"the first of {base.repeats} samples of a prompt is its hypothesis",)
    return made
