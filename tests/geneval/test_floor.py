"""geneval.floor: what the reference scores against itself, beside a value."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geneval.cli.outcome import text
from geneval.data import Features
from geneval.evaluator import open_job
from geneval.examples.digits.data import Split
from geneval.extractors.digits import digits as digits_extractor
from geneval.floor import STREAM, draws
from geneval.ledger import Ledger
from geneval.metrics.fidelity.fid import fid
from geneval.metrics.fidelity.precision_recall import precision_recall
from geneval.reports.markdown import write_markdown
from geneval.resample import Context, shuffled
from geneval.run import Outcome, execute
from geneval.samples.sampleset import Batch
from geneval.suite import load_suite

N = 200


def rgb(split: Split) -> np.ndarray:
    """Digits as colour images."""
    return np.repeat(split.images[..., None], 3, axis=3)


def run(
    metrics: str, sets: tuple[Split, Split], ledger: Ledger, *settings: str, out: Path | None = None
) -> Outcome:
    """The first N held-out digits against the training digits."""
    train, held_out = sets
    suite = load_suite(metrics, settings)
    samples = rgb(held_out)[:N], held_out.labels[:N]
    reference = rgb(train), train.labels
    return execute(open_job(suite, ledger, samples=samples, reference=reference), out)


def features(images: np.ndarray, ids: tuple[str, ...]) -> Features:
    """The extractor's features of images."""
    x = digits_extractor()(Batch.of(image=images), ("features",))["features"]
    return Features(ids, x)


def test_draws_are_disjoint_and_of_one_size() -> None:
    """min(n, ⌊m/2⌋) ids a side in an order of the hash, smaller first draws within larger."""
    ids = tuple(f"{i:03d}" for i in range(101))
    for n, size in ((10, 10), (50, 50), (51, 50), (500, 50), (0, 0)):
        first, second = draws(shuffled(ids, STREAM), n)
        assert (len(first), len(second)) == (size, size)
        assert not set(first) & set(second)
        assert set(first) <= set(draws(shuffled(ids, STREAM), 50)[0])
    first, _ = draws(shuffled(ids, STREAM), 30)
    assert first != tuple(sorted(first))


def test_the_floor_is_the_metric_on_two_draws(digits: tuple[Split, Split], ledger: Ledger) -> None:
    """FID's and recall's floors are those of the metrics called on the two draws themselves."""
    found = run("fid,precision_recall", digits, ledger).result
    ids = tuple(f"{i:06d}" for i in range(len(digits[0].images)))
    sides = []
    for drawn in draws(shuffled(ids, STREAM), N):
        rows = np.array(sorted(int(i) for i in drawn))
        sides.append(features(rgb(digits[0])[rows], tuple(sorted(drawn))))
    expected = fid(*sides, Context())
    floor = found["fid"].floor
    assert floor is not None
    assert floor.n == N
    assert floor.number == pytest.approx(expected[0].number, rel=1e-6)
    debiased = found["fid.debiased"].floor
    assert debiased is not None
    assert debiased.number == pytest.approx(expected[1].number, rel=1e-4, abs=1e-6)
    from geneval.data import Neighbours
    from geneval.neighbours import nearest

    near = [Neighbours(side.ids, *nearest(side.x, 4)) for side in sides]
    _, recall = precision_recall(*sides, *near, Context())
    assert found["recall"].floor.number == recall.number  # type: ignore[union-attr]


def test_the_second_mark_is_the_draw_as_jpeg(digits: tuple[Split, Split], ledger: Ledger) -> None:
    """The JPEG mark is the metric on the first draw after Pillow's JPEG of quality 50."""
    found = run("fid", digits, ledger).result["fid"].floor
    ids = tuple(f"{i:06d}" for i in range(len(digits[0].images)))
    sides = []
    for number, drawn in enumerate(draws(shuffled(ids, STREAM), N)):
        images = rgb(digits[0])[np.array(sorted(int(i) for i in drawn))]
        if number == 0:
            images = np.stack([saved(image) for image in images])
        sides.append(features(images, tuple(sorted(drawn))))
    assert found is not None
    assert found.jpeg == pytest.approx(fid(*sides, Context())[0].number, rel=1e-6)
    assert found.number is not None
    assert found.jpeg > found.number


def saved(image: np.ndarray) -> np.ndarray:
    """An image after JPEG of quality 50."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=50)
    return np.asarray(Image.open(buffer))


def test_no_floor_where_there_is_nothing_to_rule(
    digits: tuple[Split, Split], ledger: Ledger
) -> None:
    """`floor: false`, metrics of the generated samples alone, and labels have none."""
    found = run("fid", digits, ledger, "floor=false").result
    assert found["fid"].floor is None
    found = run("inception_score,class_balance", digits, ledger).result
    assert all(value.floor is None for value in found.values())


def test_a_floor_that_cannot_be_measured_says_why(
    digits: tuple[Split, Split], ledger: Ledger
) -> None:
    """A subset size that the draws do not have is the floor's problem, and not the value's."""
    found = run("kid", digits, ledger, "metrics.kid.subset_size=150", "samples.n=160").result["kid"]
    assert found.floor is not None
    assert found.floor.problem == ""
    found = run("kid", digits, ledger, "metrics.kid.subset_size=190", "reference.n=300").result[
        "kid"
    ]
    assert found.number is not None
    assert found.floor is not None
    assert (found.floor.number, found.floor.n) == (None, 150)
    assert "190" in found.floor.problem


def test_every_group_has_its_own(digits: tuple[Split, Split], ledger: Ledger) -> None:
    """Grouped values get a floor of their group's reference, at their group's n."""
    found = run("precision_recall", digits, ledger, "metrics.precision_recall.by=label").result
    floors = {label: found[f"recall[label={label}]"].floor for label in "0123456789"}
    labels = digits[1].labels[:N].astype(str)
    for label, floor in floors.items():
        assert floor is not None
        assert floor.n == (labels == label).sum()
        assert floor.jpeg is None
    assert len({floor.number for floor in floors.values() if floor}) > 1


def test_it_is_kept_and_shown(
    digits: tuple[Split, Split], ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run measures no floor again; terminal and summary tell number, mark and count."""
    outcome = run("fid", digits, ledger, out=tmp_path)
    floor = outcome.result["fid"].floor
    assert floor is not None
    assert floor.number is not None
    assert floor.jpeg is not None
    assert f"{floor.number:.4g} · {floor.jpeg:.4g} ({N})" in text(outcome)
    assert "floor · JPEG 50 (n)" in text(outcome)
    assert outcome.directory is not None
    write_markdown(outcome.directory)
    assert str(floor) in (outcome.directory / "summary.md").read_text()
    monkeypatch.setattr("geneval.metrics.fidelity.fid.frechet_parts", None)
    monkeypatch.setattr("geneval.perturb.perturbed.Perturbed.read", None)
    again = run("fid", digits, ledger)
    assert again.result["fid"].floor == floor
