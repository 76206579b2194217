"""geneval.checkpoint: requests, adapters, identity, and what may not be loaded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from geneval.checkpoint import (
    AdaptedCheckpoint,
    GeneratedSet,
    known_adapters,
    load_checkpoint,
    load_into,
    load_tensors,
)
from geneval.errors import CheckpointError, SampleError, UsageError
from geneval.samples.requests import RequestSet, latent_of, request_seed
from geneval.samples.sampleset import COST

ADAPTER = """
    import torch
    from geneval.checkpoint import Generator, load_into

    CLASSES = ("ant", "bee", "cow")

    def load(path, device):
        net = torch.nn.Linear(16, 3 * 4 * 4)
        load_into(net, path)

        def generate(batch):
            seeds, labels = batch.columns["seed"], batch.columns["label"]
            noise = torch.stack(
                [torch.randn(16, generator=torch.Generator().manual_seed(s)) for s in seeds]
            )
            shift = torch.tensor([[float(CLASSES.index(label))] for label in labels])
            with torch.inference_mode():
                return net(noise + shift).sigmoid().reshape(-1, 3, 4, 4)

        return Generator(generate, CLASSES)
"""

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module into the working folder; forgets it and the path when the test ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write_module(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        sys.modules.pop(name, None)  # as a new process would find it

    yield write_module
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) == str(tmp_path / f"{name}.py"):
            del sys.modules[name]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of the test's adapter."""
    return _weights(tmp_path / "model.safetensors", 0)


@pytest.fixture
def checkpoint(write: Write, weights: Path) -> AdaptedCheckpoint:
    """A checkpoint behind `toy:load`, a linear model with three classes."""
    write("toy", ADAPTER)
    return load_checkpoint(weights, "toy:load")


def _weights(path: Path, seed: int) -> Path:
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        "weight": torch.randn(48, 16, generator=generator) / 4,
        "bias": torch.randn(48, generator=generator),
    }
    save_file(tensors, path)
    return path


def _images(samples: GeneratedSet, batch_size: int = 1000) -> NDArray[np.int64]:
    parts = [
        samples.read(samples.ids[start : start + batch_size]).columns["image"]
        for start in range(0, len(samples.ids), batch_size)
    ]
    return np.stack([image for part in parts for image in part]).astype(np.int64)


def test_each_request_has_its_own_seed() -> None:
    """Seeds are distinct, fit into 63 bits, and change with the run's seed."""
    seeds = list(RequestSet(500, 7).column("seed"))
    assert len(set(seeds)) == 500
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert not set(seeds) & set(RequestSet(500, 8).column("seed"))


def test_request_seed_is_the_published_hash() -> None:
    """The seed is the upper 63 bits of SHA-256 of seed, zero byte and id (its docstring)."""
    expected = int(hashlib.sha256(b"7\x00000003").hexdigest()[:16], 16) // 2
    assert request_seed(7, "000003") == expected


def test_more_requests_keep_the_first_ones() -> None:
    """The requests of n = 5 are the first five of n = 12, labels and content included."""
    few, many = RequestSet(5, 0, ["a", "b"]), RequestSet(12, 0, ["a", "b"])
    assert many.ids[:5] == few.ids
    assert list(many.content())[:5] == list(few.content())
    assert many.read(few.ids) == few.read(few.ids)


@pytest.mark.parametrize(("n", "counts"), [(9, [3, 3, 3]), (10, [4, 3, 3]), (2, [1, 1, 0])])
def test_labels_are_balanced(n: int, counts: list[int]) -> None:
    """Classes are asked for in turn, so that their counts differ by one at most."""
    labels = list(RequestSet(n, 0, ["a", "b", "c"]).column("label"))
    assert [labels.count(name) for name in "abc"] == counts


def test_without_classes_there_is_no_label() -> None:
    """An unconditional model is asked with seeds alone."""
    requests = RequestSet(3, 0)
    assert requests.fields == {"seed": "seed"}
    assert set(requests.read(requests.ids).columns) == {"seed"}


def test_repeats_ask_the_same_with_other_seeds() -> None:
    """Each request comes `repeats` times: one label, distinct ids and seeds, labels balanced."""
    requests = RequestSet(4, 0, ["a", "b"], repeats=3)
    assert len(set(requests.ids)) == 12
    assert len(set(requests.column("seed"))) == 12
    assert list(requests.column("label")) == ["a"] * 3 + ["b"] * 3 + ["a"] * 3 + ["b"] * 3


