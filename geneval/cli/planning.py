"""The plan as text, for `--dry-run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geneval.cli.console import columns, printable

if TYPE_CHECKING:
    from geneval.engine.extract import PassWork
    from geneval.run import Job


def text(job: Job) -> str:
    """Samples, passes with expected time and disk, measurements, gates, downloads."""
    from geneval.run import works_of

    lines = [printable(f"{job.subject.name} under {job.suite.name}, on {job.device}"), "passes"]
    rows = [("role", "samples", "extractors and layers", "to extract", "time", "disk")]
    for role, work in works_of(job).items():
        layers = "; ".join(f"{name}: {', '.join(ls)}" for name, ls in work.layers.items())
        absent = _absent(work)
        rows.append(
            (
                str(role),
                f"{len(work.samples.ids):,}",
                layers or "none",
                f"{absent:,}",
                _time(work, job, absent),
                _disk(work, absent),
            )
        )
    lines += columns(rows, "  ")
    lines.append("metrics")
    lines += columns(
        [
            (m.key, m.entry.metric, f"on {m.extractor}", f"by {m.entry.by}" if m.entry.by else "")
            for m in job.plan.measurements
        ],
        "  ",
    )
    lines.append("gates" if job.gates else "no gates")
    lines += [f"  {printable(gate.text)}" for gate in job.gates]
    lines.append("downloads: none")
    return "\n".join(lines)


def _absent(work: PassWork) -> int:
    """Samples whose shards are not in the ledger yet."""
    return sum(
        len(ids)
        for shard, ids in enumerate(work.shards)
        if not all(map(work.ledger.has, work.keys(shard).values()))
    )


def _time(work: PassWork, job: Job, absent: int) -> str:
    if not absent:
        return "none"
    rate = job.ledger.rate(work.rate_name)
    if rate is None:
        return "unknown before a first run"
    seconds = absent / rate
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def _disk(work: PassWork, absent: int) -> str:
    width = sum(
        work.extractors[name].layers[layer].width
        for name, layers in work.layers.items()
        for layer in layers
    )
    return f"{4 * width * absent / 2**20:.1f} MiB"
