"""What a report of one run shows, read from the files of its run directory."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from geneval.reports.charts import chart_of
from geneval.reports.texts import TextView, text_view
from geneval.result import (
    KEPT_TEXTS,
    MEDIA,
    MEDIA_INDEX,
    TEXT_INDEX,
    MetricResult,
    Result,
)
from geneval.value import TARGETS, Floor, Role, Value, shown
from geneval.verdict import Judgement, Verdict, load_judgement

GLYPHS = {"PASS": "✓", "FAIL": "✗", "WARN": "!", "INCONCLUSIVE": "?", "ERROR": "⚠"}
_MOST_TEXTS = 12  # of the grid
ARROWS = {"higher": "↑ higher is better", "lower": "↓ lower is better", "target": ""}


@dataclass(frozen=True)
class Picture:
    """One embedded image with what to say of it."""

    source: str
    id: str
    label: str
    caption: str
    small: bool


@dataclass(frozen=True)
class Shelf:
    """A titled row of pictures, or of texts."""

    title: str
    pictures: tuple[Picture, ...]
    texts: tuple[TextView, ...] = ()


@dataclass(frozen=True)
class ValueView:
    """One value, ready to print."""

    address: str
    output: str
    number: str
    interval: str
    target: str
    method: str
    n: str
    arrow: str
    unit: str
    finding: str
    problem: str
    signature: str
    sort: float | None
    floor: str
    floor_lines: tuple[str, ...]


@dataclass(frozen=True)
class MetricView:
    """One measurement with its values, charts, tables and galleries."""

    key: str
    metric: str
    status: str
    reason: str
    values: tuple[ValueView, ...]
    charts: tuple[tuple[str, str, Mapping[str, Any]], ...]
    shelves: tuple[Shelf, ...]


@dataclass(frozen=True)
class RunView:
    """The whole report."""

    title: str
    suite: str
    description: str
    status: str
    glyph: str
    sentence: str
    judged: bool
    worst: tuple[str, ...]
    requested_labels: bool
    gates: tuple[Verdict, ...]
    guarded: str
    values: tuple[ValueView, ...]
    chapters: Mapping[str, tuple[MetricView, ...]]
    failed: tuple[MetricView, ...]
    grids: tuple[Shelf, ...]
    cautions: tuple[str, ...]
    not_evaluated: Mapping[str, tuple[str, ...]]
    sets: tuple[tuple[str, str, int | None, str], ...]
    facts: tuple[tuple[str, str], ...]
    command: str
    signatures: tuple[tuple[str, str], ...]


class RunFiles:
    """A run directory opened for reporting."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.result = Result.load(directory)
        self.judgement = load_judgement(directory)
        self._media = list(_index(directory / MEDIA_INDEX))
        self._texts = list(_index(directory / TEXT_INDEX))

    def shelf(self, title: str, role: Role, ids: tuple[str, ...], captions: Any) -> Shelf:
        """The pictures or texts of these ids that were stored."""
        by_id = {entry["id"]: entry for entry in self._media if entry["role"] == role.value}
        pictures = tuple(
            self._picture(by_id[sample], caption)
            for sample, caption in zip(ids, captions, strict=True)
            if sample in by_id
        )
        told = dict(zip(ids, captions, strict=True)) if role is Role.GENERATED else {}
        written = {entry["id"]: entry for entry in self._texts}
        texts = tuple(text_view(written[i], c) for i, c in told.items() if i in written)
        return Shelf(title, pictures, texts)

    @cached_property
    def records(self) -> Mapping[str, Mapping[str, Any]]:
        """The kept records of texts by id."""
        path = self.directory / KEPT_TEXTS
        if not path.is_file():
            return {}
        lines = path.read_text(encoding="utf-8").split("\n")
        return {record["id"]: record for record in map(json.loads, filter(None, lines))}

    def grid(self, role: Role, most: int | None = None) -> Shelf:
        """The grid of a role."""
        entries = [e for e in self._media if e["role"] == role.value and e["grid"] >= 0]
        if role is Role.GENERATED and self._texts:
            entries, most = [e for e in self._texts if e["grid"] >= 0], _MOST_TEXTS
        entries.sort(key=lambda entry: entry["grid"])
        ids = tuple(entry["id"] for entry in entries[:most])
        return self.shelf(str(role), role, ids, ("",) * len(ids))

    def _picture(self, entry: Mapping[str, Any], caption: str) -> Picture:
        data = (self.directory / MEDIA / PurePosixPath(entry["file"]).name).read_bytes()
        kind = "webp" if entry["file"].endswith(".webp") else "png"
        source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        small = max(entry["w"], entry["h"]) <= 64
        return Picture(source, entry["id"], entry["label"], caption, small)