@pytest.mark.parametrize("repeats", [1, 2, 10, 12, 101])
def test_request_ids_are_sorted(repeats: int) -> None:
    """Ids are in canonical (sorted) order, as every sample set's are."""
    ids = RequestSet(3, 0, repeats=repeats).ids
    assert list(ids) == sorted(set(ids))


def test_content_of_requests_follows_label_and_seed() -> None:
    """Another seed or another label is another request."""
    base = set(RequestSet(6, 0, ["a"]).content())
    assert not base & set(RequestSet(6, 1, ["a"]).content())
    assert not base & set(RequestSet(6, 0, ["b"]).content())


def test_batch_size_changes_samples_by_rounding_at_most(checkpoint: AdaptedCheckpoint) -> None:
    """Batches of 1, 7 and all make the same images, to one of 256 levels."""
    samples = GeneratedSet(checkpoint, checkpoint.inputs(40, seed=0))
    whole = _images(samples)
    assert len(np.unique(whole, axis=0)) == 40  # a seed that is ignored would repeat images
    for batch_size in (1, 7):
        assert np.abs(_images(samples, batch_size) - whole).max() <= 1


def test_samples_follow_their_requests(checkpoint: AdaptedCheckpoint) -> None:
    """Any ids in any order give those samples with their labels and seeds."""
    samples = GeneratedSet(checkpoint, checkpoint.inputs(9, seed=0))
    batch = samples.read(("00000007", "00000002"))
    assert batch.ids == ("00000007", "00000002")
    assert batch.columns["label"] == ["bee", "cow"]
    assert batch.columns["seed"] == [request_seed(0, sample) for sample in batch.ids]
    assert np.abs(np.stack(batch.columns["image"]) - _images(samples)[[7, 2]]).max() <= 1
    cost = dict.fromkeys(COST, "cost")
    assert samples.fields == {"seed": "seed", "label": "label", "image": "image"} | cost
    assert set(batch.columns) == set(samples.fields)
    assert samples.requested_labels


def test_the_same_request_makes_the_same_image_again(checkpoint: AdaptedCheckpoint) -> None:
    """A sample is a function of checkpoint and seed: a fresh load makes it again."""
    again = load_checkpoint(checkpoint.path, "toy:load")
    requests = checkpoint.inputs(6, seed=3)
    made = [_images(GeneratedSet(one, requests)) for one in (checkpoint, again)]
    assert np.array_equal(made[0], made[1])
    other = _images(GeneratedSet(checkpoint, checkpoint.inputs(6, seed=4)))
    assert not np.array_equal(made[0], other)


def test_a_loaded_checkpoint_travels_to_another_process(checkpoint: AdaptedCheckpoint) -> None:
    """A checkpoint that has generated pickles (its network stays behind) and generates again."""
    samples = GeneratedSet(checkpoint, checkpoint.inputs(4, seed=0))
    here = _images(samples)
    assert np.array_equal(_images(pickle.loads(pickle.dumps(samples))), here)


def test_the_shipped_adapter_is_known_by_name() -> None:
    """Registered adapters can be named without their module."""
    assert known_adapters()["digits"] == "geneval.examples.digits.generator:load"


def test_digest_follows_weights_and_adapter_source(
    checkpoint: AdaptedCheckpoint, write: Write, tmp_path: Path
) -> None:
    """Identity is bytes of weights and adapter: not the name, not the place."""
    same = tmp_path / "elsewhere.safetensors"
    same.write_bytes(checkpoint.path.read_bytes())
    assert load_checkpoint(same, "toy:load").digest == checkpoint.digest
    _weights(same, 1)
    assert load_checkpoint(same, "toy:load").digest != checkpoint.digest
    write("toy", ADAPTER + "\n    # another source\n")
    assert load_checkpoint(checkpoint.path, "toy:load").digest != checkpoint.digest


def test_two_adapters_of_one_file_are_two_checkpoints(
    checkpoint: AdaptedCheckpoint, write: Write
) -> None:
    """The function is part of the identity, however alike the files are."""
    write("toy", ADAPTER + "\n    load_ema = load\n")
    one, other = (load_checkpoint(checkpoint.path, f"toy:{f}") for f in ("load", "load_ema"))
    assert one.digest != other.digest


