"""mode_collapse: names what is planted, stays silent on the healthy, or cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from geneval.checkpoint import load_into
from geneval.data import Features, Labels, LabelSpace, Neighbours
from geneval.examples.digits.data import Split
from geneval.examples.digits.demo import FOLDER
from geneval.examples.digits.generator import Flow, draw
from geneval.extractors.extractor import build_extractor
from geneval.linalg import Floats, Ints
from geneval.metrics.diversity.mode_collapse import mode_collapse
from geneval.neighbours import nearest
from geneval.resample import Context
from geneval.samples.sampleset import Batch
from geneval.value import Estimate, Role

Side = tuple[Floats, Ints]  # features and classes
DIGITS = LabelSpace(tuple("0123456789"))


def verdict(generated: Side, reference: Side, parts: str = "predicted") -> Estimate:
    """The first output."""
    x, y = (
        Features(tuple(f"{i:05d}" for i in range(len(rows))), rows)
        for rows, _ in (generated, reference)
    )
    near = Neighbours(y.ids, *nearest(y.x, 1))
    labels = (Labels(x.ids, generated[1], DIGITS), Labels(y.ids, reference[1], DIGITS))
    given = labels if parts != "bins" else (None, None)
    return mode_collapse(x, y, near, Context(), *given, parts=parts)[0]


def seen(images: NDArray[np.uint8]) -> Side:
    """Features and predicted classes of digits."""
    batch = Batch.of(image=np.repeat(images[..., None], 3, axis=3))
    layers = build_extractor("digits", {}, "cpu", None)(batch, ("features", "logits"))
    return layers["features"], layers["logits"].argmax(axis=1)


def generated(name: str, scale: float = 1.0, classes: int = 10) -> Side:
    """2,000 digits of a shipped checkpoint."""
    net = Flow()
    load_into(net, FOLDER / f"{name}.safetensors")
    net.eval()
    noise = scale * torch.randn(2000, 64, generator=torch.Generator().manual_seed(3))
    images = draw(net, noise, torch.arange(2000) % classes)[:, 0]
    return seen((images * 255).round().to(torch.uint8).numpy())


@pytest.fixture(scope="module")
def held_out(digits: tuple[Split, Split]) -> Side:
    """The 600 digits held out."""
    return seen(digits[1].images)


@pytest.fixture(scope="module")
def good() -> Side:
    """The last checkpoint's digits."""
    return generated("step-004000")


@pytest.mark.parametrize("parts", ["predicted", "bins"])
def test_the_collapsed_checkpoint_is_named_with_its_digits(parts: str, held_out: Side) -> None:
    """It was trained without 0, 4 and 7."""
    found = verdict(generated("collapsed"), held_out, parts)
    assert found.number == 1
    gallery = next(g for g in found.galleries if g.role is Role.REFERENCE)
    lost = {int(held_out[1][int(i)]) for i in gallery.ids}
    assert lost >= {0, 4, 7} if parts == "predicted" else lost & {0, 4, 7}
    if parts == "predicted":
        assert [f"class {c} lost" in found.finding for c in range(10)] == [
            c in (0, 4, 7) for c in range(10)
        ]


def test_the_last_checkpoint_and_real_digits_are_healthy(
    good: Side, held_out: Side, digits: tuple[Split, Split]
) -> None:
    """The verdict 0 says what would have been noticed."""
    for side in (good, seen(digits[0].images)):
        found = verdict(side, held_out)
        assert found.number == 0
        assert "with 80% power it notices a class of median share (10.0%) losing" in found.finding


def test_planted_collapses_of_a_good_generator_are_found(good: Side, held_out: Side) -> None:
    """A class dropped, 5 % copies of ten images, the noise halved: each by its own name."""
    dropped = verdict(generated("step-004000", classes=9), held_out)
    assert dropped.number == 1
    assert dropped.finding.startswith("class 9 lost 9")
    x, classes = (rows.copy() for rows in good)
    x[1900:], classes[1900:] = x[np.arange(100) % 10], classes[np.arange(100) % 10]
    copied = verdict((x, classes), held_out)
    assert copied.number == 1
    assert copied.finding.startswith("5.0% of the samples are copies of others: 110 of 2,000")
    halved = verdict(generated("step-004000", scale=0.5), held_out)
    assert halved.number == 1
    assert halved.finding.startswith("the variance within a class is 2")


def clusters(rng: np.random.Generator, n: int, lost: float = 0.0, copies: float = 0.0) -> Side:
    """Ten clusters; the first loses a part of its share, some samples repeat the first ten."""
    centres = np.random.default_rng(7).normal(size=(10, 6)) * 4
    share = np.ones(10)
    share[0] -= lost
    which = rng.choice(10, size=n, p=share / share.sum())
    x = centres[which] + rng.normal(size=(n, 6))
    again = round(n * copies)
    x[n - again :], which[n - again :] = x[np.arange(again) % 10], which[np.arange(again) % 10]
    return x, which


def p_values(side: Side, reference: Side) -> list[float]:
    """Unadjusted, in the order of the evidence."""
    column = verdict(side, reference).tables[0].columns["p-value"]
    return [float(p) for p in column if p is not None]


def test_evidence_grows_with_the_strength_of_each_defect() -> None:
    """p falls as a class loses more, copies become more, and samples draw together."""
    y = clusters(np.random.default_rng(0), 2000)
    losses = [
        p_values(clusters(np.random.default_rng(1), 2000, lost=lost), y)[0]
        for lost in (0, 0.6, 0.8, 1.0)
    ]
    copies = [
        p_values(clusters(np.random.default_rng(1), 2000, copies=share), y)[1]
        for share in (0, 0.015, 0.03, 0.1)
    ]
    x, classes = clusters(np.random.default_rng(1), 2000)
    widths = [p_values((x * scale, classes), y)[2] for scale in (1, 0.72, 0.69, 0.6)]
    for p in (losses, copies, widths):
        assert p == sorted(p, reverse=True)
        assert p[0] == 1.0
        assert p[-1] < 1e-6


def test_small_samples_cannot_tell_but_a_plain_collapse_is_seen() -> None:
    """At 60 a side a tenth might vanish unnoticed, but nothing else than one point does not."""
    rng = np.random.default_rng(3)
    x, y = clusters(rng, 60), clusters(rng, 60)
    found = verdict(x, y)
    assert found.problem is not None
    assert found.problem.startswith("cannot tell: a class of median share")
    assert verdict((np.zeros((60, 6)), np.zeros(60, dtype=np.int64)), y).number == 1


def test_a_reference_full_of_copies_excuses_as_many() -> None:
    """Copies that the data hold in the same proportion are no collapse."""
    x = clusters(np.random.default_rng(1), 1000, copies=0.1)
    y = clusters(np.random.default_rng(2), 1000, copies=0.1)
    assert verdict(x, y).number == 0
    assert verdict(x, clusters(np.random.default_rng(2), 1000)).number == 1
