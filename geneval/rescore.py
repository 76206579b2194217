"""The kept samples of an earlier run as the subject of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geneval.errors import UsageError
from geneval.ledger import Ledger
from geneval.result import Document, Result, Subject
from geneval.rundir import KEPT
from geneval.samples.folder import FolderSet
from geneval.samples.open import open_images, open_moments
from geneval.samples.sampleset import SampleSet, Subset, fingerprint
from geneval.suite import SamplesSpec, Suite, load_suite, overridden
from geneval.value import Role


@dataclass(frozen=True)
class KeptRun:
    """What a run left that can be evaluated again; `limit` is its own, if it was partial.

    `sets` maps the other roles to where they lie, given or the run's own.
    """

    suite: Suite
    samples: SampleSet
    subject: Subject
    sets: Mapping[Role, Path]
    limit: int | None


def kept_run(
    directory: Path,
    suite: str | None,
    overrides: Sequence[str],
    ledger: Ledger,
    given: Mapping[Role, Path | None],
) -> KeptRun:
    """The kept samples of a run directory under its own suite or another one.

    A role that is not `given` takes the run's own samples, which must still be what they were.
    """
    result = Result.load(directory)
    folder = directory / KEPT
    if not folder.is_dir():
        raise UsageError(
            f"{directory} kept no samples; run the checkpoint with --set keep_samples=all"
        )
    document = result.document
    chosen = load_suite(suite, overrides) if suite else _own_suite(document, overrides)
    requested = document.subject.kind == "checkpoint"
    samples = FolderSet(folder, ledger, requested_labels=requested)
    sets = {
        role: given.get(role) or _own_set(document, role, ledger)
        for role in (Role.REFERENCE, Role.TRAIN)
        if given.get(role) or role in document.sets
    }
    return KeptRun(chosen, samples, document.subject, sets, document.partial)


def _own_suite(document: Document, overrides: Sequence[str]) -> Suite:
    """The suite of a result with the paths that stand in its provenance."""
    paths = {name: document.provenance.get(name) or {} for name in ("weights", "baselines")}
    here = Path(document.provenance.get("folder", ""))
    content = {
        part: {name: str(here / path) for name, path in named.items()}
        for part, named in paths.items()
    }
    return overridden({**document.suite.document, **content}, overrides)


def _own_set(document: Document, role: Role, ledger: Ledger) -> Path:
    """Where a role's samples of the run lie; raises `UsageError` when they are others now."""
    provenance, note = document.provenance, document.sets[role]
    path = Path(provenance.get("folder", ""), provenance.get("sets", {}).get(role.value, ""))
    spec = SamplesSpec.model_validate(document.suite.document.get(role.value) or {})
    moments = open_moments(path)
    if moments is not None and not moments.beside_images:
        there = moments.fingerprint
    else:
        samples = open_images(path, ledger, spec.alpha, spec.fields)
        there = fingerprint(Subset.lowest(samples, (note.n or 0) + len(note.bad)))
    if there != note.fingerprint:
        raise UsageError(
            f"{path} is not the {role} of that run any more; give --{role} PATH to use another"
        )
    return path
