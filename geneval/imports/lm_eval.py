"""Samples that lm-evaluation-harness logged (`--log_samples`), as records of texts.

Read are the files `samples_<task>_<date>.jsonl` of versions 0.4.0 to 0.4.9, whose shape follows
from `lm_eval/evaluator.py` (one record a document and filter) and `lm_eval/loggers/
evaluation_tracker.py` (which writes requests as `gen_args_0: {arg_0, arg_1}` and everything in
`resps` as text) of github.com/EleutherAI/lm-evaluation-harness; plain lists of requests, as of
`simple_evaluate`, are read too.

A record's id is `task/doc_id`, with `/filter` where a filter was named; the hypothesis is the
filtered response, which is what the harness scored, and `samples` are several responses of one
prompt. Of log-likelihoods the hypothesis is the option of the largest one, which is what `acc`
counts (not `acc_norm`), and the reference the option that the target names. Where no option is
known (one continuation that is not the greedy one, rolling log-likelihoods) it is empty, and a note
says so. Scores are the record's metrics that are numbers.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from geneval.errors import SampleError, UsageError, unknown
from geneval.imports.records import Draft, Imported, drafted, imported, number, require_files
from geneval.samples.metadata import json_object
from geneval.samples.pairs import read_lines

_NAME = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.:-]+\.jsonl")
_MAPPED = {"doc_id", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"}
_BESIDE = {"doc", "doc_hash", "prompt_hash", "target_hash"}
_NO_FILTER = "none"  # the harness' name for it
_LIKELIHOODS = "log-likelihoods"  # of a record that no text was generated for


class Request(NamedTuple):
    """What the model was asked: a context, and the continuation whose likelihood was wanted."""

    context: Any
    continuation: str | None
    generates: bool


def read_lm_eval(paths: Sequence[Path], filter_: str | None = None) -> Imported:
    """The records of files of samples, of one filter if it is given.

    Raises `UsageError` for a path that is no file of samples and an unknown filter, `SampleError`
    for content of another shape and for tasks whose scores differ.
    """
    require_files(paths)
    drafts, read = [], 0
    for path in paths:
        task = _task_of(path)
        for place, record in _records(path):
            read += 1
            drafts.append(drafted(partial(_draft, task), place, record))
    filters = {draft.parts["filter"] for draft in drafts}
    if filter_ is not None and filter_ not in filters:
        raise UsageError(unknown("filter", filter_, filters))
    kept = [draft for draft in drafts if filter_ in (None, draft.parts["filter"])]
    _require_one_kind(kept)
    return imported(kept, read, _notes(kept, filters))


def _notes(kept: Sequence[Draft], filters: set[str]) -> Iterator[str]:
    """Sentences on filters and on records without a text."""
    if len({draft.parts["filter"] for draft in kept}) > 1:
        yield f"filters {', '.join(sorted(filters))}: a record each; choose one with --filter"
    empty = sum(_LIKELIHOODS in draft.left_out and not draft.parts["hypothesis"] for draft in kept)
    if empty:
        told = f"{empty:,} of {len(kept):,} records"
        yield f"log-likelihoods alone, no text, in {told}: use their scores"


def _task_of(path: Path) -> str:
    """The task in a file's name."""
    if path.suffix != ".jsonl":
        told = "holds the totals" if path.name.startswith("results") else "is no .jsonl"
        raise UsageError(f"{path} {told}; give the files samples_<task>_<date>.jsonl")
    match = _NAME.fullmatch(path.name)
    return match["task"] if match else path.stem.removeprefix("samples_")


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a file with their places; NaN, which is no score, becomes None."""
    lines = [(i, line) for i, line in enumerate(read_lines(path), 1) if line.strip()]
    if not lines:
        raise SampleError(f"{path} has no records")
    for i, line in lines:
        place = f"{path}:{i}"
        record = json_object(line, place, constant=lambda _: None)
        for name in ("doc_id", "target", "arguments", "resps", "filtered_resps"):
            if name not in record:
                raise SampleError(f"{place} is no sample of lm-evaluation-harness: no {name!r}")
        yield place, record


def _require_one_kind(drafts: Sequence[Draft]) -> None:
    """Raise `SampleError` unless all tasks give the same scores."""
    kinds = {str(draft.parts["task"]): frozenset(draft.scores) for draft in drafts}
    first, *others = kinds.items()
    for task, scores in others:
        if scores != first[1]:
            told = (f"{name} has {', '.join(sorted(s))}" for name, s in (first, (task, scores)))
            raise SampleError(f"the tasks' scores differ ({'; '.join(told)}): import each alone")


def _draft(task: str, place: str, record: dict[str, Any]) -> Draft:
    requests = _requests(record["arguments"], place)
    named = str(record.get("filter") or _NO_FILTER)
    name = f"{task}/{record['doc_id']}" + (f"/{named}" if named != _NO_FILTER else "")
    parts: dict[str, Any] = {"id": name, "task": task, "filter": named}
    beside = {key for key in _BESIDE if key in record}
    if requests[0].generates:
        parts |= _written(record, place)
        parts["references"] = _texts_of(record["target"]) or None
    else:
        beside.add(_LIKELIHOODS)
        parts |= _chosen(requests, record, place)
    parts |= _asked(requests[0].context, record, place)
    scored = record.get("metrics") or record.keys() - _MAPPED - _BESIDE
    scores = {metric: number(record.get(metric)) for metric in sorted(scored)}
    return Draft(place, parts, scores, frozenset(beside))


def _requests(arguments: Any, place: str) -> list[Request]:
    """The requests of a document, as they are written or as they are in memory."""
    given = list(arguments.values()) if isinstance(arguments, dict) else arguments
    rows = [list(one.values()) if isinstance(one, dict) else one for one in given or ()]
    if not rows or not all(isinstance(row, list) and row for row in rows):
        raise SampleError(f"{place}: arguments hold no request")
    return [_request(*row[:2]) for row in rows]


def _request(context: Any, more: Any = None) -> Request:
    """A continuation is text; what generates has options in its place."""
    return Request(context, more if isinstance(more, str) else None, isinstance(more, dict))


def _written(record: dict[str, Any], place: str) -> dict[str, Any]:
    """Hypothesis and samples of responses."""
    filtered, raw = list(_flat(record["filtered_resps"])), list(_flat(record["resps"]))
    if not filtered:
        raise SampleError(f"{place} has no response")
    return {"hypothesis": filtered[0], "samples": filtered if len(filtered) > 1 else raw}


def _flat(cell: Any) -> Iterator[str]:
    """The texts of nested lists."""
    if isinstance(cell, list):
        for one in cell:
            yield from _flat(one)
    else:
        yield str(cell)


def _chosen(requests: list[Request], record: dict[str, Any], place: str) -> dict[str, Any]:
    """The option of the largest log-likelihood, and the one that the target names."""
    try:
        found = [(float(row[0]), str(row[1])) for row in record["filtered_resps"]]
    except (IndexError, TypeError, ValueError):
        found = []  # rolling log-likelihoods are one number
    same = [one for one in requests if one.context == requests[0].context]
    options = [str(one.continuation).strip() for one in same if one.continuation is not None]
    targets = _texts_of(record["target"])
    if len(found) != len(requests) or not options:
        return {"hypothesis": "", "references": targets or None}
    if len(options) == 1:
        greedy = len(requests) == 1 and found[0][1] == "True"
        return {"hypothesis": options[0] if greedy else "", "references": targets or None}
    likelihoods = [likelihood for likelihood, _ in found[: len(options)]]
    named = [_option(target, options, place) for target in targets]
    best = likelihoods.index(max(likelihoods))
    return {"hypothesis": options[best], "references": named or None}


def _option(target: str, options: list[str], place: str) -> str:
    """The option that a target names by its number, or the target's own text."""
    if not target.isdigit():
        return target.strip()
    if int(target) >= len(options):
        raise SampleError(f"{place}: target {target} of {len(options)} options")
    return options[int(target)]


