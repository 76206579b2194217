"""Logs of Inspect (inspect_ai), `.eval` and `.json`, as records of texts.

Read is version 2 of the log, that of inspect_ai 0.3 (`EvalLog` and `EvalSample` in
`src/inspect_ai/log/_log.py` of github.com/UKGovernmentBEIS/inspect_ai): a `.json` holds everything,
an `.eval` is a zip of `header.json` and `samples/<id>_epoch_<n>.json`. Members compressed by
Zstandard need Inspect itself, whose `inspect log convert` writes JSON.

A record's id is the sample's. Several epochs are `samples` of one record, whose scores are their
means (Inspect's default reducer), so that n counts what was sampled independently; with
`epochs_apart` each epoch is a record `id/epoch`. A score C is 1, P ½, I and N 0, and yes, true, no,
false and numerals are what they say, as in Inspect's `value_to_float`; any other text is no number
here, while Inspect counts it as 0. A score that is a mapping becomes a column `score_key` for each
key. Metadata that are a plain value in every record become columns to group by. Samples that ended
in an error are left out, as Inspect leaves them out of its metrics.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from geneval.errors import SampleError, UsageError
from geneval.imports.records import (
    TAKEN,
    Draft,
    Imported,
    drafted,
    imported,
    number,
    require_files,
    require_once,
)
from geneval.samples.metadata import json_object

_MAPPED = {"id", "epoch", "input", "target", "messages", "output", "scores", "metadata", "error"}
_WORDS = {"C": 1, "P": 0.5, "I": 0, "N": 0}
_TRUTHS = {"yes": 1, "true": 1, "no": 0, "false": 0}
_ATTACHED = re.compile(r"attachment://([0-9a-f]+)")
_ZSTD = (
    "is compressed by Zstandard, which Python reads from 3.14 on; convert it: "
    "inspect log convert --to json --output-dir FOLDER"
)


def read_inspect(paths: Sequence[Path], epochs_apart: bool = False) -> Imported:
    """The records of logs of one task.

    Raises `UsageError` for a path that is no log's, `SampleError` for content of another shape,
    several tasks and an id that comes twice.
    """
    require_files(paths)
    drafts: list[Draft] = []
    notes: list[str] = []
    tasks: dict[str, Path] = {}
    read = 0
    for path in paths:
        header, samples = _log(path)
        tasks.setdefault(_task_of(header, path), path)
        if len(tasks) > 1:
            told = ", ".join(f"{task} in {where}" for task, where in tasks.items())
            raise SampleError(f"the logs are of several tasks ({told}): import each alone")
        if header.get("status") != "success":
            notes.append(f"{path}: the log's status is {header.get('status')}")
        for place, sample in samples:
            read += 1
            if sample.get("error") is None:
                drafts.append(drafted(_draft, place, sample))
    failed = read - len(drafts)
    if failed:
        notes.append(f"left out, as they ended in an error: {failed:,} of {read:,} samples")
    apart = [_apart(one) for one in drafts]
    require_once(apart)
    return imported(apart if epochs_apart else _together(drafts, notes), read, notes)


def _log(path: Path) -> tuple[dict[str, Any], Iterator[tuple[str, dict[str, Any]]]]:
    """The header of a log and its samples with their places."""
    if path.suffix == ".eval":
        return _zipped(path)
    if path.suffix != ".json":
        raise UsageError(f"{path}: logs of Inspect are .eval and .json")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SampleError(f"{path} is no UTF-8 text: {error.reason}") from None
    log = _object(text, str(path))
    samples = log.get("samples")
    if not isinstance(samples, list) or not all(isinstance(one, dict) for one in samples):
        raise SampleError(f"{path} is no log of Inspect: it has no list of samples")
    placed = ((f"{path}: samples[{i}]", _sound(s, str(path))) for i, s in enumerate(samples))
    return log, placed


def _zipped(path: Path) -> tuple[dict[str, Any], Iterator[tuple[str, dict[str, Any]]]]:
    """The header and the samples of an `.eval`, which are read one by one."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise SampleError(f"{path} is no log of Inspect: {error}") from None
    names = sorted(name for name in archive.namelist() if name.startswith("samples/"))
    placed = ((f"{path}/{name}", _member(archive, path, name)) for name in names)
    header = _member(archive, path, "header.json")
    return header, ((place, _sound(sample, place)) for place, sample in placed)


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> dict[str, Any]:
    """The JSON object that a member of an `.eval` is."""
    try:
        text = archive.read(name).decode()
    except NotImplementedError:
        raise SampleError(f"{path} {_ZSTD} {path}") from None
    except KeyError:
        raise SampleError(f"{path} has no {name}: the log was not finished") from None
    except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError) as error:
        raise SampleError(f"{path} is no log of Inspect: {error}") from None
    return _object(text, f"{path}/{name}")


def _object(text: str, place: str) -> dict[str, Any]:
    """A JSON object in which NaN, Inspect's mark of what was not scored, is None."""
    found: dict[str, Any] = json_object(text, place, constant=lambda _: None)
    return found


