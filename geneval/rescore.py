"""The kept samples of an earlier run as the subject of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geneval.errors import UsageError
from geneval.ledger import Ledger
from geneval.result import Result, Subject
from geneval.rundir import KEPT
from geneval.samples.folder import FolderSet
from geneval.samples.sampleset import SampleSet
from geneval.suite import Suite, load_suite, overridden


@dataclass(frozen=True)
class KeptRun:
    """What a run left that can be evaluated again; `sets` maps roles to where they came from."""

    suite: Suite
    samples: SampleSet
    subject: Subject
    sets: Mapping[str, str]


def kept_run(
    directory: Path, suite: str | None, overrides: Sequence[str], ledger: Ledger
) -> KeptRun:
    """The kept samples of a run directory under its own suite or another one."""
    result = Result.load(directory)
    folder = directory / KEPT
    if not folder.is_dir():
        raise UsageError(
            f"{directory} kept no samples; run the checkpoint with --set keep_samples=all"
        )
    document = result.document
    chosen = (
        load_suite(suite, overrides) if suite else overridden(document.suite.document, overrides)
    )
    requested = document.subject.kind == "checkpoint"
    samples = FolderSet(folder, ledger, requested_labels=requested)
    sets = {role: str(path) for role, path in document.provenance.get("sets", {}).items()}
    return KeptRun(chosen, samples, document.subject, sets)
