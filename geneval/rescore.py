"""The kept samples of an earlier run as the subject of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geneval.errors import UsageError
from geneval.ledger import Ledger
from geneval.rejudge import own_suite
from geneval.result import KEPT, KEPT_TEXTS, Document, Result, Subject
from geneval.samples.folder import FolderSet
from geneval.samples.open import open_images, open_moments
from geneval.samples.sampleset import SampleSet, Subset, fingerprint
from geneval.samples.texts import open_texts
from geneval.signature import Digest
from geneval.suite import SamplesSpec, Suite, load_suite
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
    folder, document = directory / KEPT, result.document
    if not folder.is_dir():
        raise UsageError(
            f"{directory} kept no samples; run the checkpoint with --set keep_samples=all"
        )
    chosen = load_suite(suite, overrides) if suite else own_suite(document, overrides)
    if (directory / KEPT_TEXTS).is_file():
        return _kept_texts(directory / KEPT_TEXTS, chosen, document, given)
    requested = document.subject.kind == "checkpoint"
    samples = FolderSet(folder, ledger, requested_labels=requested)
    sets = {
        role: given.get(role) or _own_set(document, role, ledger)
        for role in (Role.REFERENCE, Role.TRAIN)
        if given.get(role) or role in document.sets
    }
    return KeptRun(chosen, samples, document.subject, sets, document.partial)


def _kept_texts(
    path: Path, suite: Suite, document: Document, given: Mapping[Role, Path | None]
) -> KeptRun:
    """Kept texts, with the references that came with them unless others are given."""
    samples = open_texts(path, str(path))
    beside = [role for role in (Role.REFERENCE, Role.TRAIN) if role in document.sets]
    if samples.references is not None and given.get(Role.REFERENCE) is None:
        beside = [role for role in beside if role is not Role.REFERENCE]
    sets = {role: given.get(role) or _own_texts(document, role) for role in beside}
    sets |= {role: one for role, one in given.items() if one is not None}
    return KeptRun(suite, samples, document.subject, sets, document.partial)


def _own_texts(document: Document, role: Role) -> Path:
    """Where a role's texts of the run lie; raises `UsageError` when they are others now."""
    path = _place(document, role)
    spec = SamplesSpec.model_validate(document.suite.document.get(role.value) or {})
    there = open_texts(path, role.value, spec.fields, "references")
    return _still(path, role, document, fingerprint(there))


def _own_set(document: Document, role: Role, ledger: Ledger) -> Path:
    """Where a role's samples of the run lie; raises `UsageError` when they are others now."""
    note, path = document.sets[role], _place(document, role)
    spec = SamplesSpec.model_validate(document.suite.document.get(role.value) or {})
    moments = open_moments(path)
    if moments is not None and not moments.beside_images:
        there = moments.fingerprint
    else:
        samples = open_images(path, ledger, spec.alpha, spec.fields)
        there = fingerprint(Subset.lowest(samples, (note.n or 0) + len(note.bad)))
    return _still(path, role, document, there)


def _place(document: Document, role: Role) -> Path:
    """Where a role's samples lay when the run was made."""
    provenance = document.provenance
    return Path(provenance.get("folder", ""), provenance.get("sets", {}).get(role.value, ""))


def _still(path: Path, role: Role, document: Document, there: Digest) -> Path:
    """The path, if what lies there is what the run was made with."""
    if there != document.sets[role].fingerprint:
        raise UsageError(
            f"{path} is not the {role} of that run any more; give --{role} PATH to use another"
        )
    return path
