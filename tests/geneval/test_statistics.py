"""References known by their moments: read in every form, refused where they cannot serve."""

from __future__ import annotations

import pickle
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from geneval.data import Features, Moments
from geneval.engine.progress import Silent
from geneval.errors import SampleError, UsageError
from geneval.evaluator import open_job
from geneval.examples.digits.data import Split
from geneval.extractors.extractor import build_extractor
from geneval.ledger import Ledger
from geneval.reference import build_reference
from geneval.reports.write import RUN_WRITERS
from geneval.result import Result
from geneval.run import Outcome, execute
from geneval.samples.arrays import from_memory
from geneval.samples.statistics import (
    KnownMoments,
    is_statistics,
    read_statistics,
    write_statistics,
)
from geneval.suite import load_suite
from geneval.value import Role

Run = Callable[..., Outcome]


def moments(d: int, seed: int = 0) -> Moments:
    """Moments of 50 features of a width."""
    x = np.random.default_rng(seed).normal(size=(50, d))
    return Features(tuple(map(str, range(50))), x).moments()


@pytest.fixture
def reference(digits: tuple[Split, Split], ledger: Ledger, tmp_path: Path) -> KnownMoments:
    """The held-out digits' moments under the extractor `digits`."""
    extractor = build_extractor("digits", {}, "cpu", None)
    held_out = from_memory(digits[1].images)
    return build_reference(held_out, extractor, tmp_path / "ref.npz", ledger, "cpu", Silent())


@pytest.fixture
def run(digits: tuple[Split, Split], ledger: Ledger) -> Run:
    """A suite on the training digits against some reference."""

    def ran(suite: str, reference: object, *settings: str, **more: object) -> Outcome:
        chosen = load_suite(suite, list(settings))
        samples = digits[0].images
        job = open_job(chosen, ledger, samples=samples, reference=reference)
        return execute(job, **more)

    return ran


def test_fid_is_that_of_the_images(
    run: Run, reference: KnownMoments, digits: tuple[Split, Split]
) -> None:
    """The distance from moments is the distance from the images they are of, and says so."""
    by_moments = run("fid", reference.name).result
    by_images = run("fid", digits[1].images).result
    assert by_moments["fid"].number == pytest.approx(by_images["fid"].number, rel=1e-9)
    assert by_moments["fid"].n == {Role.GENERATED: 1197, Role.REFERENCE: 600}
    assert "known only by its moments" in by_moments["fid.debiased"].finding
    assert set(by_moments.evidence(by_moments["fid.debiased"])) == {Role.GENERATED}
    note = by_moments.document.sets[Role.REFERENCE]
    assert (note.n, note.fingerprint) == (None, reference.fingerprint)


@pytest.mark.parametrize("metric", ["kid", "precision_recall", "density_coverage"])
def test_what_needs_samples_is_refused(run: Run, reference: KnownMoments, metric: str) -> None:
    """KID and the neighbour metrics are refused before any work, with what to give."""
    with pytest.raises(
        UsageError,
        match=f"{metric} needs reference samples, but .*ref.npz holds moments only",
    ):
        run(metric, reference.name)


def test_moments_of_another_extractor_are_refused(
    run: Run, reference: KnownMoments, tmp_path: Path
) -> None:
    """Another width, other weights or another resize rule than the suite's: named, and refused."""
    with pytest.raises(UsageError, match="holds moments of 64 features, the extractor pixels"):
        run("fid", reference.name, "extractor=pixels")
    path = tmp_path / "other.npz"
    write_statistics(path, reference.layers, {**reference.made_by, "resize": "clean"})
    with pytest.raises(UsageError, match="was made with resize clean, the suite has area8"):
        run("fid", path)
    with pytest.raises(UsageError, match="label"):
        run("fid", reference.name, "metrics.fid.by=label")


def test_the_run_directory_of_a_reference_without_samples(
    run: Run, reference: KnownMoments, tmp_path: Path
) -> None:
    """It is written, read back and reported, with moments in the place of a count."""
    outcome = run("fid", reference.name, out=tmp_path / "runs", writers=RUN_WRITERS)
    assert outcome.directory is not None
    again = Result.load(outcome.directory)
    assert again.document.sets[Role.REFERENCE].n is None
    assert ">moments</td>" in (outcome.directory / "report.html").read_text()


def test_the_second_run_is_recalled(run: Run, reference: KnownMoments) -> None:
    """A value against moments is remembered like any other, by the moments' content."""
    assert run("fid", reference.name).result.document.timing["recalled"] == []
    assert run("fid", reference.name).result.document.timing["recalled"] == ["fid"]


