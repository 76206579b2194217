"""The plan as content and as text, for `--dry-run`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geneval.cli.console import columns, printable

if TYPE_CHECKING:
    from geneval.engine.extract import PassWork
    from geneval.run import Job


def plan(job: Job) -> dict[str, Any]:
    """Passes with expected seconds and bytes, metrics, what is skipped, gates, downloads."""
    from geneval.equip import absent_weights
    from geneval.extractors.weights import PUBLISHED
    from geneval.run import works_of

    absent = sorted(set(absent_weights(job.suite, job.plan).values()))
    return {
        "subject": job.subject.name,
        "suite": job.suite.name,
        "device": job.device,
        "moments": {str(role): known.name for role, known in job.known.items()},
        "passes": [_pass(str(role), work) for role, work in works_of(job).items()],
        "metrics": [
            {"key": m.key, "metric": m.entry.metric, "extractor": m.extractor, "by": m.entry.by}
            for m in job.plan.measurements
        ],
        "skipped": dict(job.plan.skipped),
        "gates": [gate.text for gate in job.gates],
        "downloads": [{"weights": n, "url": PUBLISHED[n].url} for n in absent],
    }


def text(content: Mapping[str, Any]) -> str:
    """The content of `plan` for a person."""
    about = f"{content['subject']} under {content['suite']}, on {content['device']}"
    lines = [printable(about), "passes"]
    rows: list[tuple[str, ...]] = [
        ("role", "samples", "extractors and layers", "to extract", "time", "disk")
    ]
    rows += [_row(one) for one in content["passes"]]
    lines += columns(rows, "  ")
    lines += [f"  {role}: moments of {printable(n)}" for role, n in content["moments"].items()]
    lines.append("metrics")
    lines += columns([_metric(m) for m in content["metrics"]], "  ")
    lines += [f"  skipped: {printable(reason)}" for reason in content["skipped"].values()]
    lines.append("gates" if content["gates"] else "no gates")
    lines += [f"  {printable(gate)}" for gate in content["gates"]]
    lines.append("downloads" if content["downloads"] else "downloads: none")
    lines += [f"  weights of {one['weights']} from {one['url']}" for one in content["downloads"]]
    return "\n".join(lines)


def _metric(one: Mapping[str, Any]) -> tuple[str, ...]:
    on, by = one["extractor"], one["by"] or ""
    by = by if isinstance(by, str) else " and ".join(by)
    return one["key"], one["metric"], f"on {on}" if on else "", f"by {by}" if by else ""


def _pass(role: str, work: PassWork) -> dict[str, Any]:
    absent = _absent(work)
    rate = work.ledger.rate(work.rate_name)
    width = sum(
        work.extractors[name].layers[layer].width
        for name, layers in work.layers.items()
        for layer in layers
    )
    return {
        "role": role,
        "samples": len(work.samples.ids),
        "layers": {name: list(layers) for name, layers in work.layers.items()},
        "to_extract": absent,
        "seconds": absent / rate if rate else None if absent else 0.0,
        "bytes": 4 * width * absent,
    }


def _absent(work: PassWork) -> int:
    """Samples whose shards are not in the ledger yet."""
    return sum(
        len(ids)
        for shard, ids in enumerate(work.shards)
        if not all(map(work.ledger.has, work.keys(shard).values()))
    )


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    layers = "; ".join(f"{name}: {', '.join(ls)}" for name, ls in one["layers"].items())
    return (
        one["role"],
        f"{one['samples']:,}",
        layers or "none",
        f"{one['to_extract']:,}",
        _time(one["to_extract"], one["seconds"]),
        f"{one['bytes'] / 2**20:.1f} MiB",
    )


def _time(absent: int, seconds: float | None) -> str:
    if not absent:
        return "none"
    if seconds is None:
        return "unknown before a first run"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
