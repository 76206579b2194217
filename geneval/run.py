"""One run: prepare (plan and check), then execute (passes, metrics, verdicts, directory)."""

from __future__ import annotations

import datetime
import platform
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from geneval import linalg
from geneval.checkpoint import GeneratedSet
from geneval.engine.extract import TARGET, PassWork
from geneval.engine.inputs import Inputs
from geneval.engine.passes import PassReport, extract_all
from geneval.engine.progress import Progress, Silent
from geneval.engine.writing import written
from geneval.equip import bind, built, fetched, learn, require_used_weights
from geneval.errors import ExitCode, SampleError, UsageError
from geneval.extractors.extractor import FeatureExtractor
from geneval.extractors.weights import pull
from geneval.floor import jpeg_inputs
from geneval.gate import Gate, read_gates
from geneval.ledger import Ledger
from geneval.machine import peak_memory
from geneval.measure import Measuring
from geneval.metric import all_metrics
from geneval.perturb.perturbed import Perturbed
from geneval.plan import Plan, SetFacts, check_form, make_plan, with_columns
from geneval.result import (
    TEXT_COLUMNS,
    Document,
    Result,
    SetNote,
    Subject,
    SuiteNote,
    write_result,
)
from geneval.rundir import (
    Writer,
    folder_name,
    new_run_directory,
    require_writable,
    write_kept,
    write_kept_texts,
    write_media,
    write_samples,
    write_texts,
)
from geneval.samples.sampleset import SampleSet, Subset, fingerprint, image_content
from geneval.samples.statistics import KnownMoments
from geneval.sensitivity import with_perturbed
from geneval.source import versions
from geneval.suite import Suite
from geneval.value import Role
from geneval.verdict import Judgement, judge, load_baselines, write_judgement

_PACKAGES = (
    *("geneval", "numpy", "scipy", "torch", "openvino", "pillow", "safetensors", "scikit-learn"),
    *("sacrebleu", "rapidfuzz"),
)
FEW_IN_GROUP = 100  # samples of a role below which features of a group say little


@dataclass(frozen=True)
class Job:
    """A run that is ready: everything has been checked that can be checked without work."""

    suite: Suite
    plan: Plan
    gates: tuple[Gate, ...]
    sets: Mapping[Role, SampleSet]
    known: Mapping[Role, KnownMoments]
    targets: SampleSet | None
    extractors: Mapping[str, FeatureExtractor]
    ledger: Ledger
    device: str
    subject: Subject
    partial: int | None = None
    workers: int = 0
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a run left: the result, the judgement on it, and the directory if one was written."""

    result: Result
    judgement: Judgement
    directory: Path | None

    @property
    def exit_code(self) -> ExitCode:
        """The judgement's."""
        return self.judgement.exit_code


def prepare(
    suite: Suite,
    sets: Mapping[Role, SampleSet],
    ledger: Ledger,
    *,
    subject: Subject,
    known: Mapping[Role, KnownMoments] | None = None,
    device: str = "cpu",
    limit: int | None = None,
    workers: int = 0,
    origin: Mapping[str, Any] | None = None,
    fetch: Callable[[str], Any] | None = pull,
    ready: Mapping[str, FeatureExtractor] | None = None,
) -> Job:
    """Build extractors, plan, and read the gates; raises before any sample is read.

    A `subject` without a digest gets the fingerprint of its samples. `fetch` brings the weights of
    an extractor that the plan wants and that are not there; without it they stay away. Extractors
    that are `ready` from an earlier job are used again.
    """
    require_used_weights(suite)
    wanted, limited = _asked(suite), {}
    for role in (role for role in Role if role in sets):
        bounds = [n for n in (wanted[role], limit) if n is not None]
        limited[role] = Subset.lowest(sets[role], min(bounds)) if bounds else sets[role]
    extractors, unbuilt = built(suite, device, ready)
    grouped = {column for entry in suite.metrics for column in entry.columns}
    known = known or {}
    check_form(suite, Role.REFERENCE in sets, known.get(Role.REFERENCE))
    for role in known:
        if wanted[role] is not None and role not in sets:
            raise UsageError(f"{role}: n: {known[role].name} holds moments, which have no part")
    facts = {role: _facts(samples, grouped) for role, samples in limited.items()}
    for role, one in known.items():
        there = facts.get(role, SetFacts(one.name, 0, {}))
        facts[role] = replace(there, known=one)
    if Role.GENERATED in sets and Role.REFERENCE in sets:
        alone = set(limited[Role.GENERATED].ids).difference(sets[Role.REFERENCE].ids)
        made = facts[Role.GENERATED]
        facts[Role.GENERATED] = replace(made, unpaired=tuple(sorted(alone)))
    plan = make_plan(suite, facts, extractors, unbuilt)
    for setting in plan.settings:
        Perturbed(limited[Role.GENERATED], [setting.step])  # raises where it has not the field
    if fetch:
        extractors = fetched(suite, extractors, plan, device, fetch)
    bind(extractors, sets.get(Role.GENERATED))
    learn(extractors, limited.get(Role.GENERATED))
    return Job(
        suite=suite,
        plan=plan,
        gates=read_gates(suite, plan.book),
        sets=limited,
        known=known,
        targets=sets.get(Role.REFERENCE),
        extractors=extractors,
        ledger=ledger,
        device=device,
        subject=subject,
        partial=limit,
        workers=workers,
        origin=origin or {},
    )