def test_a_linked_folder_is_part_of_a_checkpoint(write: Write, tmp_path: Path) -> None:
    """Folders behind links are followed, and a link to a folder above ends nowhere."""
    write("toy", ADAPTER)
    (tmp_path / "blob").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "unet").symlink_to(tmp_path / "blob")
    (tmp_path / "blob" / "up").symlink_to(tmp_path / "model")
    digests = []
    for text in ("a", "b"):
        (tmp_path / "blob" / "w.bin").write_text(text)
        digests.append(load_checkpoint(tmp_path / "model", "toy:load").digest)
    assert digests[0] != digests[1]


def test_digest_of_a_folder_follows_every_file(write: Write, tmp_path: Path) -> None:
    """A checkpoint folder is identified by the names and bytes of all its files."""
    write("toy", ADAPTER)
    folder = tmp_path / "run-step-20"
    (folder / "unet").mkdir(parents=True)
    digests = []
    for name, text in [("config.json", "{}"), ("unet/w.bin", "a"), ("unet/w.bin", "b")]:
        (folder / name).write_text(text)
        digests.append(load_checkpoint(folder, "toy:load").digest)
    (folder / "unet/w.bin").rename(folder / "unet/v.bin")
    digests.append(load_checkpoint(folder, "toy:load").digest)
    assert len(set(digests)) == 4
    assert load_checkpoint(folder, "toy:load").name == "run-step-20"


def test_content_follows_the_checkpoint(checkpoint: AdaptedCheckpoint, tmp_path: Path) -> None:
    """The same requests to other weights are other samples."""
    requests = checkpoint.inputs(3, seed=0)
    other = load_checkpoint(_weights(tmp_path / "other.safetensors", 1), "toy:load")
    before = GeneratedSet(checkpoint, requests).content()
    assert not set(before) & set(GeneratedSet(other, requests).content())
    assert list(GeneratedSet(checkpoint, requests).content()) == list(before)


@pytest.mark.parametrize(
    ("name", "step", "seed"),
    [
        ("step-000250", 250, None),
        ("model_step1000_seed3", 1000, 3),
        ("seed-7.step_12", 12, 7),
        ("final", None, None),
    ],
)
def test_step_and_seed_are_read_from_the_name(
    write: Write, tmp_path: Path, name: str, step: int | None, seed: int | None
) -> None:
    """`step` and `seed` with a number after them order checkpoints and tell replicates apart."""
    write("toy", ADAPTER)
    checkpoint = load_checkpoint(_weights(tmp_path / f"{name}.safetensors", 0), "toy:load")
    assert (checkpoint.name, checkpoint.step, checkpoint.seed) == (name, step, seed)


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        pytest.param("digit", "'digit'.*'digits'", id="misspelt-name"),
        pytest.param("no_such_module:load", "no_such_module", id="no-module"),
        pytest.param("toy:lod", "'lod'.*'load'", id="no-function"),
        pytest.param("toy:", "module:function", id="empty-function"),
        pytest.param(":load", "load", id="empty-module"),
        pytest.param(".toy:load", "toy", id="relative-module"),
        pytest.param("toy:CLASSES", "CLASSES", id="no-function-but-a-constant"),
    ],
)
def test_an_adapter_that_is_not_there_is_a_usage_error(
    write: Write, weights: Path, adapter: str, said: str
) -> None:
    """A wrong adapter name is the caller's, said in one sentence before anything is loaded."""
    write("toy", ADAPTER)
    with pytest.raises(UsageError, match=said):
        load_checkpoint(weights, adapter)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import not_installed_anywhere", id="missing-dependency"),
        pytest.param("def load(:", id="syntax-error"),
        pytest.param("from os import no_such_name", id="import-error"),
        pytest.param("import os\nos.no_such_name", id="attribute-error"),
        pytest.param("raise RuntimeError('no GPU')", id="runtime-error"),
    ],
)
def test_an_adapter_module_that_fails_to_import_is_named(
    write: Write, weights: Path, source: str
) -> None:
    """An adapter that cannot be imported is an error that names it, not a stray traceback."""
    write("broken", source)
    with pytest.raises((UsageError, CheckpointError), match="broken"):
        load_checkpoint(weights, "broken:load")


