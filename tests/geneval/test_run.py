"""A run: prepared, executed, judged, and left whole or not at all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geneval import __version__
from geneval.errors import ExitCode, SampleError, UsageError
from geneval.evaluator import open_job
from geneval.examples.digits.data import Split
from geneval.examples.digits.demo import FOLDER
from geneval.ledger import Ledger
from geneval.metric import all_metrics
from geneval.reports.write import RUN_WRITERS
from geneval.result import Result, Subject
from geneval.run import Job, Outcome, execute, resolve_device
from geneval.samples.arrays import ArraySet
from geneval.suite import load_suite
from geneval.value import Role
from geneval.verdict import Status

Open = Callable[..., Job]


@pytest.fixture
def job(digits: tuple[Split, Split], ledger: Ledger) -> Open:
    """A job on 200 held-out digits against 300 training digits, unless told otherwise."""
    train, held_out = digits

    def opened(suite: str = "fid", *overrides: str, **given: Any) -> Job:
        chosen = {
            "samples": (held_out.images[:200], held_out.labels[:200]),
            "reference": (train.images[:300], train.labels[:300]),
            **given,
        }
        return open_job(load_suite(suite, list(overrides)), ledger, **chosen)

    return opened


def test_result_is_reproducible(job: Open, tmp_path: Path) -> None:
    """The same job with another ledger gives the same document but for provenance and timing."""
    documents = []
    for name in ("a", "b"):
        one = dataclasses.replace(job("fid,kid", "metrics.kid.subset_size=50"))
        one = dataclasses.replace(one, ledger=Ledger(tmp_path / name))
        documents.append(execute(one).result.document)
    assert documents[0].timing["recalled"] == documents[1].timing["recalled"] == []
    assert documents[0].digest == documents[1].digest
    bare = [dataclasses.replace(d, provenance={}, timing={}) for d in documents]
    assert bare[0] == bare[1]


def test_without_out_nothing_is_written(
    job: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run without `out` has no directory, calls no writer and still gives evidence."""
    monkeypatch.chdir(tmp_path)
    called: list[Path] = []
    outcome = execute(job(), None, [called.append])
    assert outcome.directory is None
    assert called == []
    assert list(tmp_path.iterdir()) == []
    value = outcome.result["fid.debiased"]
    assert set(outcome.result.evidence(value)) == {Role.GENERATED, Role.REFERENCE}


def test_what_is_written_is_what_was_returned(job: Open, tmp_path: Path) -> None:
    """The document and the evidence read back from the directory are those of the outcome."""
    outcome = execute(job("fid,precision_recall"), tmp_path)
    assert outcome.directory is not None
    assert outcome.result.directory == outcome.directory
    loaded = Result.load(outcome.directory)
    assert loaded.document.digest == outcome.result.document.digest
    assert loaded.document == outcome.result.document
    for value in outcome.result.values():
        fresh, stored = outcome.result.evidence(value), loaded.evidence(value)
        assert set(fresh) == set(stored) == set(value.evidence)
        for role, evidence in fresh.items():
            assert stored[role].ids == evidence.ids
            np.testing.assert_array_equal(stored[role].rows, evidence.rows)


@pytest.mark.parametrize("error", [RuntimeError("disk of straw"), KeyboardInterrupt()])
def test_failing_writer_leaves_no_directory(
    job: Open, tmp_path: Path, error: BaseException
) -> None:
    """When a writer fails the error comes through and nothing is below `out`."""

    def failing(directory: Path) -> None:
        assert (directory / "result.json").is_file()
        raise error

    with pytest.raises(type(error)):
        execute(job(), tmp_path / "out", [failing])
    assert not list((tmp_path / "out").rglob("*"))


def test_failing_writer_leaves_earlier_runs_alone(job: Open, tmp_path: Path) -> None:
    """A run that fails takes no earlier run of the same suite and subject with it."""
    earlier = execute(job(), tmp_path, RUN_WRITERS).directory
    assert earlier is not None
    before = sorted(tmp_path.rglob("*"))

    def failing(directory: Path) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        execute(job(), tmp_path, [failing])
    assert sorted(tmp_path.rglob("*")) == before


def test_writers_see_a_directory_that_is_not_there_yet(job: Open, tmp_path: Path) -> None:
    """Writers fill a hidden partial folder; its final name appears only when all is written."""
    seen: list[tuple[Path, list[str]]] = []

    def looking(directory: Path) -> None:
        seen.append((directory, sorted(path.name for path in directory.iterdir())))
        assert not [path for path in directory.parent.iterdir() if path.name[0] != "."]

    final = execute(job(), tmp_path, [looking]).directory
    assert final is not None
    ((partial, names),) = seen
    assert partial.name == f".{final.name}.partial"
    assert {"result.json", "verdicts.json", "samples.parquet", "media"} <= set(names)
    assert not partial.exists()


