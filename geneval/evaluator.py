"""Evaluation from Python: paths, arrays, tensors or a checkpoint in, a `Result` out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from geneval.checkpoint import (
    AdaptedCheckpoint,
    GeneratedSet,
    GeneratedTexts,
    Generator,
    LiveCheckpoint,
    load_checkpoint,
    step_of,
)
from geneval.engine.progress import Progress
from geneval.errors import UsageError
from geneval.extractors.extractor import FeatureExtractor
from geneval.extractors.runtime import Running
from geneval.extractors.weights import pull
from geneval.ledger import Ledger, default_root
from geneval.reports.write import RUN_WRITERS
from geneval.result import Result, Subject
from geneval.run import Job, execute, prepare, resolve_device
from geneval.samples.arrays import from_memory
from geneval.samples.open import open_images, open_moments
from geneval.samples.pairs import read_prompts
from geneval.samples.sampleset import SampleSet, require
from geneval.samples.statistics import KnownMoments
from geneval.samples.texts import TextSet, open_texts
from geneval.suite import SamplesSpec, Suite, load_suite
from geneval.value import Role


def evaluate(
    suite: str | Path | Suite,
    *,
    samples: Any = None,
    checkpoint: str | Path | None = None,
    adapter: str | None = None,
    reference: Any = None,
    train: Any = None,
    out: str | Path | None = None,
    device: str = "auto",
    limit: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    name: str | None = None,
    step: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Evaluate samples, or a checkpoint, under a suite.

    `suite` is a path, the name of a shipped suite, or metric names with commas. `samples`,
    `reference` and `train` are each a path (a folder of images, `.zip`, `.tar`, `.npy`, `.npz`,
    records in `.jsonl`, `.csv` or `.parquet`; for the reference also moments `mu` and `sigma`), an
    array [n, h, w, c] or tensor [n, c, h, w] of images, a pair of images and labels, a list of
    texts or of records of texts where the suite is of texts, or a SampleSet. With `out` a run
    directory with reports is written below it. `overrides` sets suite keys, as in
    `{"metrics.kid.subsets": 50}`. `name`, training `step` and training `seed` say whose samples
    these are, for comparisons over steps and replicates; a step is also read from the name. What
    the reader of the numbers must know is warned of, unless a `progress` hears it.

    >>> import numpy as np, geneval
    >>> a, b = np.random.default_rng(0).integers(0, 256, (2, 64, 8, 8, 3), dtype=np.uint8)
    >>> result = geneval.evaluate("fid", samples=a, reference=b, overrides={"extractor": "pixels"})
    >>> result["fid"].n[geneval.Role.GENERATED]
    64
    """
    job = open_job(
        _suite(suite, overrides),
        Ledger(default_root()),
        samples=samples,
        checkpoint=checkpoint,
        adapter=adapter,
        reference=reference,
        train=train,
        device=resolve_device(device),
        limit=limit,
        subject=_subject(samples, name, step, seed),
    )
    return _executed(job, out, progress)