def _texts_of(target: Any) -> list[str]:
    """The texts of a target, of which the harness writes a list as Python prints it."""
    if isinstance(target, str) and re.fullmatch(r"\s*\[.*\]\s*", target, re.DOTALL):
        try:
            target = ast.literal_eval(target.strip())
        except (ValueError, SyntaxError):
            return [str(target)]
    texts = [str(one) for one in (target if isinstance(target, list) else [target])]
    return [] if texts in ([""], ["None"]) else texts


def _asked(context: Any, record: dict[str, Any], place: str) -> dict[str, Any]:
    """The prompt; of a chat also the turns, with what the model answered."""
    if isinstance(context, str):
        return {"prompt": context, "turns": None}
    if not (isinstance(context, list) and context and isinstance(context[0], str)):
        return {"prompt": None, "turns": None}
    try:  # a chat is written as JSON within a list of one
        given = [(turn["role"], str(turn["content"])) for turn in json.loads(context[0])]
    except (ValueError, TypeError, KeyError):
        raise SampleError(f"{place}: the chat that was asked is no list of turns") from None
    answer = next(_flat(record["resps"]), "")
    turns = [
        {"role": role, "content": content} for role, content in (*given, ("assistant", answer))
    ]
    asked = [content for role, content in given if role == "user"]
    return {"prompt": asked[-1] if asked else None, "turns": turns}