def test_runs_of_the_same_second_get_names_of_their_own(job: Open, tmp_path: Path) -> None:
    """The same result twice in a second gives two directories."""
    found = [execute(job(), tmp_path).directory for _ in range(3)]
    assert len(set(found)) == 3
    assert all(directory is not None and directory.is_dir() for directory in found)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("step 1/../../x", "step_1_.._.._x"),
        ("..", "samples"),
        ("a\x1b[31m", "a__31m"),
        ("modèle-7.b", "modèle-7.b"),
    ],
)
def test_subject_name_is_no_path(job: Open, tmp_path: Path, name: str, folder: str) -> None:
    """Whatever a subject is called, its runs lie in one folder of their own below the suite."""
    directory = execute(job(subject=Subject(name, "samples")), tmp_path).directory
    assert directory is not None
    assert directory.parent == tmp_path / "ad-hoc" / folder


def test_crashing_metric_takes_no_other_with_it(job: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that raises is failed with type and message; the others are measured; code 3."""
    metrics = dict(all_metrics())
    metrics["kid"] = dataclasses.replace(metrics["kid"], compute=_raising, asks_of=None)
    monkeypatch.setattr("geneval.suite.find_metric", metrics.__getitem__)
    outcome = execute(job("fid,kid"))
    by_key = {measured.key: measured for measured in outcome.result.document.metrics}
    assert by_key["kid"].status == "failed"
    assert by_key["kid"].reason == "ArithmeticError: a metric of straw"
    assert by_key["fid"].status == "ok"
    assert outcome.judgement.failed_metrics == ("kid",)
    assert outcome.exit_code is ExitCode.ERROR


def _raising(generated: Any, reference: Any, **options: Any) -> list[Any]:
    """Stands in for a metric that has a defect."""
    raise ArithmeticError("a metric of straw")


def test_judgement_belongs_to_the_result(job: Open, tmp_path: Path) -> None:
    """Verdicts name the digest of the result they judge and stand in a file of their own."""
    outcome = execute(job("fid", 'gates=["fid <= 1000000", "fid.debiased <= -1000000"]'), tmp_path)
    assert [v.status for v in outcome.judgement.verdicts] == [Status.PASS, Status.FAIL]
    assert outcome.exit_code is ExitCode.FAILED
    assert outcome.judgement.result == outcome.result.document.digest
    assert outcome.directory is not None
    content = json.loads((outcome.directory / "verdicts.json").read_bytes())
    assert content["result"] == outcome.result.document.digest


def test_gate_that_no_plan_can_answer_is_refused_before_work(job: Open, cache: Path) -> None:
    """An address the suite cannot produce is the caller's mistake, found without extraction."""
    with pytest.raises(UsageError, match="unknown address 'kid'"):
        job("fid", 'gates=["kid <= 1"]')
    assert not list(cache.rglob("*.safetensors"))


def test_not_evaluated_lists_what_the_suite_left_out(job: Open) -> None:
    """Every registered metric is either measured or listed under its chapter."""
    document = execute(job("fid,precision_recall")).result.document
    left = {(chapter, name) for chapter, names in document.not_evaluated.items() for name in names}
    used = {(measured.chapter, measured.metric) for measured in document.metrics}
    assert not left & used
    assert left | used == {(spec.chapter, name) for name, spec in all_metrics().items()}


def test_images_unlike_the_training_data_get_a_caution(job: Open, rng: np.random.Generator) -> None:
    """Noise is measured in the feature space of `digits`, with a warning that it means nothing."""
    noise = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    document = execute(job(samples=noise)).result.document
    (caution,) = document.cautions
    assert caution.startswith("generated: 100% of the samples are unlike the handwritten digits")
    assert execute(job()).result.document.cautions == ()


def test_small_groups_get_a_caution(job: Open) -> None:
    """Features of few samples a class are compared with a warning; counts have intervals only."""
    by_class = job("precision_recall", "metrics.precision_recall.by=label")
    (mine, theirs) = execute(by_class).result.document.cautions
    assert mine.startswith("generated: by label, 10 of 10 groups have fewer than 100 samples (the")
    assert theirs.startswith("reference: by label, 10 of 10 groups")
    assert "cannot be compared between groups of different size" in theirs
    counted = job("class_balance", "metrics.class_balance.by=label")
    assert execute(counted).result.document.cautions == ()


@pytest.mark.parametrize("limit", [None, 50])
def test_suite_n_and_limit_take_the_lowest_hashed_ids(job: Open, limit: int | None) -> None:
    """`samples.n` and `--limit` choose by hashed id: the smaller choice lies within the larger."""
    one = job("fid", "samples.n=100", limit=limit)
    whole = set(job().sets[Role.GENERATED].ids)
    hundred = set(job("fid", "samples.n=100").sets[Role.GENERATED].ids)
    chosen = set(one.sets[Role.GENERATED].ids)
    assert len(hundred) == 100
    assert len(chosen) == (limit or 100)
    assert chosen <= hundred < whole
    assert hundred != set(sorted(whole)[:100])  # by hash, never by position
    assert len(one.sets[Role.REFERENCE].ids) == (limit or 300)


def test_provenance_says_where_and_with_what(job: Open) -> None:
    """Start, device, threads, platform and package versions stand in every document."""
    told = execute(job(device="cpu")).result.document.provenance
    assert told["started"].endswith("Z")
    assert told["device"] == "cpu"
    assert told["threads"] >= 1
    assert told["packages"]["geneval"] == __version__
    assert told["packages"]["numpy"] == np.__version__
    assert told["sets"] == {"generated": "samples", "reference": "reference"}


def test_set_without_a_readable_sample_is_an_error(job: Open, tmp_path: Path) -> None:
    """Where every sample is bad there is no result, skipped or not."""
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"no image")
    with pytest.raises(SampleError, match="could be read"):
        execute(job("fid", "on_bad_sample=skip", samples=tmp_path), tmp_path / "out")
    with pytest.raises(SampleError, match="on_bad_sample: skip"):
        execute(job("fid", samples=tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def shown_roles(outcome: Outcome) -> set[str]:
    """The roles whose pictures lie in a run directory."""
    assert outcome.directory is not None
    return {e["role"] for e in json.loads((outcome.directory / "media/index.json").read_bytes())}


def test_training_images_are_never_shown(
    job: Open, digits: tuple[Split, Split], tmp_path: Path
) -> None:
    """A training set gives no picture unless the suite says `train_images: thumbnails`."""
    train = (digits[0].images[:150], digits[0].labels[:150])
    held_out = (digits[1].images[200:400], digits[1].labels[200:400])
    hidden = execute(job(train=train, reference=held_out), tmp_path)
    assert shown_roles(hidden) == {"generated", "reference"}
    asked = job("fid", "report.train_images=thumbnails", train=train, reference=held_out)
    assert shown_roles(execute(asked, tmp_path)) == {"generated", "reference", "train"}


@pytest.mark.parametrize(
    ("case", "overrides", "given"),
    [
        ("the very set", [], {}),
        ("fewer of them", ["reference.n=100"], {}),
        ("without labels", [], {"labels": False}),
        ("as floats", [], {"floats": True}),
    ],
)
def test_training_images_are_not_shown_as_reference(
    job: Open,
    digits: tuple[Split, Split],
    tmp_path: Path,
    case: str,
    overrides: list[str],
    given: dict[str, bool],
) -> None:
    """Training images that serve as reference are hidden as well, in whatever form they come."""
    images, labels = digits[0].images[:300], digits[0].labels[:300]
    again = images.astype(np.float32) / 255 if given.get("floats") else images
    reference = (again, labels if given.get("labels", True) else None)
    outcome = execute(job("fid", *overrides, reference=reference, train=(images, labels)), tmp_path)
    assert shown_roles(outcome) == {"generated"}, case


def test_samples_that_are_training_images_are_not_shown(
    job: Open, digits: tuple[Split, Split], tmp_path: Path
) -> None:
    """A checkpoint that repeats its training set does not bring it into the report."""
    train = (digits[0].images[:300], digits[0].labels[:300])
    outcome = execute(job(samples=train, train=train), tmp_path)
    assert "generated" not in shown_roles(outcome)


def test_seed_of_generation_can_be_held(job: Open, digits: tuple[Split, Split]) -> None:
    """`generate.seed` keeps the samples while the run's seed changes; else they follow it."""
    checkpoint = FOLDER / "step-000250.safetensors"

    def asked(*overrides: str) -> str:
        one = job("digits", "generate.n=20", *overrides, samples=None, checkpoint=checkpoint)
        return str(one.sets[Role.GENERATED].content()[0])

    assert asked("seed=1", "generate.seed=5") == asked("seed=2", "generate.seed=5")
    assert asked("seed=1") != asked("seed=2")
    assert asked("seed=5") == asked("seed=1", "generate.seed=5")


def test_device_that_is_not_there() -> None:
    """`auto` is a device there is; an absent one is the caller's mistake, with what there is."""
    assert resolve_device("auto") in ("cuda", "mps", "cpu")
    assert resolve_device("cpu") == "cpu"
    for name in ("tpu", "CPU", ""):
        with pytest.raises(UsageError, match=r"this machine has .*cpu"):
            resolve_device(name)


def test_name_of_a_sample_set_reaches_the_subject(
    ledger: Ledger, digits: tuple[Split, Split]
) -> None:
    """A SampleSet is evaluated as it is, under its own name."""
    mine = ArraySet(digits[1].images[:100], name="mine")
    outcome = execute(open_job(load_suite("fid"), ledger, samples=mine, reference=mine))
    assert outcome.result.name == "mine"
    assert outcome.result["fid"].number == pytest.approx(0, abs=1e-6)  # a set against itself
