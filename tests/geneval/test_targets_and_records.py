"""What a broken target, an odd cell or an absent network may touch, and what it must not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from geneval.errors import SampleError, UsageError
from geneval.evaluator import open_job
from geneval.ledger import Ledger
from geneval.result import Result
from geneval.run import execute
from geneval.samples.images import encode_png
from geneval.samples.open import open_images
from geneval.suite import load_suite
from geneval.value import Role

N = 30


@pytest.fixture
def sides(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, Path]:
    """Two folders of images of the same names; one of the reference is broken."""
    for name in ("made", "meant"):
        (tmp_path / name).mkdir()
        for i in range(N):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i:02d}.png")
    (tmp_path / "meant" / "07.png").write_bytes(b"broken")
    return tmp_path / "made", tmp_path / "meant"


def run(metrics: str, sides: tuple[Path, Path], ledger: Ledger, *settings: str) -> Result:
    """The first side against the second."""
    suite = load_suite(metrics, settings)
    reference = None if metrics == "inception_score" else sides[1]
    return execute(open_job(suite, ledger, samples=sides[0], reference=reference)).result


def test_a_broken_target_is_its_metrics_affair(sides: tuple[Path, Path], ledger: Ledger) -> None:
    """The sample stays in layers that read no target, whichever run comes first."""
    skip = "on_bad_sample=skip"
    both = run("psnr,inception_score", sides, ledger, skip)
    assert both["psnr"].n[Role.GENERATED] == N - 1
    assert both["inception_score"].n[Role.GENERATED] == N
    alone = run("inception_score", sides, ledger)
    assert alone["inception_score"].number == both["inception_score"].number
    assert not alone.document.sets[Role.GENERATED].bad


def test_a_broken_target_fails_every_time(sides: tuple[Path, Path], ledger: Ledger) -> None:
    """What `fail` refused it refuses again, though the layers are in the ledger by now."""
    run("inception_score", sides, ledger)
    for _ in range(2):
        with pytest.raises(SampleError, match="its target cannot be decoded"):
            run("psnr,inception_score", sides, ledger)


def records(path: Path, **columns: list[object]) -> Path:
    """A parquet file of noise images as bytes, with further columns."""
    rng, n = np.random.default_rng(0), len(next(iter(columns.values())))
    images = [encode_png(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(n)]
    pyarrow.parquet.write_table(pyarrow.table({"image": images, **columns}), path, row_group_size=5)
    return path


def test_bytes_are_no_labels(tmp_path: Path, ledger: Ledger) -> None:
    """A binary column is an error where text is meant, and no column where nothing is."""
    path = records(tmp_path / "a.parquet", label=[b"cat"] * 20)
    with pytest.raises(SampleError, match="label holds bytes or mappings, label is text"):
        open_images(path, ledger)
    assert set(open_images(records(path, other=[b"x"] * 20), ledger).fields) == {"image"}
    with pytest.raises(SampleError, match="other holds bytes or mappings, prompt is text"):
        open_images(path, ledger, fields={"prompt": "other"})


def test_row_groups_are_read_once(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However ids are sorted, a batch reads each row group once."""
    names: list[object] = [f"{(7 * i) % 40:02d}" for i in range(40)]
    samples = open_images(records(tmp_path / "a.parquet", id=names), ledger)
    expected = samples.read(samples.ids).columns["image"]
    read = []
    whole = pyarrow.parquet.ParquetFile.read_row_group

    def counted(self, group, *words, **named):  # type: ignore[no-untyped-def]
        read.append(group)
        return whole(self, group, *words, **named)

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "read_row_group", counted)
    again = samples.read(samples.ids).columns["image"]
    assert sorted(read) == list(range(8))
    assert all(np.array_equal(a, b) for a, b in zip(expected, again, strict=True))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"image": "a.png", "prompt": ["a", "b"]}, ":1: prompt is no text and no number"),
        ({"image": "a.png", "prompt": "\ud800"}, ":1: prompt is no text that can be written"),
        ({"image": "a.png", "target": "b.png"}, "a column must not be called target"),
    ],
)
def test_odd_cells_are_named(
    tmp_path: Path, ledger: Ledger, record: dict[str, object], said: str
) -> None:
    """A cell that is neither text nor number, or a reserved name, is one sentence."""
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record))
    with pytest.raises(SampleError, match=said):
        open_images(path, ledger)