FAULTY = """
    import numpy as np
    from geneval.checkpoint import Generator

    def fails_to_load(path, device):
        raise RuntimeError("no such layer")

    def returns_nothing(path, device):
        pass

    def makes(images):
        return lambda path, device: Generator(lambda batch: images(len(batch.ids)))

    def _fail(n):
        raise ValueError("out of luck")

    fails_to_generate = makes(_fail)
    one_too_few = makes(lambda n: np.zeros((n - 1, 4, 4), np.uint8))
    one_too_many = makes(lambda n: np.zeros((n + 1, 4, 4), np.uint8))
    no_images = makes(lambda n: np.zeros((n, 7), np.uint8))
    not_finite = makes(lambda n: np.full((n, 4, 4), np.nan))
    signed = makes(lambda n: np.full((n, 4, 4), -1.0))
    text = makes(lambda n: "images")
"""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("fails_to_load", "no such layer"),
        ("returns_nothing", "returns_nothing"),
        ("fails_to_generate", r"model.*out of luck"),
        ("one_too_few", r"model made 4 images for 5"),
        ("one_too_many", r"model made 6 images for 5"),
    ],
)
def test_a_faulty_adapter_is_a_checkpoint_error(
    write: Write, weights: Path, function: str, said: str
) -> None:
    """What an adapter does wrong is the model's fault, with its own reason in the sentence."""
    write("faulty", FAULTY)
    checkpoint = load_checkpoint(weights, f"faulty:{function}")
    with pytest.raises(CheckpointError, match=said):
        requests = checkpoint.inputs(5, seed=0)
        checkpoint.generate(requests.read(requests.ids))


@pytest.mark.parametrize("function", ["no_images", "not_finite", "signed", "text"])
def test_what_is_made_must_be_images(write: Write, weights: Path, function: str) -> None:
    """Other shapes, NaN and values out of range are refused, naming the checkpoint."""
    write("faulty", FAULTY)
    checkpoint = load_checkpoint(weights, f"faulty:{function}")
    requests = checkpoint.inputs(5, seed=0)
    with pytest.raises((CheckpointError, SampleError), match="model"):
        checkpoint.generate(requests.read(requests.ids))


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    """A missing path is a `UsageError`."""
    with pytest.raises(UsageError, match=r"absent\.safetensors does not exist"):
        load_checkpoint(tmp_path / "absent.safetensors", "digits")


@pytest.mark.parametrize("suffix", [".pkl", ".pickle"])
def test_pickles_are_refused_always(tmp_path: Path, suffix: str) -> None:
    """A pickle can run code; not even `allow_pt` reads it."""
    path = tmp_path / f"model{suffix}"
    path.touch()
    with pytest.raises(CheckpointError, match=r"pickle.*safetensors"):
        load_checkpoint(path, "digits", allow_pt=True)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
def test_torch_files_need_permission(write: Write, tmp_path: Path, suffix: str) -> None:
    """A torch file is read only with `allow_pt`, and then as weights."""
    write("toy", ADAPTER)
    path = tmp_path / f"model{suffix}"
    torch.save({"weight": torch.zeros(48, 16), "bias": torch.zeros(48)}, path)
    with pytest.raises(UsageError, match="--allow-pt"):
        load_checkpoint(path, "toy:load")
    checkpoint = load_checkpoint(path, "toy:load", allow_pt=True)
    images = _images(GeneratedSet(checkpoint, checkpoint.inputs(2, seed=0)))
    assert np.all(images == 128)  # sigmoid(0)·255 = 127.5, rounded to even


class Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_torch_file_is_an_error(tmp_path: Path) -> None:
    """Objects in a torch file are a `CheckpointError` naming it."""
    torch.save({"weight": Trap(tmp_path / "ran")}, tmp_path / "trap.pt")
    with pytest.raises(CheckpointError, match=r"trap\.pt"):
        load_tensors(tmp_path / "trap.pt")