def _asked(suite: Suite) -> dict[Role, int | None]:
    """How many samples of each role the suite asks for."""
    return {
        Role.GENERATED: suite.samples.n,
        Role.REFERENCE: suite.reference.n if suite.reference else None,
        Role.TRAIN: suite.train.n if suite.train else None,
    }


def execute(
    job: Job,
    out: Path | None = None,
    writers: Sequence[Writer] = (),
    progress: Progress | None = None,
) -> Outcome:
    """Run the passes, measure, judge; write the run directory below `out` if one is given."""
    progress = progress or Silent()
    if out is not None:
        require_writable(out)
    started = time.perf_counter()
    job = _with_texts(job, progress)
    works = works_of(job)
    skip_bad = job.suite.on_bad_sample == "skip"
    passes = {
        one.role: extract_all(
            works[one.role], f"{one.role} samples", progress, job.workers, skip_bad
        )
        for one in job.plan.passes
    }
    bad = {role: report.bad for role, report in passes.items()}
    inputs = Inputs(works, job.plan.widest, job.known, job.plan.asks())
    for role in job.sets:
        if not inputs.good(role):
            raise SampleError(f"no {role} sample of {job.sets[role].name} could be read")
    jpegs, jpeg_pass = None, PassReport()
    if job.suite.floor and Role.REFERENCE in works:
        reference = works[Role.REFERENCE]
        jpegs, jpeg_pass = jpeg_inputs(job.plan, inputs, reference, progress, job.workers)
    with linalg.on_device(job.device):
        document, measuring = _measure(job, inputs, jpegs, bad, progress)
        document = with_perturbed(document, measuring, works, progress, job.workers)
    timed = {**{str(role): one for role, one in passes.items()}, "reference as JPEG": jpeg_pass}
    timing = {
        "seconds": time.perf_counter() - started,
        "passes": {name: one.timing for name, one in timed.items() if one.samples},
        "peak_memory": peak_memory(job.workers),
        "metrics": measuring.seconds,
        "recalled": sorted(measuring.recalled),
    }
    document = replace(document, timing=timing)
    result = Result(document, measuring.evidence)
    judgement = judge(job.gates, result, load_baselines(job.suite), job.suite.alpha)
    if out is None:
        return Outcome(result, judgement, None)
    parent = out / job.suite.name / folder_name(job.subject.name)
    name = (
        f"{document.provenance['started'].replace(':', '').replace('-', '')}-{document.digest[:8]}"
    )
    with new_run_directory(parent, name) as (directory, final):
        write_result(document, directory)
        write_judgement(judgement, directory)
        good = {role: measuring.inputs.good(role) for role in job.sets}
        texts = _texts_to_keep(job)
        write_samples(directory, job.sets, good, measuring.evidence, texts)
        if job.suite.keep_samples != "none":
            write_media(directory, works, document, _hidden(job))
        if texts:
            write_texts(directory, job.sets[Role.GENERATED], texts, document)
            write_kept_texts(directory, job.sets[Role.GENERATED])
        if works[Role.GENERATED].keep:
            write_kept(directory, works[Role.GENERATED])
        for write in writers:
            write(directory)
    result.directory = final
    return Outcome(result, judgement, final)