def _sound(sample: dict[str, Any], place: str) -> dict[str, Any]:
    for name in ("id", "epoch", "input", "target", "output"):
        if name not in sample:
            raise SampleError(f"{place} is no sample of Inspect: it has no {name!r}")
    return sample


def _task_of(header: Mapping[str, Any], path: Path) -> str:
    spec = header.get("eval")
    if not isinstance(spec, Mapping) or "task" not in spec:
        raise SampleError(f"{path} is no log of Inspect: it names no task")
    return str(spec["task"])


def _draft(place: str, sample: dict[str, Any]) -> Draft:
    """One epoch of a sample; `sample` and `epoch` are taken away when it becomes a record."""
    attached = sample.get("attachments") or {}
    output = sample["output"] or {}
    texts = [_text(choice["message"], attached) for choice in output.get("choices") or ()]
    completion = output.get("completion")  # what Inspect itself takes as the text of the first
    if isinstance(completion, str):
        texts[:1] = [_resolved(completion, attached)]
    asked, target = sample["input"], sample["target"]
    targets = [str(one) for one in (target if isinstance(target, list) else [target or ""])]
    prompt = asked if isinstance(asked, str) else _last(asked, "user", attached)
    turns = [
        {"role": str(message["role"]), "content": _text(message, attached)}
        for message in sample.get("messages") or ()
    ]
    metadata = sample.get("metadata") or {}
    plain = {name: cell for name, cell in metadata.items() if _fits(name, cell)}
    parts = {
        **plain,
        "id": str(sample["id"]),
        "epoch": sample["epoch"],
        "samples": texts or [""],
        "references": targets if any(targets) else None,
        "prompt": prompt if prompt is None else _resolved(prompt, attached),
        "turns": turns or None,
    }
    beside = {name for name, cell in sample.items() if name not in _MAPPED and cell}
    beside |= {f"metadata {name}" for name in metadata if name not in plain}
    return Draft(place, parts, dict(_scores(sample.get("scores") or {})), frozenset(beside))


def _apart(draft: Draft) -> Draft:
    """A record of one epoch."""
    parts = dict(draft.parts)
    parts["sample"], parts["id"] = parts["id"], f"{parts['id']}/{parts['epoch']}"
    return _named(draft, parts)


def _together(drafts: Sequence[Draft], notes: list[str]) -> list[Draft]:
    """A record for each sample: the texts of its epochs, the means of their scores."""
    ordered = sorted(drafts, key=lambda one: (one.parts["id"], one.parts["epoch"]))
    made = []
    for _, group in groupby(ordered, key=lambda one: one.parts["id"]):
        epochs = list(group)
        parts = {name: cell for name, cell in epochs[0].parts.items() if name != "epoch"}
        parts["samples"] = [text for one in epochs for text in one.parts["samples"]]
        scores = {
            name: _mean([one.scores.get(name) for one in epochs]) for name in epochs[0].scores
        }
        made.append(_named(Draft(epochs[0].place, parts, scores, epochs[0].left_out), parts))
    if len(made) < len(drafts):
        notes.append("several epochs: scores are their means, samples their texts")
    return made


def _named(draft: Draft, parts: dict[str, Any]) -> Draft:
    """The first of the texts as hypothesis."""
    parts["hypothesis"] = parts["samples"][0]
    return Draft(draft.place, parts, draft.scores, draft.left_out)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def _scores(scores: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """The numbers of scores by column; None for what is no number."""
    for name, score in scores.items():
        value = score.get("value") if isinstance(score, Mapping) else score
        if isinstance(value, Mapping):
            yield from ((f"{name}_{key}", _number(one)) for key, one in value.items())
        else:
            yield name, _number(value)


def _number(value: Any) -> float | None:
    if not isinstance(value, str):
        return number(value)
    if value in _WORDS:
        return _WORDS[value]
    if value.lower() in _TRUTHS:
        return _TRUTHS[value.lower()]
    try:
        return number(float(value))
    except ValueError:
        return None


def _fits(name: str, cell: Any) -> bool:
    """Whether a column of that name can hold a piece of metadata."""
    return name not in TAKEN and isinstance(cell, str | int | float)


def _last(messages: Sequence[Mapping[str, Any]], role: str, attached: Mapping[str, str]) -> Any:
    said = [_text(message, attached) for message in messages if message.get("role") == role]
    return said[-1] if said else None


def _text(message: Mapping[str, Any], attached: Mapping[str, str]) -> str:
    """The text of a message, whose content is text or a list of parts."""
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "".join(one.get("text") or "" for one in content if one.get("type") == "text")
    return _resolved(content, attached)


def _resolved(text: str, attached: Mapping[str, str]) -> str:
    """A text with the attachments that stand in it by their hash."""
    return _ATTACHED.sub(lambda match: attached.get(match[1], match[0]), text)