def test_code_in_a_torch_file_never_runs(tmp_path: Path) -> None:
    """Whatever loading such a file raises, none of its code has run."""
    torch.save({"weight": Trap(tmp_path / "ran")}, tmp_path / "trap.pt")
    with contextlib.suppress(Exception):
        load_tensors(tmp_path / "trap.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("content", [b"", b"no tensors here", b"\x80\x02"])
def test_files_that_hold_no_tensors_are_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    """An empty or foreign file is a `CheckpointError` naming it."""
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=path.name):
        load_tensors(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str) -> None:
    """Weights whose second half is missing are a `CheckpointError`."""
    path = tmp_path / f"model{suffix}"
    tensors = {"weight": torch.zeros(99)}
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match=path.name):
        load_tensors(path)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"weight": torch.zeros(2, 3)}, r"lacks the tensor 'bias' \(1 missing\)"),
        (
            {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "extra": torch.zeros(1)},
            "'extra'",
        ),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, r"'weight'.*\(3, 2\).*\(2, 3\)"),
    ],
)
def test_tensors_must_fit_the_model(
    tmp_path: Path, tensors: dict[str, torch.Tensor], said: str
) -> None:
    """A missing, a surplus and a misshaped tensor are each named, and nothing is filled in."""
    save_file(tensors, tmp_path / "model.safetensors")
    module = torch.nn.Linear(3, 2)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(CheckpointError, match=said):
        load_into(module, tmp_path / "model.safetensors")
    assert all(torch.equal(module.state_dict()[name], before[name]) for name in before)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"model": {"weight": torch.zeros(2, 3)}, "step": 3}, id="nested"),
        pytest.param([torch.zeros(2)], id="list"),
    ],
)
def test_a_torch_file_of_something_else_does_not_fit(tmp_path: Path, content: object) -> None:
    """A torch file that is no state dict is a `CheckpointError` naming it."""
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"model\.pt"):
        load_into(torch.nn.Linear(3, 2), tmp_path / "model.pt")


def test_load_into_fills_the_model(tmp_path: Path) -> None:
    """What was saved of one module is what the other computes with."""
    source, target = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    load_into(target, tmp_path / "model.safetensors")
    assert torch.equal(target(torch.ones(1, 3)), source(torch.ones(1, 3)))


def test_latents_follow_the_seeds() -> None:
    """A latent is drawn from its request's own seed, so no batch and no neighbour changes it."""
    requests = RequestSet(6, 0, ("ant", "bee"), latent=(4, 2))
    assert requests.fields["latent"] == "latent"
    whole = requests.read(requests.ids).columns["latent"]
    alone = [requests.read((sample,)).columns["latent"][0] for sample in requests.ids]
    assert np.array_equal(whole, alone)
    assert np.array_equal(whole, requests.column("latent"))
    assert np.array_equal(whole[3], latent_of(requests.column("seed")[3], (4, 2)))
    assert whole[0].dtype == np.float32
    many = np.stack(RequestSet(2000, 0, latent=(4,)).column("latent"))
    assert abs(many.mean()) < 4 / np.sqrt(8000)  # four standard errors
    assert many.std() == pytest.approx(1, abs=4 / np.sqrt(16000))


def test_an_adapter_gets_the_latents_it_asks_for(write: Write, weights: Path) -> None:
    """`Generator(latent=…)` puts latents into every batch, and other latents are other samples."""
    for name, shape in (("small", "(4, 4)"), ("large", "(4, 8)")):
        write(
            name,
            f"""
    import numpy as np
    from geneval.checkpoint import Generator

    def load(path, device):
        return Generator(lambda b: np.abs(np.tanh(np.stack(b.columns["latent"]))), latent={shape})
""",
        )
    small, large = (load_checkpoint(weights, f"{name}:load") for name in ("small", "large"))
    made = GeneratedSet(small, small.inputs(5, seed=0))
    assert np.stack(made.read(made.ids).columns["image"]).shape == (5, 4, 4, 3)
    others = GeneratedSet(large, large.inputs(5, seed=0))
    assert not set(made.content()) & set(others.content())


@pytest.mark.parametrize(
    ("path", "name", "step"),
    [
        ("step-1000/model.safetensors", "step-1000", 1000),
        ("step-1000/model-step-20.safetensors", "model-step-20", 20),
        ("weights/model.safetensors", "model", None),
    ],
)
def test_a_folder_may_tell_the_step(
    write: Write, tmp_path: Path, path: str, name: str, step: int | None
) -> None:
    """`step-1000/model.safetensors` is called by its folder, which is what tells it apart."""
    write("toy", ADAPTER)
    (tmp_path / path).parent.mkdir()
    checkpoint = load_checkpoint(_weights(tmp_path / path, 0), "toy:load")
    assert (checkpoint.name, checkpoint.step) == (name, step)