def resolve_device(name: str) -> str:
    """`auto` is cuda where there is one, then mps, then cpu; an absent device is a `UsageError`.

    `openvino` is the CPU with networks run by OpenVINO, and taken only when it is asked for.
    """
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
        "openvino": find_spec("openvino") is not None,
    }
    if name == "openvino" and not there[name]:
        raise UsageError("device openvino is not there: pip install 'geneval[openvino]'")
    if name == "auto":
        return next(device for device, present in there.items() if present)
    if not there.get(name):
        present = ", ".join(device for device, is_there in there.items() if is_there)
        raise UsageError(f"device {name!r} is not there; this machine has {present}")
    return name


def _with_texts(job: Job, progress: Progress) -> Job:
    """The job once its checkpoint has written the texts that it is to be judged by."""
    made = written(
        job.sets[Role.GENERATED], job.ledger, job.device, job.suite.generate.batch_size, progress
    )
    if made is None:
        return job
    plan = with_columns(job.plan, Role.GENERATED, made.fields)
    return replace(job, plan=plan, sets={**job.sets, Role.GENERATED: made})


def works_of(job: Job) -> dict[Role, PassWork]:
    """The work of every pass."""
    return {
        one.role: PassWork(
            samples=job.sets[one.role],
            extractors={name: job.extractors[name] for name in one.layers},
            layers=one.layers,
            ledger=job.ledger,
            backend=job.device,
            batch_size=job.suite.generate.batch_size,
            keep=job.suite.keep_samples == "all" and _generating(job.sets[one.role]),
            decode=any(
                measurement.reads_samples(one.role) for measurement in job.plan.measurements
            ),
            targets=job.targets if one.role is Role.GENERATED else None,
        )
        for one in job.plan.passes
    }


def _measure(
    job: Job,
    inputs: Inputs,
    jpegs: Inputs | None,
    bad: Mapping[Role, Mapping[str, str]],
    progress: Progress,
) -> tuple[Document, Measuring]:
    fingerprints = {role: known.fingerprint for role, known in job.known.items()}
    fingerprints |= {role: fingerprint(samples) for role, samples in job.sets.items()}
    pairs = any(TARGET in measurement.reads for measurement in job.plan.measurements)
    measuring = Measuring(
        job.plan,
        inputs,
        job.extractors,
        fingerprints,
        job.ledger,
        job.device,
        jpegs=jpegs,
        targets=fingerprint(job.targets) if pairs and job.targets is not None else "",
    )
    cautions = _cautions(job, inputs, bad)
    for caution in cautions:
        progress.say(caution)
    document = Document(
        suite=SuiteNote(job.suite.name, job.suite.digest, job.suite.document),
        subject=replace(job.subject, digest=job.subject.digest or fingerprints[Role.GENERATED]),
        sets={
            role: SetNote(len(inputs.good(role)), fingerprints[role], bad[role])
            if role in job.sets
            else SetNote(None, fingerprints[role])
            for role in Role
            if role in job.sets or role in job.known
        },
        metrics=measuring.run(progress),
        cautions=cautions,
        not_evaluated=_not_evaluated(job),
        partial=job.partial,
        provenance=_provenance(job),
    )
    return document, measuring


def _facts(samples: SampleSet, grouped: Collection[str]) -> SetFacts:
    columns = [n for n, kind in samples.fields.items() if kind != "image" and n in grouped]
    return SetFacts(
        name=samples.name,
        n=len(samples.ids),
        fields=samples.fields,
        labels=frozenset(samples.column("label") if "label" in samples.fields else ()),
        requested_labels=samples.requested_labels,
        groups={name: frozenset(map(str, samples.column(name))) for name in columns},
    )


