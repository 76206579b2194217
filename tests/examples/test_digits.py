"""The demonstration's scripts make what is shipped, and its verdicts are the expected ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from geneval.checkpoint import GeneratedSet, load_checkpoint
from geneval.data import Features
from geneval.examples.digits import demo, train_extractor, train_generator
from geneval.examples.digits.data import Split
from geneval.examples.digits.generator import CLASSES, Flow, draw
from geneval.extractors.digits import Digits, network
from geneval.extractors.extractor import build_extractor
from geneval.metrics.fidelity.fid import fid
from geneval.resample import Context

FOLDER = Path(demo.__file__).parent


def quality(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], reference: Features) -> float:
    """Debiased distance of images [n, 8, 8] from the held-out digits."""
    extractor = build_extractor("digits", {}, "cpu", None)
    x = extractor(np.repeat(images[..., None], 3, axis=3))["features"]
    ids = tuple(f"{i:05d}" for i in range(len(x)))
    number = fid(Features(ids, x), reference, Context())[1].number
    assert number is not None
    return number


@pytest.fixture(scope="module")
def reference(digits: tuple[Split, Split]) -> Features:
    """Features of the held-out digits."""
    extractor = build_extractor("digits", {}, "cpu", None)
    x = extractor(np.repeat(digits[1].images[..., None], 3, axis=3))["features"]
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def shipped(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """1,000 images of a shipped checkpoint."""
    checkpoint = load_checkpoint(FOLDER / f"{name}.safetensors", "digits")
    made = GeneratedSet(checkpoint, checkpoint.inputs(1000, seed=3))
    return np.stack(made.read(made.ids).columns["image"])[..., 0]


def fresh(net: Flow) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """1,000 images of a network just trained."""
    noise = torch.randn(1000, 64, generator=torch.Generator().manual_seed(3))
    images = draw(net, noise, torch.arange(1000) % len(CLASSES))
    return (images[:, 0] * 255).round().to(torch.uint8).numpy()


def test_the_script_makes_generators_of_the_shipped_quality(
    digits: tuple[Split, Split], reference: Features
) -> None:
    """Training anew gives, at every step, a distance within the noise of another training.

    Twelve trainings with other seeds spread by at most 12 % (standard deviation) at each step; three
    of those, plus what 1,000 samples cannot tell, is the tolerance.
    """
    train, _ = digits
    for step, net in train_generator.train(train, train_generator.STEPS[:2], seed=0):
        there = quality(shipped(f"step-{step:06d}"), reference)
        here = quality(fresh(net), reference)
        assert here == pytest.approx(there, rel=0.36, abs=2.0)


def test_distance_falls_over_the_shipped_steps(reference: Features) -> None:
    """Each shipped step is clearly better than the one before."""
    steps = [quality(shipped(f"step-{step:06d}"), reference) for step in train_generator.STEPS]
    assert steps[0] > 1.5 * steps[1]
    assert steps[1] > 1.5 * steps[2]


def test_the_collapsed_generator_never_saw_its_missing_digits(
    digits: tuple[Split, Split],
) -> None:
    """The script takes the classes out of the images and keeps the label counts."""
    train, _ = digits
    cut = train_generator.without(train, train_generator.MISSING)
    gone = np.isin(train.labels, train_generator.MISSING)
    others = {image.tobytes() for image in train.images[~gone]}
    assert all(image.tobytes() in others for image in cut.images[gone])
    assert np.array_equal(cut.labels, train.labels)
    assert np.array_equal(cut.images[~gone], train.images[~gone])


def test_the_script_makes_an_extractor_of_the_shipped_accuracy(
    digits: tuple[Split, Split],
) -> None:
    """Training the classifier anew reaches 98 % on the held-out digits, as the shipped one does."""
    tensors, facts = train_extractor.train(seed=1)
    net = network()
    net.load_state_dict({k: v for k, v in tensors.items() if k not in ("mean", "precision")})
    assert train_extractor.accuracy(net, digits[1]) >= 0.98
    assert float(facts["accuracy"]) >= 0.98
    shipped_facts = Digits(
        Path(train_extractor.__file__).parents[2] / "geneval/extractors/digits.safetensors", "cpu"
    ).facts
    assert float(shipped_facts["accuracy"]) >= 0.98


def test_the_demo_ends_as_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four verdicts as declared, the missing digits named, improvement over steps told."""
    from geneval.engine.progress import Silent

    assert demo.run_demo(tmp_path, Silent())
    told = capsys.readouterr().out
    assert "missing 3 of 10 classes: 0, 3, 7" in told
    assert "fid.debiased improves from step 250 to step 6000" in told
    reports = list((tmp_path / "digits").glob("*/*/report.html"))
    assert len(reports) == 4
    assert (tmp_path / "digits" / "comparison" / "report.html").is_file()


def test_the_demo_notices_a_verdict_that_surprises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo exits 0 only when the expected verdicts came out."""
    from geneval.engine.progress import Silent
    from geneval.verdict import Status

    monkeypatch.setattr(demo, "EXPECTED", {"collapsed": Status.PASS, "step-006000": Status.PASS})
    assert not demo.run_demo(tmp_path, Silent())
    assert "collapsed is FAIL, expected PASS" in capsys.readouterr().out
