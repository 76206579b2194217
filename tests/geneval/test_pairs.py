"""geneval.samples.pairs: records that name images, and alignment measured on them end to end."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from numpy.typing import NDArray
from PIL import Image

from geneval.errors import SampleError, UsageError
from geneval.evaluator import open_job
from geneval.ledger import Ledger
from geneval.result import Result
from geneval.run import execute
from geneval.samples.images import encode_png
from geneval.samples.open import open_images
from geneval.samples.pairs import PairSet, read_prompts
from geneval.samples.sampleset import SampleSet, fingerprint
from geneval.suite import load_suite

N = 40
Write = Callable[..., Path]


@pytest.fixture
def images(rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Small images whose brightness tells their number."""
    noise = rng.integers(0, 20, (N, 8, 8, 3))
    return list((np.arange(N)[:, None, None, None] * 5 + noise).astype(np.uint8))


@pytest.fixture
def write(tmp_path: Path, images: list[NDArray[np.uint8]]) -> Write:
    """Writes the images with prompts as jsonl, csv, parquet of paths, or parquet of bytes."""

    def written(kind: str, **columns: list[Any]) -> Path:
        (tmp_path / "img").mkdir(exist_ok=True)
        for i, pixels in enumerate(images):
            Image.fromarray(pixels).save(tmp_path / "img" / f"{i}.png")
        records = [
            {"image": f"img/{i}.png", "prompt": f"shade {i}"}
            | {name: cells[i] for name, cells in columns.items()}
            for i in range(N)
        ]
        path = tmp_path / f"pairs.{kind.split('-')[0]}"
        if kind == "jsonl":
            path.write_text("\n".join(map(json.dumps, records)))
        elif kind == "csv":
            with path.open("w", newline="") as file:
                table = csv.DictWriter(file, list(records[0]))
                table.writeheader()
                table.writerows(records)
        else:
            cells: list[Any] = [encode_png(pixels) for pixels in images]
            if kind == "parquet-huggingface":
                cells = [{"bytes": data, "path": None} for data in cells]
            if kind != "parquet-paths":
                for record, cell in zip(records, cells, strict=True):
                    record["image"] = cell
            table_ = pyarrow.Table.from_pylist(records)
            pyarrow.parquet.write_table(table_, path, row_group_size=7)
        return path

    return written