class Evaluator:
    """Evaluation in a training loop: `evaluator(model_or_samples, step=…)` gives a `Result`.

    What does not change between two calls is kept: the suite, the extractors with their networks,
    and the reference, which is read once. `reference`, `train`, `out`, `device` and `overrides` are
    those of `evaluate`. `on_result(result, step)` hears of every result, to hand it on to a logger:

    >>> def log(result, step):
    ...     for value in result.values():
    ...         print(step, value.address, value.number, value.problem)
    """

    def __init__(
        self,
        suite: str | Path | Suite,
        *,
        reference: Any = None,
        train: Any = None,
        adapter: str | None = None,
        out: str | Path | None = None,
        device: str = "auto",
        overrides: Mapping[str, Any] | None = None,
        on_result: Callable[[Result, int | None], Any] | None = None,
    ) -> None:
        self.suite = _suite(suite, overrides)
        self.out = out
        self.on_result = on_result
        self._adapter = adapter
        self._device = resolve_device(device)
        self._reference, self._train = reference, train
        self._ready: Mapping[str, FeatureExtractor] = {}

    def __call__(
        self,
        subject: Any,
        *,
        step: int | None = None,
        name: str | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Evaluate a `Generator` as it is now, a checkpoint's path if there is an adapter, samples.

        A generator is asked as the suite's `generate:` says; its name is `step-N` unless given.
        """
        given: dict[str, Any] = {"samples": subject}
        if isinstance(subject, Generator):
            called = name or ("model" if step is None else f"step-{step:06d}")
            repeats = self.suite.generate.repeats
            given = {"checkpoint": LiveCheckpoint(subject, called, step, seed, repeats)}
        elif self._adapter is not None:
            given = {"checkpoint": subject, "adapter": self._adapter}
        job = open_job(
            self.suite,
            Ledger(default_root()),
            **given,
            reference=self._reference,
            train=self._train,
            device=self._device,
            subject=_subject(subject, name, step, seed),
            ready=self._ready,
        )
        self._ready = job.extractors
        if self._reference is not None and Role.REFERENCE not in job.known:
            self._reference = job.targets
        result = _executed(job, self.out, progress)
        if self.on_result is not None:
            self.on_result(result, step if step is not None else result.document.subject.step)
        return result


def _suite(suite: str | Path | Suite, overrides: Mapping[str, Any] | None) -> Suite:
    """The suite of a name, a path or itself."""
    if not isinstance(suite, Suite):
        settings = [f"{key}={json.dumps(value)}" for key, value in (overrides or {}).items()]
        return load_suite(str(suite), settings)
    if overrides:
        raise UsageError("overrides are for suites given by name; change the Suite instead")
    return suite


def _executed(job: Job, out: str | Path | None, progress: Progress | None) -> Result:
    """The result of a job; what its reader must know is warned of, unless a progress hears it."""
    result = execute(job, Path(out) if out else None, RUN_WRITERS, progress).result
    for caution in result.document.cautions if progress is None else ():
        warnings.warn(caution, stacklevel=3)
    return result


def open_job(
    suite: Suite,
    ledger: Ledger,
    *,
    samples: Any = None,
    checkpoint: str | Path | LiveCheckpoint | None = None,
    adapter: str | None = None,
    reference: Any = None,
    train: Any = None,
    device: str = "cpu",
    limit: int | None = None,
    subject: Subject | None = None,
    workers: int = 0,
    allow_pt: bool = False,
    origin: Mapping[str, Any] | None = None,
    fetch: Callable[[str], Any] | None = pull,
    ready: Mapping[str, FeatureExtractor] | None = None,
) -> Job:
    """Open everything a run needs; what is not given here is taken from the suite.

    `subject` says whose samples these are, where their place does not; `fetch` brings weights;
    `ready` are extractors of an earlier job.
    """
    if checkpoint is None and samples is None:
        checkpoint = suite.generate.checkpoint
    samples = samples if samples is not None else suite.samples.path
    if checkpoint == "":
        raise UsageError("checkpoint: the path is empty")
    if checkpoint is not None and samples is not None:
        raise UsageError("give either samples or a checkpoint, not both")
    sets: dict[Role, SampleSet] = {}
    known: dict[Role, KnownMoments] = {}
    if checkpoint is not None:
        one = _checkpoint(suite, checkpoint, adapter, device, allow_pt)
        subject = Subject(one.name, "checkpoint", one.digest, one.step, one.seed)
        if suite.samples.kind == "texts":
            sets = _texts(suite, _prompts(suite), reference, train)
            sets[Role.GENERATED] = _to_write(suite, one, sets[Role.GENERATED])
        else:
            sets[Role.GENERATED] = _to_draw(suite, one)
        if not isinstance(checkpoint, LiveCheckpoint):
            origin = {**(origin or {}), "checkpoint": str(checkpoint)}
    elif samples is not None:
        if suite.samples.kind == "texts":
            sets = _texts(suite, samples, reference, train)
        else:
            sets[Role.GENERATED] = open_samples(samples, suite.samples, ledger, "samples")
        subject = subject or _named(_called(sets[Role.GENERATED].name))
    else:
        raise UsageError(
            "nothing to evaluate: give --samples PATH, or --checkpoint PATH --adapter NAME"
        )
    if suite.samples.kind != "texts":
        known = _add_others(sets, suite, ledger, reference, train)
    return prepare(
        suite,
        sets,
        ledger,
        known=known,
        subject=subject,
        device=device,
        limit=limit,
        workers=workers,
        origin=origin,
        fetch=fetch,
        ready=ready,
    )


def open_samples(given: Any, spec: SamplesSpec, ledger: Ledger, name: str) -> SampleSet:
    """A sample set of a path, an array or tensor, a pair of images and labels, or itself."""
    if isinstance(given, str) and not given:
        raise UsageError(f"{name}: the path is empty")
    if isinstance(given, str | Path):
        samples = open_images(Path(given), ledger, spec.alpha, spec.fields)
        if spec.kind == "image-text":
            require(samples, "prompt")
        return samples
    if hasattr(given, "read") and hasattr(given, "ids"):
        found: SampleSet = given
        return found
    images, labels = given if isinstance(given, tuple) else (given, None)
    if not hasattr(images, "shape"):
        raise UsageError(
            f"{name}: give a path, an array, a tensor or a SampleSet, not {given!r:.60}"
        )
    return from_memory(images, labels, name, spec.alpha)


def _add_others(
    sets: dict[Role, SampleSet], suite: Suite, ledger: Ledger, reference: Any, train: Any
) -> dict[Role, KnownMoments]:
    """Add the images of the other roles that are given or named by the suite; their moments."""
    known: dict[Role, KnownMoments] = {}
    for role, given, spec in (
        (Role.REFERENCE, reference, suite.reference),
        (Role.TRAIN, train, suite.train),
    ):
        given = given if given is not None else (spec.path if spec else None)
        if given is None:
            continue
        is_path = role is Role.REFERENCE and isinstance(given, str | Path)
        moments = open_moments(Path(str(given))) if is_path else None
        if moments is not None:
            known[role] = moments
        if moments is None or moments.beside_images:
            sets[role] = open_samples(given, spec or SamplesSpec(), ledger, role.value)
    return known


def _texts(suite: Suite, samples: Any, reference: Any, train: Any) -> dict[Role, SampleSet]:
    """The texts of every role; references that lie by themselves are joined to the samples.

    `--field references=COLUMN` names the column of the file that holds the references.
    """
    fields = dict(suite.samples.fields)
    given = {Role.REFERENCE: (reference, suite.reference), Role.TRAIN: (train, suite.train)}
    found: dict[Role, TextSet] = {}
    for role, (one, spec) in given.items():
        one = one if one is not None else _paths(spec)
        if one is None:
            continue
        named = dict(spec.fields) if spec else {}
        if role is Role.REFERENCE and "references" in fields:
            named["references"] = fields.pop("references")
        found[role] = open_texts(one, role.value, named, "references")
    texts = open_texts(samples, "samples", fields)
    if Role.REFERENCE in found:
        if _wants_references(suite) or texts.ids == found[Role.REFERENCE].ids:
            texts = texts.with_references(found[Role.REFERENCE])
    elif texts.references is not None:
        found[Role.REFERENCE] = texts.references
    return {Role.GENERATED: texts, **found}


def _wants_references(suite: Suite) -> bool:
    """Whether a metric compares records with their own references, not with the reference as a set.

    What an extractor reads is not known here; the plan refuses records that lack it.
    """
    needs = [need for e in suite.metrics for need in e.spec.needs(e.options).values()]
    return any("references" in need.columns for need in needs)


def _paths(spec: SamplesSpec | None) -> list[Path] | None:
    """Where a suite says that texts lie."""
    if spec is None or spec.path is None:
        return None
    return [Path(one) for one in ([spec.path] if isinstance(spec.path, str) else spec.path)]


def _named(name: str, step: int | None = None, seed: int | None = None) -> Subject:
    """Samples of that name as a subject."""
    return Subject(name, "samples", step=step_of(name) if step is None else step, seed=seed)


def _subject(samples: Any, name: str | None, step: int | None, seed: int | None) -> Subject | None:
    """Whose samples these are, if the caller says anything about it."""
    if name is None and step is None and seed is None:
        return None
    is_path = isinstance(samples, str | Path)
    return _named(name or (_called(str(samples)) if is_path else "samples"), step, seed)


def _called(path: str) -> str:
    """A short name for samples: the folder's, or the file's without extension."""
    place = Path(path)
    return (place.resolve().name if place.is_dir() else place.stem) or "samples"


def _checkpoint(
    suite: Suite,
    given: str | Path | LiveCheckpoint,
    adapter: str | None,
    device: str,
    allow_pt: bool,
) -> AdaptedCheckpoint:
    """The checkpoint at a path behind its adapter, or a live one as it is."""
    if isinstance(given, LiveCheckpoint):
        return given
    path = Path(given)
    how = suite.generate
    adapter = adapter or how.adapter
    if adapter is None:
        raise UsageError(
            f"checkpoint {path}: give --adapter NAME (a registered one or module:function)"
        )
    place = Running.on(device).device
    return load_checkpoint(path, adapter, place, how.repeats, allow_pt, how.options)


def _seed(suite: Suite) -> int:
    """The seed of requests."""
    return suite.seed if suite.generate.seed is None else suite.generate.seed


def _prompts(suite: Suite) -> TextSet:
    """The first n records at which a checkpoint is to write."""
    how = suite.generate
    if how.prompts is None:
        raise UsageError("a checkpoint writes texts at prompts: give --prompts FILE")
    prompts = open_texts(Path(how.prompts), "prompts", suite.samples.fields, "prompt")
    return prompts.first(how.n)


def _to_write(suite: Suite, one: AdaptedCheckpoint, prompts: SampleSet) -> SampleSet:
    """The texts that a checkpoint is to write."""
    assert isinstance(prompts, TextSet)
    return GeneratedTexts(one, prompts, suite.generate.repeats, _seed(suite))


def _to_draw(suite: Suite, one: AdaptedCheckpoint) -> SampleSet:
    """The images that a checkpoint is to generate."""
    how = suite.generate
    column = suite.samples.fields.get("prompt", "prompt")
    prompts = read_prompts(Path(how.prompts), column) if how.prompts else None
    return GeneratedSet(one, one.inputs(how.n, _seed(suite), prompts))