def test_numbers_are_no_prompts(tmp_path: Path, ledger: Ledger, twin: Path) -> None:
    """Prompts that are numbers are refused before any work."""
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"image": f"{i}.png", "prompt": i}) for i in range(5)))
    with pytest.raises(UsageError, match=r"prompt of .* is number, it must be text"):
        open_job(load_suite("clip_score"), ledger, samples=path)


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty file for CLIP's weights: a plan reads its digest and nothing else."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "clip-vit-b-32.pth").touch()
    monkeypatch.setenv("GENEVAL_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_a_path_that_is_none_is_a_bad_sample(tmp_path: Path, ledger: Ledger) -> None:
    """A null byte in a path is told of that sample."""
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"image": "a\u0000b.png", "prompt": "x"}))
    samples = open_images(path, ledger)
    assert len(samples.content()) == 1
    assert "cannot be read" in samples.read(samples.ids).bad["000000"]


def test_other_sources_are_other_edits(
    tmp_path: Path, ledger: Ledger, rng: np.random.Generator
) -> None:
    """Edits of other source images have another signature; of the same, the same."""
    (tmp_path / "pictures.py").write_text(FOUR)
    for i in range(2 * N):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")

    def edits(name: str, first: int) -> Result:
        path = tmp_path / f"{name}.jsonl"
        lines = [
            {"image": f"{i}.png", "source_image": f"{first + i}.png", "prompt": f"p{i}"}
            | {"source_prompt": f"q{i}"}
            for i in range(N)
        ]
        path.write_text("\n".join(map(json.dumps, lines)))
        options = ["metrics.directional_similarity.extractor=pictures:build"]
        suite = load_suite("directional_similarity", options)
        return execute(open_job(suite, ledger, samples=path)).result

    import sys

    sys.path.insert(0, str(tmp_path))
    try:
        one, other, same = (edits(*words) for words in (("a", 0), ("b", N), ("c", 0)))
    finally:
        sys.path.remove(str(tmp_path))
    key = "directional_similarity"
    assert one[key].signature.differences(other[key].signature) == ("source_image",)
    assert not one[key].signature.differences(same[key].signature)


FOUR = """
import numpy as np
from geneval.extractors.extractor import Layer

class Four:
    labels = None
    notes = ()
    identity = {"ext": "four"}
    layers = {
        "image": Layer("features", 3),
        "source_image": Layer("source_image", 3, ("source_image",)),
        "text": Layer("text", 3, ("prompt",)),
        "source_text": Layer("source_text", 3, ("source_prompt",)),
    }

    def __call__(self, batch, layers):
        made = {}
        for name in layers:
            column = batch.columns[self.layers[name].reads[0]]
            if "image" in name:
                made[name] = column.mean(axis=(1, 2)).astype(np.float32)
            else:
                made[name] = np.array([[len(t), ord(t[0]), ord(t[-1])] for t in column], np.float32)
        return made

    def caution(self, unlikeness): return ""

def build(): return Four()
"""


def test_absent_weights_skip_optional_metrics(
    sides: tuple[Path, Path], ledger: Ledger, tmp_path: Path
) -> None:
    """An optional metric whose network is not there is skipped with the way to bring it."""
    path = tmp_path / "suite.yaml"
    path.write_text(
        "version: 1\nname: some\nmetrics:\n  - cmmd: {extractor: clip-vit-b-32, optional: true}\n"
        "  - inception_score\n"
    )
    job = open_job(load_suite(str(path)), ledger, samples=sides[0], reference=sides[0])
    assert "geneval weights pull clip-vit-b-32" in job.plan.skipped["cmmd"]
    needed = path.read_text().replace(", optional: true", "")
    path.write_text(needed)
    with pytest.raises(UsageError, match="weights of clip-vit-b-32 not found"):
        open_job(load_suite(str(path)), ledger, samples=sides[0], reference=sides[0])


def test_training_images_stay_hidden_among_records(
    tmp_path: Path, ledger: Ledger, rng: np.random.Generator
) -> None:
    """A record of two images is known by its own one: no thumbnail of a training image is kept."""
    for folder in ("train", "made"):
        (tmp_path / folder).mkdir()
        for i in range(N):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i:02d}.png")
    path = tmp_path / "reference.jsonl"
    lines = [{"image": f"train/{i:02d}.png", "source_image": f"made/{i:02d}.png"} for i in range(N)]
    path.write_text("\n".join(map(json.dumps, lines)))
    suite = load_suite("fid", ["extractor=pixels"])
    sets = {"samples": tmp_path / "made", "reference": path}
    shown = execute(open_job(suite, ledger, **sets), tmp_path / "a").directory
    hidden = execute(open_job(suite, ledger, **sets, train=tmp_path / "train"), tmp_path / "b")
    assert shown is not None
    assert hidden.directory is not None
    roles = [
        {one["role"] for one in json.loads((run / "media" / "index.json").read_text())}
        for run in (shown, hidden.directory)
    ]
    assert roles == [{"generated", "reference"}, {"generated"}]
