"""`geneval perturb`: files under the same ids, which a run takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from geneval.perturb.images import jpeg

Command = Callable[..., CompletedProcess[str]]
RECORDS = [
    {"id": "a", "prompt": "Say hello.", "hypothesis": "hello to you", "lang": "en", "score": 0.5},
    {"id": "b", "prompt": "问个好。", "hypothesis": "你好！", "lang": "zh", "score": 1.0},
]


def write_images(folder: Path, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Four images in two labelled folders, one with a dot in its name."""
    images = {}
    for name in ("cat/a", "cat/b.1", "dog/a", "dog/c"):
        images[name] = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[name]).save(folder / f"{name}.png")
    return images


def write_records(path: str) -> None:
    """The records as JSON lines."""
    Path(path).write_text("".join(json.dumps(one) + "\n" for one in RECORDS))


def read_records(path: str) -> list[dict[str, object]]:
    """The records of a file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_images_keep_ids_and_labels(command: Command, rng: np.random.Generator) -> None:
    """PNG files of what the perturbation makes, with the labels as metadata; runs take both."""
    images = write_images(Path("in"), rng)
    told = command("perturb", "in", "--apply", "jpeg:quality=50", "--out", "worse")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == "4 samples, 4 changed: worse\n"
    for name, image in images.items():
        made = np.asarray(Image.open(f"worse/{name}.png"))
        assert np.array_equal(made, jpeg(image, rng, quality=50))
    rows = read_records("worse/metadata.jsonl")
    assert rows[0] == {"file_name": "cat/a.png", "label": "cat"}
    assert {path.name for path in Path().iterdir()} == {"in", "worse"}
    told = command("run", "psnr", "--samples", "worse", "--reference", "in")
    assert told.returncode == 0, told.stderr
    assert "psnr" in told.stdout


def test_steps_in_order_and_seed(command: Command, rng: np.random.Generator) -> None:
    """Several perturbations go one after the other; what is drawn follows the seed."""
    write_images(Path("in"), rng)
    apply = ("--apply", "gaussian_noise:severity=1", "--apply", "pixelate:scale=0.5")
    for out, seed in (("x", 1), ("y", 1), ("z", 2)):
        assert command("perturb", "in", *apply, "--seed", seed, "--out", out).returncode == 0
    x, y, z = (np.asarray(Image.open(f"{out}/dog/c.png")).astype(int) for out in "xyz")
    assert np.array_equal(x, y)
    assert not np.array_equal(x, z)
    assert np.array_equal(x[::2], x[1::2])  # the pixels of 2 by 2 that came last


def test_texts_keep_their_records(command: Command) -> None:
    """The hypothesis changes where there is something to change, and all else stays."""
    write_records("in.jsonl")
    told = command("perturb", "in.jsonl", "--apply", "homoglyphs:rate=1", "--out", "out.jsonl")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == "2 samples, 1 changed: out.jsonl\n"
    assert read_records("out.jsonl") == [{**RECORDS[0], "hypothesis": "һеӏӏо tо уоu"}, RECORDS[1]]


def test_prompts_are_perturbed_before_anything_is_written(command: Command) -> None:
    """Prompts of records, without the hypothesis of some model, and of plain lines."""
    write_records("in.jsonl")
    Path("in.txt").write_text("Say hello.\nSay bye.\n")
    step = ("--apply", "template:form={text} Now, please!", "--prompts")
    told = command("perturb", "in.jsonl", *step, "--out", "out.jsonl")
    assert told.returncode == 0, told.stderr
    first = read_records("out.jsonl")[0]
    assert first["prompt"] == "Say hello. Now, please!"
    assert "hypothesis" not in first
    assert command("perturb", "in.txt", *step, "--out", "lines.jsonl").returncode == 0
    assert [one["prompt"] for one in read_records("lines.jsonl")] == [
        "Say hello. Now, please!",
        "Say bye. Now, please!",
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("in", "--apply", "jpgg", "--out", "new"), "unknown perturbation 'jpgg'"),
        (("in", "--apply", "homoglyphs", "--out", "new"), "unknown field 'hypothesis'"),
        (("in", "--apply", "jpeg", "--out", "in"), "--out in exists; name a new folder"),
        (("in.jsonl", "--apply", "space_drop", "--out", "new"), "records are written as .jsonl"),
        (("absent", "--apply", "jpeg", "--out", "new"), "absent does not exist"),
    ],
)
def test_what_cannot_be_done_is_said(
    command: Command, rng: np.random.Generator, arguments: tuple[str, ...], told: str
) -> None:
    """Wrong usage ends with 2 and one sentence, and nothing is written."""
    write_images(Path("in"), rng)
    write_records("in.jsonl")
    ended = command("perturb", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert told in ended.stderr
    assert not Path("new").exists()


def test_a_broken_image_ends_it(command: Command, rng: np.random.Generator) -> None:
    """A file that cannot be read is named, and no half of a set is left."""
    write_images(Path("in"), rng)
    Path("in/dog/c.png").write_bytes(b"none")
    told = command("perturb", "in", "--apply", "jpeg", "--out", "new")
    assert told.returncode == 3
    assert "in/dog/c.png" in told.stderr
    assert {path.name for path in Path().iterdir()} == {"in"}


def test_an_id_cannot_leave_the_folder(command: Command, rng: np.random.Generator) -> None:
    """Records name their ids themselves; one that points elsewhere is refused."""
    write_images(Path("in"), rng)
    record = {"id": "../../evil", "image": "in/cat/a.png", "prompt": "a cat"}
    Path("pairs.jsonl").write_text(json.dumps(record) + "\n")
    told = command("perturb", "pairs.jsonl", "--apply", "jpeg", "--out", "deep/new")
    assert told.returncode == 3
    assert "the id '../../evil' leaves the folder" in told.stderr
    assert not list(Path().rglob("evil*"))
    assert not Path("deep/new").exists()