KINDS = ["jsonl", "csv", "parquet-paths", "parquet-bytes", "parquet-huggingface"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_holds_the_same_samples(
    write: Write, ledger: Ledger, images: list[NDArray[np.uint8]], kind: str
) -> None:
    """Images, prompts, types and content are those written, whatever the file; and it travels."""
    path = write(kind)
    samples = open_images(path, ledger)
    assert samples.ids == tuple(f"{row:06d}" for row in range(N))
    assert dict(samples.fields) == {"image": "image", "prompt": "text"}
    batch = pickle.loads(pickle.dumps(samples)).read(samples.ids[5:30])
    assert not batch.bad
    for found, expected in zip(batch.columns["image"], images[5:30], strict=True):
        assert np.array_equal(found, expected)
    assert list(batch.columns["prompt"]) == [f"shade {i}" for i in range(5, 30)]
    assert len(set(samples.content())) == N
    assert samples.content() == PairSet(path, ledger).content()
    told, _, named = samples.locate("000003").partition(" (")
    assert named == ("" if "bytes" in kind or "hugging" in kind else f"{path.parent}/img/3.png)")
    assert told == f"{path}{ {'j': ':4', 'c': ':5'}.get(kind[0], '[3]') }"


def test_ids_are_the_records_own(write: Write, ledger: Ledger) -> None:
    """An `id` names the sample, in sorted order, and repeats are an error."""
    names = [f"{(7 * i) % N:02d}x" for i in range(N)]
    samples = open_images(write("jsonl", id=names), ledger)
    assert samples.ids == tuple(sorted(names))
    assert list(samples.column("prompt"))[:2] == [
        f"shade {names.index(n)}" for n in samples.ids[:2]
    ]
    with pytest.raises(SampleError, match="has the id 'same' twice"):
        open_images(write("jsonl", id=["same"] * N), ledger)


def test_columns_are_named(write: Write, ledger: Ledger) -> None:
    """`fields` says which column holds the prompt; a slip lists the columns there are."""
    path = write("csv", caption=[f"c{i}" for i in range(N)])
    samples = open_images(path, ledger, fields={"prompt": "caption"})
    assert samples.column("prompt")[3] == "c3"
    with pytest.raises(UsageError, match=r"captoin.*did you mean 'caption'"):
        open_images(path, ledger, fields={"prompt": "captoin"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"prompt": "a"}', "has no column image; it has prompt"),
        ('{"image": "a.png", "prompt": "a"}\n{"image": "b.png"}', ":2: the record has no 'prompt'"),
        ('{"image": 3}', "image must be the path of an image in every record"),
        ("", "has no records"),
        ("nonsense", ":1 is no JSON"),
    ],
)
def test_broken_records_are_named(tmp_path: Path, ledger: Ledger, text: str, said: str) -> None:
    """What does not fit is one sentence with the line."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(text)
    with pytest.raises(SampleError, match=said):
        open_images(path, ledger)


def test_a_file_that_is_no_parquet(tmp_path: Path, ledger: Ledger) -> None:
    """A damaged file is one sentence."""
    path = tmp_path / "pairs.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(SampleError, match="cannot be read"):
        open_images(path, ledger)


@pytest.mark.parametrize("kind", ["jsonl", "parquet-bytes"])
def test_bad_images_are_named(write: Write, ledger: Ledger, tmp_path: Path, kind: str) -> None:
    """An image that cannot be decoded is bad, the others are read."""
    path = write(kind)
    if kind == "jsonl":
        (tmp_path / "img" / "4.png").write_bytes(b"broken")
        (tmp_path / "img" / "6.png").unlink()
        bad = {"000004", "000006"}
    else:
        table = pyarrow.parquet.read_table(path).to_pylist()
        table[4]["image"] = b"broken"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), path)
        bad = {"000004"}
    batch = open_images(path, ledger).read(tuple(f"{i:06d}" for i in range(10)))
    assert set(batch.bad) == bad
    assert len(batch.ids) == 10 - len(bad)


def test_prompts_of_a_file(tmp_path: Path, write: Write) -> None:
    """One a line, or the column of records; an empty line is an error with its number."""
    lines = tmp_path / "prompts.txt"
    lines.write_text("a cat\nzwei Hunde\n", encoding="utf-8")
    assert read_prompts(lines) == ["a cat", "zwei Hunde"]
    assert read_prompts(write("parquet-bytes"))[:2] == ["shade 0", "shade 1"]
    lines.write_text("a\n\nb\n")
    with pytest.raises(SampleError, match=r"prompts.txt:2 is empty"):
        read_prompts(lines)
    with pytest.raises(UsageError, match="does not exist"):
        read_prompts(tmp_path / "absent.txt")


TOWERS = """
import numpy as np
from geneval.extractors.extractor import Layer

class Towers:
    labels = None
    notes = ()
    identity = {"ext": "towers", "resize": "none", "prec": "fp32"}
    layers = {
        "image": Layer("features", 8),
        "text": Layer("text", 8, ("prompt",)),
    }

    def __call__(self, batch, layers):
        made = {}
        if "image" in layers:
            shades = batch.columns["image"].mean(axis=(1, 2, 3)) / 5
            made["image"] = np.stack([code(shade) for shade in shades])
        if "text" in layers:
            made["text"] = np.stack([code(float(p.split()[-1])) for p in batch.columns["prompt"]])
        return made

    def caution(self, unlikeness): return ""

def code(shade):
    angle = shade / 40 * np.pi / 2
    waves = [f(k * angle) for k in (1, 2, 4, 8) for f in (np.cos, np.sin)]
    return np.array(waves, np.float32)