def test_the_forms_of_other_tools(tmp_path: Path) -> None:
    """TTUR and pytorch-fid write mu and sigma, ADM mu_s and sigma_s besides; float32 is taken."""
    one, spatial = moments(4), moments(6, 1)
    np.savez(tmp_path / "ttur.npz", mu=one.mean, sigma=one.cov)
    both = {"mu_s": spatial.mean, "sigma_s": spatial.cov.astype(np.float32)}
    np.savez(tmp_path / "adm.npz", mu=one.mean, sigma=one.cov, **both, arr_0=np.zeros((2, 3)))
    for name, widths in (("ttur", {"features": 4}), ("adm", {"features": 4, "spatial": 6})):
        assert is_statistics(tmp_path / f"{name}.npz")
        known = read_statistics(tmp_path / f"{name}.npz")
        assert known.widths == widths
        assert known.layers["features"].n is None
        assert np.array_equal(known.layers["features"].cov, one.cov)
        assert known.made_by == {}


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    """Moments, n and what made them survive; others have other fingerprints."""
    write_statistics(tmp_path / "a.npz", {"features": moments(4)}, {"ext": "x", "weights": None})
    known = read_statistics(tmp_path / "a.npz")
    assert (known.layers["features"].n, known.made_by) == (50, {"ext": "x", "weights": None})
    write_statistics(tmp_path / "b.npz", {"features": moments(4, 1)}, {})
    assert read_statistics(tmp_path / "b.npz").fingerprint != known.fingerprint
    with np.load(tmp_path / "a.npz") as plain:  # as pytorch-fid reads it
        assert np.array_equal(plain["mu"][:], known.layers["features"].mean)


def test_samples_are_not_taken_for_moments(tmp_path: Path) -> None:
    """An npz of images is no file of moments, nor is anything else."""
    np.savez(tmp_path / "images.npz", np.zeros((3, 8, 8), dtype=np.uint8))
    (tmp_path / "broken.npz").write_bytes(b"mu sigma")
    assert not is_statistics(tmp_path / "images.npz")
    assert not is_statistics(tmp_path / "broken.npz")


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".pt"])
def test_pickles_are_refused_with_a_way_out(run: Run, tmp_path: Path, suffix: str) -> None:
    """Pickled statistics are never opened; the sentence's recipe makes an npz that is read."""
    path = tmp_path / f"my stats{suffix}"
    one = moments(4)
    content = {"mu": one.mean, "sigma": one.cov}
    if suffix == ".pt":
        torch.save({name: torch.as_tensor(array) for name, array in content.items()}, path)
    else:  # EDM2's are by detector
        path.write_bytes(pickle.dumps({"fid": content} if suffix == ".pkl" else content))
    with pytest.raises(UsageError, match="is a pickle, which can run code") as told:
        run("fid", path)
    _, _, recipe = str(told.value).partition("give that: python ")
    subprocess.run([sys.executable, *shlex.split(recipe)], check=True)
    known = read_statistics(tmp_path / "my stats.npz")
    assert np.array_equal(known.layers["features"].mean, one.mean)
    assert np.array_equal(known.layers["features"].cov, one.cov)


@pytest.mark.parametrize(
    ("mu", "sigma", "told"),
    [
        (np.zeros(3), np.eye(4), "do not belong together"),
        (np.zeros((3, 1)), np.eye(3), "do not belong together"),
        (np.array([0.0, np.nan]), np.eye(2), "not finite"),
        (np.zeros(2), np.array([[1.0, 2.0], [0.0, 1.0]]), "not symmetric"),
        (np.array([{}, {}]), np.eye(2), "cannot be read"),
    ],
    ids=["widths", "column", "nan", "asymmetric", "objects"],
)
def test_moments_that_are_none(
    tmp_path: Path, mu: np.ndarray, sigma: np.ndarray, told: str
) -> None:
    """Shapes that do not fit, numbers that are none, objects: one sentence with the file."""
    np.savez(tmp_path / "bad.npz", mu=mu, sigma=sigma)
    with pytest.raises(SampleError, match=rf"bad\.npz.*{told}"):
        read_statistics(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    "damage",
    [
        {"made_by": np.array("no json")},
        {"made_by": np.array("[1]")},
        {"n": np.array([1, 2])},
        {"n": np.array(1)},
        {"n": np.array(-5)},
        {"mu": np.array(["a", "b"])},
        {"sigma": -np.eye(2)},
    ],
    ids=["not json", "a list", "n is a vector", "n of one", "n below 0", "words", "negative"],
)
def test_damaged_moments_are_one_sentence(tmp_path: Path, damage: dict[str, np.ndarray]) -> None:
    """Whatever is wrong inside the file names the file and is no traceback."""
    np.savez(tmp_path / "bad.npz", **{"mu": np.zeros(2), "sigma": np.eye(2), **damage})
    with pytest.raises(SampleError, match=r"bad\.npz"):
        read_statistics(tmp_path / "bad.npz")


def test_a_part_of_moments_cannot_be_asked(run: Run, reference: KnownMoments) -> None:
    """`reference.n` beside moments would be ignored, so it is refused."""
    with pytest.raises(UsageError, match="holds moments, which have no part"):
        run("fid", reference.name, "reference.n=100")
