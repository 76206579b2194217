"""geneval.engine.inputs: every need is resolved to the arrays it stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import cdist

from geneval.engine.extract import PassWork
from geneval.engine.inputs import Inputs, Scope
from geneval.engine.local import run_pass
from geneval.examples.digits.data import Split
from geneval.extractors.digits import digits as digits_extractor
from geneval.extractors.pixels import pixels
from geneval.ledger import Ledger
from geneval.metric import Undefined, features, fields, labels, logits, neighbours
from geneval.samples.arrays import from_memory
from geneval.samples.folder import FolderSet
from geneval.samples.sampleset import Batch
from geneval.value import Role

N, BROKEN = 40, (0, 7, 39)
GOOD = [i for i in range(N) if i not in BROKEN]
EVERYTHING = Scope()


def _work(samples: object, ledger: Ledger) -> PassWork:
    extractors = {"digits": digits_extractor(), "pixels": pixels(side=2)}
    layers = {"digits": ("features", "logits", "unlikeness"), "pixels": ("features",)}
    work = PassWork(samples, extractors, layers, ledger)  # type: ignore[arg-type]
    list(run_pass(work))
    return work


@pytest.fixture
def inputs(digits: tuple[Split, Split], tmp_path: Path, ledger: Ledger) -> Inputs:
    """Generated: a folder of 40 digits with metadata, three broken. Reference: 60 in memory."""
    held_out = digits[1]
    lines = ["file_name,label,writer"]
    for i in range(N):
        Image.fromarray(held_out.images[i]).save(tmp_path / f"{i:02d}.png")
        lines.append(f"{i:02d}.png,{held_out.labels[i]},writer-{i % 3}")
    for i in BROKEN:
        (tmp_path / f"{i:02d}.png").write_bytes(b"")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    works = {
        Role.GENERATED: _work(FolderSet(tmp_path, ledger), ledger),
        Role.REFERENCE: _work(from_memory(held_out.images[40:100]), ledger),
    }
    return Inputs(works, {(Role.GENERATED, "digits"): 5})


@pytest.fixture
def expected(digits: tuple[Split, Split]) -> dict[str, np.ndarray]:
    """The digits extractor's own layers for the good generated samples."""
    grey = digits[1].images[GOOD]
    batch = Batch.of(image=np.repeat(grey[..., None], 3, axis=3))
    return {**digits_extractor()(batch, ("features", "logits"))}


def _ids(rows: list[int]) -> tuple[str, ...]:
    return tuple(f"{i:02d}" for i in rows)


def test_features_are_those_of_the_extractor(
    inputs: Inputs, expected: dict[str, np.ndarray]
) -> None:
    """Rows of good samples with their ids; DESIGN.md, Speed, allows 1e-5."""
    found = inputs.get(features("generated"), "digits", EVERYTHING)
    assert found.ids == _ids(GOOD)
    np.testing.assert_allclose(found.x, expected["features"], rtol=1e-5, atol=1e-5)
    assert inputs.get(features("reference"), "digits", EVERYTHING).n == 60


def test_a_need_may_name_its_extractor(inputs: Inputs) -> None:
    """The extractor of the need goes before that of the measurement."""
    named = features("generated", extractor="pixels")
    assert inputs.get(named, "digits", EVERYTHING).d == 12  # 3 channels, 2 x 2
    assert inputs.get(features("generated"), "pixels", EVERYTHING).d == 12
    assert inputs.get(features("generated"), "digits", EVERYTHING).d == 64


def test_logits_know_their_classes(inputs: Inputs, expected: dict[str, np.ndarray]) -> None:
    """Columns of logits are named; features have no names."""
    found = inputs.get(logits("generated"), "digits", EVERYTHING)
    assert found.space is not None
    assert found.space.names == tuple("0123456789")
    np.testing.assert_allclose(found.x, expected["logits"], rtol=1e-5, atol=1e-5)
    assert inputs.get(features("generated"), "digits", EVERYTHING).space is None


def test_moments_are_mean_and_covariance(inputs: Inputs) -> None:
    """Moments agree with NumPy's in float64, with n − 1 in the denominator."""
    x = inputs.get(features("generated"), "digits", EVERYTHING).x.astype(np.float64)
    found = inputs.get(features("generated"), "digits", EVERYTHING).moments()
    assert found.n == len(GOOD)
    np.testing.assert_allclose(found.mean, x.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.cov, np.cov(x, rowvar=False), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5, 9])
def test_neighbours_are_the_nearest(inputs: Inputs, k: int) -> None:
    """Distances are SciPy's, ascending, without the sample itself, for any k asked."""
    x = inputs.get(features("generated"), "digits", EVERYTHING).x.astype(np.float64)
    distance = cdist(x, x)
    np.fill_diagonal(distance, np.inf)
    found = inputs.get(neighbours("generated", k), "digits", EVERYTHING)
    assert found.ids == _ids(GOOD)
    assert found.k == k
    np.testing.assert_allclose(found.distance, np.sort(distance, axis=1)[:, :k], rtol=1e-9)
    taken = np.take_along_axis(distance, found.index, axis=1)
    np.testing.assert_allclose(taken, found.distance, rtol=1e-9)


@pytest.mark.parametrize("k", [len(GOOD), len(GOOD) + 1])
def test_too_few_samples_for_k_are_undefined(inputs: Inputs, k: int) -> None:
    """A sample has n − 1 neighbours at most; more is a state to report with both numbers."""
    with pytest.raises(Undefined, match=f"37 generated samples.*{k} neighbours"):
        inputs.get(neighbours("generated", k), "digits", EVERYTHING)


