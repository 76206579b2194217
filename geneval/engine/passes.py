"""One pass as a run sees it: progress, bad samples, where the time went."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from geneval.engine.extract import PassWork
from geneval.engine.local import run_pass
from geneval.engine.progress import Progress, stage
from geneval.errors import SampleError, UsageError


@dataclass(frozen=True)
class PassReport:
    """What a pass left: bad samples with the reason, and its cost.

    `spent` holds seconds by what they went to (`geneval.engine.extract.ShardReport`), summed over
    worker processes where there are several.
    """

    samples: int = 0
    cached: int = 0
    seconds: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)

    @property
    def timing(self) -> dict[str, Any]:
        """All but the bad samples, for a result's timing."""
        whole = asdict(self)
        whole.pop("bad")
        return whole


def extract_all(
    work: PassWork, title: str, progress: Progress, workers: int = 0, skip_bad: bool = False
) -> PassReport:
    """Run a pass; raises `SampleError` at the first bad sample unless they may be skipped."""
    if not (work.layers or work.keep or work.decode):
        return PassReport()
    started, cached, unseen = time.perf_counter(), 0, 0
    bad, spent = dict[str, str](), Counter[str]()

    def seen(n: int) -> None:
        nonlocal unseen
        unseen -= n
        progress.advance(n)

    with stage(progress, title, len(work.samples.ids)):
        for report in run_pass(work, workers, seen):
            bad.update(report.bad)
            if bad and not skip_bad:
                more = f" (and {len(bad) - 1} more so far)" if len(bad) > 1 else ""
                first = next(iter(bad))
                raise SampleError(
                    f"{work.samples.locate(first)} {bad[first]}{more}; "
                    "`on_bad_sample: skip` leaves such samples out"
                )
            cached += report.samples if report.cached else 0
            progress.advance(report.samples + unseen, report.cached)
            unseen = 0
            spent.update(report.seconds)
    seconds = time.perf_counter() - started
    made = len(work.samples.ids) - cached
    if made and work.extractors:
        with contextlib.suppress(UsageError):  # a full disk costs the next estimate, no more
            work.ledger.note_rate(work.rate_name, made / seconds)
    return PassReport(len(work.samples.ids), cached, seconds, dict(spent), bad)