def run_view(directory: Path) -> RunView:
    """The view of one run directory."""
    files = RunFiles(directory)
    document, judgement = files.result.document, files.judgement
    metrics = [_metric(measured, files) for measured in document.metrics]
    chapters: dict[str, tuple[MetricView, ...]] = {}
    for measured, view in zip(document.metrics, metrics, strict=True):
        chapters[measured.chapter] = (*chapters.get(measured.chapter, ()), view)
    grids = tuple(g for role in document.sets if (g := files.grid(role)).pictures or g.texts)
    return RunView(
        title=document.subject.name,
        suite=document.suite.name,
        description=str(document.suite.document.get("description", "")),
        status=judgement.status.value,
        glyph=GLYPHS[judgement.status.value],
        sentence=judgement.sentence,
        judged=bool(judgement.verdicts or judgement.failed_metrics),
        worst=worst(judgement),
        requested_labels=document.subject.kind == "checkpoint",
        gates=judgement.verdicts,
        guarded=judgement.guarded,
        values=tuple(view for metric in metrics for view in metric.values),
        chapters=chapters,
        failed=tuple(view for view in metrics if view.status != "ok"),
        grids=grids,
        cautions=document.cautions,
        not_evaluated=document.not_evaluated,
        sets=tuple(
            (
                str(role),
                str(document.provenance.get("sets", {}).get(role.value, "")),
                note.n,
                note.fingerprint,
            )
            for role, note in document.sets.items()
        ),
        facts=tuple(_facts(files.result)),
        command=str(document.provenance.get("command", "")),
        signatures=tuple((v.address, v.signature.line()) for v in files.result.values()),
    )


def worst(judgement: Judgement) -> tuple[str, ...]:
    """The sentences of up to three verdicts that are no pass, the gravest first."""
    order = ("ERROR", "INCONCLUSIVE", "FAIL", "WARN")
    grave = [v for v in judgement.verdicts if v.status.value in order]
    grave.sort(key=lambda verdict: order.index(verdict.status.value))
    return tuple(verdict.sentence for verdict in grave[:3])


def value_view(value: Value) -> ValueView:
    """One value as text."""
    interval = value.interval
    bounds = f"[{shown(interval.low)}, {shown(interval.high)}]" if interval else ""
    return ValueView(
        address=value.address,
        output=value.spec.name,
        number="—" if value.number is None else shown(value.number),
        interval=bounds,
        target=TARGETS[interval.target] if interval else (value.no_interval or ""),
        method=f"{interval.level:.0%} {interval.method}" if interval else "",
        n=" / ".join("?" if n is None else f"{n:,}" for n in value.n.values()),
        arrow=ARROWS[value.spec.direction],
        unit=value.spec.unit,
        finding=value.finding,
        problem=value.problem or "",
        signature=value.signature.line(),
        sort=value.number,
        floor=str(value.floor) if value.floor else "",
        floor_lines=_floor_lines(value.floor),
    )


def _floor_lines(floor: Floor | None) -> tuple[str, ...]:
    """A floor in as little width as a table has for it."""
    if floor is None or floor.number is None:
        return () if floor is None else ("none",)
    jpeg = () if floor.jpeg is None else (f"JPEG 50: {shown(floor.jpeg)}",)
    return (f"{shown(floor.number)} (n {floor.n:,})", *jpeg)


def _metric(measured: MetricResult, files: RunFiles) -> MetricView:
    tables = [table for value in measured.values for table in value.tables]
    galleries = [gallery for value in measured.values for gallery in value.galleries]
    shelves = [files.shelf(g.title, g.role, g.ids, g.captions) for g in galleries]
    return MetricView(
        key=measured.key,
        metric=measured.metric,
        status=measured.status,
        reason=measured.reason,
        values=tuple(value_view(value) for value in measured.values),
        charts=tuple((table.title, chart_of(table), table.columns) for table in tables),
        shelves=tuple(shelf for shelf in shelves if shelf.pictures or shelf.texts),
    )


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    """Provenance and timing as name and text."""
    document = result.document
    told = document.provenance
    yield "started", str(told.get("started", ""))
    yield "result digest", document.digest
    yield "suite digest", document.suite.digest
    yield "seed", str(document.suite.document.get("seed"))
    for name in ("checkpoint", "folder"):
        if told.get(name):
            yield name, str(told[name])
    for name in ("device", "threads", "python", "platform"):
        yield name, str(told.get(name, ""))
    packages = told.get("packages", {})
    yield "packages", ", ".join(f"{name} {found}" for name, found in packages.items() if found)
    for name, one in document.timing.get("passes", {}).items():
        yield f"pass over {name}", _pass_told(one)
    metrics, recalled = document.timing.get("metrics", {}), document.timing.get("recalled", ())
    told_metrics = [
        f"{key} from the ledger" if key in recalled else f"{key} {seconds:.2f} s"
        for key, seconds in metrics.items()
    ]
    yield "metrics", ", ".join(told_metrics)
    yield "whole run", f"{document.timing.get('seconds', 0):.2f} s"
    held = document.timing.get("peak_memory", {})
    yield "peak memory", ", ".join(f"{who} {most / 2**30:.2f} GiB" for who, most in held.items())


def _pass_told(one: Mapping[str, Any]) -> str:
    """How long a pass took and where the time went, as far as its result says so."""
    told = f"{one['samples']:,} samples in {one['seconds']:.2f} s"
    made = one["samples"] - one["cached"]
    if one["cached"]:
        told += f", {one['cached']:,} of them from the ledger"
    spent = dict(one.get("spent", {}))
    if not (made and spent and one["seconds"]):
        return told
    # Samples are read beside the extractors' work; only waiting for them costs time.
    reading = spent.pop("reading", 0.0)
    shares = [f"{what} {seconds:.2f} s" for what, seconds in spent.items()]
    rate = f"{made / one['seconds']:,.0f} a second"
    return f"{told} ({rate}): {', '.join(shares)}; reading and decoding {reading:.2f} s beside it"


def _index(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        yield from json.loads(path.read_bytes())