def test_neighbours_among_another_role_are_the_nearest(inputs: Inputs) -> None:
    """Distances and rows as scipy has them, by the ids of the other role; a deeper one serves."""
    x, y = (inputs.get(features(role), "digits", EVERYTHING) for role in ("generated", "reference"))
    apart = cdist(x.x.astype(np.float64), y.x.astype(np.float64))
    for k in (3, 1):
        found = inputs.get(neighbours("generated", k, among="reference"), "digits", EVERYTHING)
        np.testing.assert_allclose(found.distance, np.sort(apart, axis=1)[:, :k], rtol=1e-9)
        assert (found.ids, found.among, found.k) == (x.ids, y.ids, k)
        assert found.nearest(5) == y.ids[apart[5].argmin()]
    scope = Scope("few", {Role.REFERENCE: frozenset(y.ids[:10])})
    few = inputs.get(neighbours("generated", 1, among="reference"), "digits", scope)
    np.testing.assert_allclose(few.distance[:, 0], apart[:, :10].min(axis=1), rtol=1e-9)
    with pytest.raises(Undefined, match="10 reference samples are too few for 11 neighbours"):
        inputs.get(neighbours("generated", 11, among="reference"), "digits", scope)


def test_given_labels_belong_to_the_good_samples(
    inputs: Inputs, digits: tuple[Split, Split]
) -> None:
    """Labels of the metadata stay with their samples when others are left out."""
    found = inputs.get(labels("generated", "given"), "digits", EVERYTHING)
    assert found.ids == _ids(GOOD)
    assert found.names() == [str(label) for label in digits[1].labels[GOOD]]


def test_predicted_labels_are_the_largest_logit(
    inputs: Inputs, expected: dict[str, np.ndarray]
) -> None:
    """Predicted labels name the classifier's choice in the classifier's own classes."""
    found = inputs.get(labels("generated", "predicted"), "digits", EVERYTHING)
    assert found.ids == _ids(GOOD)
    assert found.codes.tolist() == expected["logits"].argmax(axis=1).tolist()
    assert found.space.names == tuple("0123456789")


def test_fields_are_columns_of_the_good_samples(inputs: Inputs) -> None:
    """Any metadata column arrives under its name, aligned with its ids."""
    found = inputs.get(fields("generated", "writer", "label"), "digits", EVERYTHING)
    assert found.ids == _ids(GOOD)
    assert list(found.columns) == ["writer", "label"]
    assert list(found.columns["writer"]) == [f"writer-{i % 3}" for i in GOOD]


def test_a_scope_limits_its_role_only(inputs: Inputs, expected: dict[str, np.ndarray]) -> None:
    """Within a scope features, labels and fields are those of its good samples, in order."""
    chosen = [9, 7, 3, 20]  # 7 is broken
    scope = Scope("some", {Role.GENERATED: frozenset(_ids(chosen))})
    kept = [3, 9, 20]
    found = inputs.get(features("generated"), "digits", scope)
    assert found.ids == _ids(kept)
    rows = [GOOD.index(i) for i in kept]
    np.testing.assert_allclose(found.x, expected["features"][rows], rtol=1e-5, atol=1e-5)
    assert inputs.get(labels("generated", "given"), "digits", scope).ids == _ids(kept)
    assert inputs.get(labels("generated", "predicted"), "digits", scope).ids == _ids(kept)
    assert inputs.get(fields("generated", "writer"), "digits", scope).ids == _ids(kept)
    assert inputs.get(features("reference"), "digits", scope).n == 60


def test_neighbours_stay_within_their_scope(inputs: Inputs) -> None:
    """Neighbours of one group are sought in that group, and groups are not mixed up."""
    for name, rows in {"even": GOOD[::2], "odd": GOOD[1::2]}.items():
        scope = Scope(name, {Role.GENERATED: frozenset(_ids(rows))})
        x = inputs.get(features("generated"), "digits", scope).x.astype(np.float64)
        distance = cdist(x, x)
        np.fill_diagonal(distance, np.inf)
        found = inputs.get(neighbours("generated", 2), "digits", scope)
        assert found.ids == _ids(rows)
        np.testing.assert_allclose(found.distance, np.sort(distance, axis=1)[:, :2], rtol=1e-9)
    assert inputs.get(neighbours("generated", 2), "digits", EVERYTHING).ids == _ids(GOOD)


def test_good_are_the_samples_that_could_be_read(inputs: Inputs) -> None:
    """Broken samples are not good; a set without extractors is taken whole."""
    assert inputs.good(Role.GENERATED) == _ids(GOOD)
    assert len(inputs.good(Role.REFERENCE)) == 60


def test_without_extractors_all_samples_are_good(ledger: Ledger) -> None:
    """Nothing has been decoded, so nothing is known to be bad."""
    samples = from_memory(np.zeros((3, 2, 2), np.uint8), ["a", "b", "a"])
    inputs = Inputs({Role.GENERATED: PassWork(samples, {}, {}, ledger)}, {})
    assert inputs.good(Role.GENERATED) == samples.ids
    found = inputs.get(labels("generated", "given"), "", EVERYTHING)
    assert found.names() == ["a", "b", "a"]
    assert inputs.samples(Role.GENERATED) is samples


def test_unlikeness_is_the_extractors_caution(
    inputs: Inputs, ledger: Ledger, rng: np.random.Generator
) -> None:
    """Digits draw no caution, noise does, and an extractor without the layer has none."""
    digits, grey = digits_extractor(), pixels()
    assert inputs.unlikeness(Role.GENERATED, "digits", digits) == ""
    noise = from_memory(rng.integers(0, 256, (20, 8, 8), dtype=np.uint8))
    noisy = Inputs({Role.GENERATED: _work(noise, ledger)}, {})
    assert "100%" in noisy.unlikeness(Role.GENERATED, "digits", digits)
    assert noisy.unlikeness(Role.GENERATED, "pixels", grey) == ""