def towers(): return Towers()
"""


@pytest.fixture
def towers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An extractor that knows what shade an image has, and what shade a prompt asks for."""
    (tmp_path / "two_towers.py").write_text(TOWERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "two_towers:towers"


def run(samples: SampleSet | Path, ledger: Ledger, towers: str, *settings: str) -> Result:
    """CLIP score and R-precision of samples."""
    options = [f"metrics.{name}.extractor={towers}" for name in ("clip_score", "r_precision")]
    options += ["metrics.r_precision.distractors=9", *settings]
    suite = load_suite("clip_score,r_precision", options)
    return execute(open_job(suite, ledger, samples=samples)).result


def numbers(result: Result) -> Mapping[str, float | None]:
    """Numbers by address."""
    return {value.address: value.number for value in result.values()}


@pytest.mark.parametrize("kind", KINDS)
def test_alignment_end_to_end(write: Write, ledger: Ledger, towers: str, kind: str) -> None:
    """Images that show what was asked score high, and every form gives the same."""
    found = numbers(run(write(kind), ledger, towers))
    assert found["clip_score"] is not None
    assert found["clip_score"] > 90
    assert found["clip_score.clip_score_hessel"] == pytest.approx(found["clip_score"] / 40)
    assert found["r_precision"] is not None
    assert found["r_precision"] > 0.3  # 0.1 by chance


def test_other_prompts_are_not_recalled(write: Write, ledger: Ledger, towers: str) -> None:
    """The same images with other prompts are measured anew and cannot be compared."""
    one = run(write("jsonl"), ledger, towers)
    other = run(write("jsonl", prompt=[f"shade {N - i}" for i in range(N)]), ledger, towers)
    assert other["clip_score"].number < one["clip_score"].number - 20  # type: ignore[operator]
    assert one["clip_score"].signature.differences(other["clip_score"].signature) == ("prompt",)


def test_prompts_are_demanded_before_any_work(write: Write, ledger: Ledger, towers: str) -> None:
    """Samples without prompts are refused with the fields there are and the way to name one."""
    path = write("jsonl", caption=[f"shade {i}" for i in range(N)])
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        record.pop("prompt")
    path.write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(UsageError, match=r"needs the field 'prompt'.*--field prompt=COLUMN"):
        run(path, ledger, towers)
    with pytest.raises(UsageError, match="field 'prompt'"):
        run(path, ledger, towers, "samples.kind=image-text")
    assert run(path, ledger, towers, "samples.fields.prompt=caption").document is not None


def test_a_prompt_with_several_images_is_one_cluster(
    write: Write, ledger: Ledger, towers: str
) -> None:
    """Ten images a prompt widen the interval of the mean."""
    alone = run(write("jsonl"), ledger, towers)["clip_score"]
    asked = [f"shade {10 * (i // 10)}" for i in range(N)]
    shared = run(write("jsonl", prompt=asked), ledger, towers, "metrics.r_precision.distractors=2")[
        "clip_score"
    ]
    assert alone.interval is not None
    assert shared.interval is not None
    assert "clusters" in shared.interval.method
    assert alone.interval.method == "central limit theorem"


def test_one_content_one_fingerprint(write: Write, ledger: Ledger) -> None:
    """Two readings of one file are one set."""
    assert fingerprint(open_images(write("csv"), ledger)) == fingerprint(
        open_images(write("csv"), ledger)
    )


ADAPTER = """
import numpy as np
from geneval.checkpoint import Generator

def load(path, device):
    def generate(batch):
        shade = [float(prompt.split()[-1]) for prompt in batch.columns["prompt"]]
        return (np.ones((len(shade), 8, 8, 3)) * np.array(shade)[:, None, None, None] * 5 / 255)
    return Generator(generate)
"""


def test_a_checkpoint_is_asked_with_prompts(
    tmp_path: Path, ledger: Ledger, towers: str, write: Write
) -> None:
    """`generate.prompts` reaches the adapter, several images a prompt, and is what is scored."""
    (tmp_path / "painter.py").write_text(ADAPTER)
    (tmp_path / "model.bin.safetensors").write_bytes(b"")
    (tmp_path / "prompts.txt").write_text("\n".join(f"shade {i}" for i in range(N)))
    settings = [
        f"generate.prompts={tmp_path / 'prompts.txt'}",
        "generate.repeats=2",
        "metrics.r_precision.distractors=9",
        f"metrics.clip_score.extractor={towers}",
        f"metrics.r_precision.extractor={towers}",
        "keep_samples=all",
    ]
    suite = load_suite("clip_score,r_precision", settings)
    checkpoint = tmp_path / "model.bin.safetensors"
    job = open_job(suite, ledger, checkpoint=checkpoint, adapter="painter:load")
    outcome = execute(job, tmp_path / "runs")
    assert outcome.result["clip_score"].number == pytest.approx(100, abs=0.5)
    assert outcome.result["clip_score"].n == {"generated": 2 * N}
    assert outcome.directory is not None
    kept = open_images(outcome.directory / "samples", ledger)
    assert kept.column("prompt")[:3] == ["shade 0", "shade 0", "shade 1"]