def _cautions(job: Job, inputs: Inputs, bad: Mapping[Role, Mapping[str, str]]) -> tuple[str, ...]:
    """What the reader must know: unlike images, files not read, samples left out."""
    found, asked = [], _asked(job.suite)
    for one in job.plan.passes:
        if (asked[one.role] or 0) > one.n and job.partial is None:
            found.append(f"{one.role}: n: {asked[one.role]} was asked for, {one.n} are there")
        for name in one.layers:
            said = inputs.unlikeness(one.role, name, job.extractors[name])
            if said:
                found.append(f"{one.role}: {said}")
        found += [f"{one.role}: {note}" for note in job.sets[one.role].notes]
        if bad[one.role]:
            first, reason = next(iter(bad[one.role].items()))
            told = f"{len(bad[one.role])} bad samples were left out, the first is {first}: {reason}"
            found.append(f"{one.role}: {told}")
    found += [note for extractor in job.extractors.values() for note in extractor.notes]
    there = job.plan.passes[0].n
    for entry in (measurement.entry for measurement in job.plan.measurements):
        if (entry.n or 0) > there and job.partial is None:
            found.append(f"{entry.key}: n: {entry.n} was asked for, {there} are there")
    found += _small_groups(job)
    found += _shared(job)
    if job.partial:
        found.append(f"partial: at most {job.partial} samples a role (--limit), never gated")
    return tuple(found)


def _small_groups(job: Job) -> list[str]:
    """A caution for each role and columns whose groups have few samples to compare features of."""
    grouped = {
        (role, measurement.entry.columns): None
        for measurement in job.plan.measurements
        if measurement.entry.by and measurement.extractors
        for role in measurement.roles
    }
    found = []
    for role, columns in grouped:
        cells = (map(str, job.sets[role].column(column)) for column in columns)
        sizes = Counter(zip(*cells, strict=True))
        small = [n for n in sizes.values() if n < FEW_IN_GROUP]
        if small:
            found.append(
                f"{role}: by {' and '.join(columns)}, {len(small)} of {len(sizes)} groups have "
                f"fewer than {FEW_IN_GROUP} samples (the least {min(small)}): what is biased at "
                "small n cannot be compared between groups of different size"
            )
    return found


def _shared(job: Job) -> list[str]:
    """A caution when generated images are themselves in the reference."""
    if Role.REFERENCE not in job.sets or "image" not in job.sets[Role.GENERATED].fields:
        return []
    there, made = (image_content(job.sets[r]) for r in (Role.REFERENCE, Role.GENERATED))
    same = len(set(there).intersection(made))
    return [f"{same} of {len(made)} generated samples are in the reference too"] if same else []


def _not_evaluated(job: Job) -> dict[str, tuple[str, ...]]:
    """The registered metrics the suite leaves out, by chapter."""
    used = {measurement.entry.metric for measurement in job.plan.measurements}
    left: dict[str, tuple[str, ...]] = {}
    for name, spec in all_metrics().items():
        if name not in used:
            left[spec.chapter] = (*left.get(spec.chapter, ()), name)
    return left


def _generating(samples: SampleSet) -> bool:
    """Whether the samples are made by a checkpoint during this run."""
    return isinstance(samples.base if isinstance(samples, Subset) else samples, GeneratedSet)


def _texts_to_keep(job: Job) -> Collection[str]:
    """The columns of generated texts that the run directory keeps, none that are training texts."""
    hidden = _hidden(job)
    is_kept = job.suite.samples.kind == "texts" and job.suite.keep_samples != "none"
    if not is_kept or Role.GENERATED in hidden:
        return ()
    return [c for c in TEXT_COLUMNS if c != "references" or Role.REFERENCE not in hidden]


def _hidden(job: Job) -> list[Role]:
    """Roles whose pictures must not be shown: training images, under whatever role they come."""
    if Role.TRAIN not in job.sets or job.suite.report.train_images == "thumbnails":
        return []
    train = set(image_content(job.sets[Role.TRAIN]))
    return [r for r, samples in job.sets.items() if not train.isdisjoint(image_content(samples))]


def _provenance(job: Job) -> dict[str, Any]:
    import torch

    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return {
        "started": now.isoformat().replace("+00:00", "Z"),
        "folder": str(Path.cwd()),
        "sets": {
            **{str(role): known.name for role, known in job.known.items()},
            **{str(role): samples.name for role, samples in job.sets.items()},
        },
        "weights": job.suite.weights,
        "baselines": job.suite.baselines,
        "device": job.device,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions(*_PACKAGES),
        **job.origin,
    }
