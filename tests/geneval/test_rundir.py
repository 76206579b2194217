"""The run directory: what it holds, and that it is whole or absent."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geneval.checkpoint import AdaptedCheckpoint, GeneratedSet, Generator
from geneval.errors import UsageError
from geneval.evaluator import open_job
from geneval.examples.digits.data import Split
from geneval.examples.digits.demo import FOLDER
from geneval.ledger import Ledger
from geneval.reports.write import RUN_WRITERS
from geneval.result import Result, result_schema
from geneval.run import execute
from geneval.rundir import GRID, THUMBNAIL, grid_ids, new_run_directory, write_samples
from geneval.samples.arrays import ArraySet, from_memory
from geneval.samples.sampleset import Batch
from geneval.suite import load_suite
from geneval.value import Evidence, Role
from geneval.verdict import load_judgement

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "result.schema.json"
Make = Callable[..., Path]


@pytest.fixture
def make(digits: tuple[Split, Split], ledger: Ledger, tmp_path: Path) -> Make:
    """A run directory of 120 held-out digits against 200 others under some suite."""
    train, held_out = digits

    def made(suite: str, *overrides: str, **given: object) -> Path:
        chosen = {
            "samples": (held_out.images[:120], held_out.labels[:120]),
            "reference": (train.images[:200], train.labels[:200]),
            **given,
        }
        job = open_job(load_suite(suite, list(overrides)), ledger, **chosen)
        directory = execute(job, tmp_path / "runs", RUN_WRITERS).directory
        assert directory is not None
        return directory

    return made


@pytest.fixture(scope="module")
def kept(digits: tuple[Split, Split], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a checkpoint under `digits` with all of its 150 samples kept."""
    place = tmp_path_factory.mktemp("kept")
    overrides = ["generate.n=150", "metrics.kid.subset_size=50", "keep_samples=all"]
    reference = (digits[1].images, digits[1].labels)
    job = open_job(
        load_suite("digits", overrides),
        Ledger(place / "cache"),
        checkpoint=FOLDER / "step-004000.safetensors",
        reference=reference,
    )
    directory = execute(job, place / "runs", RUN_WRITERS).directory
    assert directory is not None
    return directory


def test_directory_holds_what_it_should(kept: Path) -> None:
    """Result, verdicts, per-sample values, pictures, kept samples and three pages; no more."""
    assert {path.name for path in kept.iterdir()} == {
        "result.json",
        "verdicts.json",
        "samples.parquet",
        "media",
        "samples",
        "report.html",
        "summary.md",
        "junit.xml",
    }
    assert (kept / "report.html").read_text().startswith("<!doctype html>")
    assert (kept / "summary.md").read_text().startswith("## step-004000 under digits\n")
    assert ET.parse(kept / "junit.xml").getroot().tag == "testsuites"
    judgement = load_judgement(kept)
    assert judgement.result == Result.load(kept).document.digest
    assert len(judgement.verdicts) == 4  # suites/digits.yaml


def test_result_fits_the_published_schema(kept: Path, make: Make) -> None:
    """result.json validates against the schema, with and without problems among its values."""
    schema = json.loads(SCHEMA_FILE.read_bytes())
    assert schema == result_schema(), "run `make docs`"
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    failed = make("fid,kid")  # kid draws 1,000 of 120
    for directory in (kept, failed):
        validator.validate(json.loads((directory / "result.json").read_bytes()))
    broken = json.loads((failed / "result.json").read_bytes())
    broken["metrics"][0]["values"][0]["number"] = "5"
    assert not validator.is_valid(broken)


def test_result_is_strict_and_stable_text(kept: Path) -> None:
    """result.json is UTF-8 JSON without NaN whose digest follows from its content."""
    text = (kept / "result.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert content["schema"] == 1
    assert kept.name.endswith(Result.load(kept).document.digest[:8])


def test_table_has_a_row_for_every_sample(kept: Path) -> None:
    """samples.parquet: role, id, label, seed, and a column for each value with evidence."""
    table = pq.read_table(kept / "samples.parquet")
    result = Result.load(kept)
    notes = [note for value in result.values() for note in value.evidence.values()]
    assert table.column_names[:2] == ["role", "id"]
    assert set(table.column_names) == {"role", "id", "label", "seed", *(n.column for n in notes)}
    counts = Counter(table.column("role").to_pylist())
    assert counts == {"generated": 150, "reference": 600}  # asked for; the held-out digits
    rows = table.to_pylist()
    generated = [row for row in rows if row["role"] == "generated"]
    assert [int(row["id"]) for row in generated] == list(range(150))
    assert [row["label"] for row in generated[:11]] == [*"0123456789", "0"]
    assert len({row["seed"] for row in generated}) == 150
    assert {row["seed"] for row in rows if row["role"] == "reference"} == {None}
    for note in notes:
        assert str(table.schema.field(note.column).type) == "double"


def test_evidence_means_what_it_says(kept: Path) -> None:
    """Scores average to their value and influences to zero, read back from the table."""
    result = Result.load(kept)
    kinds = set()
    for value in result.values():
        for evidence in result.evidence(value).values():
            kinds.add(evidence.kind)
            if evidence.kind == "influence":
                scale = np.abs(evidence.rows).max()
                assert abs(evidence.rows.mean()) <= 1e-9 * max(scale, 1.0)
    assert "influence" in kinds


@pytest.mark.parametrize("key", ["id", "role", "label", "seed"])
def test_key_named_like_a_column_loses_nothing(make: Make, tmp_path: Path, key: str) -> None:
    """A measurement called like a column of the table overwrites neither ids nor evidence."""
    for metric in ("precision_recall", "inception_score"):
        suite = tmp_path / f"{metric}.yaml"
        suite.write_text(f"version: 1\nmetrics:\n  - {metric}: {{as: {key}}}\n")
        directory = make(str(suite))
        result = Result.load(directory)
        table = pq.read_table(directory / "samples.parquet")
        assert set(table.column("role").to_pylist()) == {"generated", "reference"}
        assert table.column("id").to_pylist()[:2] == ["000000", "000001"]
        for value in result.values():
            assert set(result.evidence(value)) == set(value.evidence)


def test_kept_samples_are_the_samples(kept: Path, ledger: Ledger) -> None:
    """samples/ holds a PNG for each request, with the label asked for and the seed."""
    lines = (kept / "samples" / "metadata.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 150
    assert len(list((kept / "samples").glob("*.png"))) == 150
    assert set(records[0]) == {"file_name", "requested_label", "seed"}
    job = open_job(
        load_suite("inception_score", ["generate.n=150"]),
        ledger,
        checkpoint=FOLDER / "step-004000.safetensors",
        adapter="digits",
    )
    again = job.sets[Role.GENERATED]
    batch = again.read(again.ids[:8])
    for record, image, seed in zip(
        records, batch.columns["image"], batch.columns["seed"], strict=False
    ):
        stored = np.asarray(Image.open(kept / "samples" / record["file_name"]))
        assert np.abs(stored.astype(int) - image).max() <= 1  # another batch: rounding at most
        assert record["seed"] == seed


def test_pictures_are_indexed_and_exact(kept: Path) -> None:
    """Every entry of the index is a file; small images keep their very pixels."""
    index = json.loads((kept / "media" / "index.json").read_bytes())
    files = {f"media/{path.name}" for path in (kept / "media").iterdir()} - {"media/index.json"}
    assert {entry["file"] for entry in index} == files
    for role in ("generated", "reference"):
        places = sorted(e["grid"] for e in index if e["role"] == role and e["grid"] >= 0)
        assert places == list(range(GRID))
    for entry in [e for e in index if e["role"] == "generated"][:5]:
        assert (entry["w"], entry["h"]) == (8, 8)
        kept_pixels = np.asarray(Image.open(kept / "samples" / f"{entry['id']}.png"))
        np.testing.assert_array_equal(np.asarray(Image.open(kept / entry["file"])), kept_pixels)


def test_galleries_of_the_result_have_their_pictures(kept: Path) -> None:
    """Every sample that a value points to lies among the pictures."""
    index = json.loads((kept / "media" / "index.json").read_bytes())
    stored = {(entry["role"], entry["id"]) for entry in index}
    galleries = [g for value in Result.load(kept).values() for g in value.galleries]
    assert galleries
    for gallery in galleries:
        assert {(gallery.role.value, sample) for sample in gallery.ids} <= stored


def test_large_images_become_thumbnails(make: Make, rng: np.random.Generator) -> None:
    """A picture of a large image is WebP with a longer side of the thumbnail's."""
    large = rng.integers(0, 256, (12, 100, 300, 3), dtype=np.uint8)
    directory = make("precision_recall", samples=large)
    index = json.loads((directory / "media" / "index.json").read_bytes())
    shown = [entry for entry in index if entry["role"] == "generated"]
    assert len(shown) == 12
    for entry in shown:
        assert (entry["w"], entry["h"]) == (300, 100)
        with Image.open(directory / entry["file"]) as picture:
            assert picture.format == "WEBP"
            assert picture.size == (THUMBNAIL, THUMBNAIL // 3)


@pytest.mark.parametrize(("keep", "there"), [("none", False), ("gallery", True)])
def test_pictures_are_left_out_where_the_suite_says_so(make: Make, keep: str, there: bool) -> None:
    """`keep_samples: none` leaves no picture, in the folder or in the page."""
    directory = make("fid", f"keep_samples={keep}")
    assert (directory / "media").exists() is there
    assert ("data:image" in (directory / "report.html").read_text()) is there
    assert not (directory / "samples").exists()


def test_grid_takes_labels_in_turn() -> None:
    """Up to sixty ids without bad ones, in turn from every label, the same on every call."""
    labels = ["a"] * 100 + ["b"] * 3 + ["c"] * 100
    samples = ArraySet(np.zeros((203, 2, 2), np.uint8), labels)
    chosen = grid_ids(samples, {samples.ids[0]: "broken"})
    assert len(chosen) == len(set(chosen)) == GRID
    assert chosen == grid_ids(samples, {samples.ids[0]: "broken"})
    assert samples.ids[0] not in chosen
    by_id = dict(zip(samples.ids, labels, strict=True))
    assert [by_id[sample] for sample in chosen[:12]] == list("abcabcabcaca"[:12])
    whole = [sample for sample in grid_ids(samples, {}) if sample != samples.ids[0]]
    assert [s for s in chosen if s in whole] == [s for s in whole if s in chosen]


def test_block_that_ends_well_leaves_the_directory(tmp_path: Path) -> None:
    """What was written appears at once under the final name, and every file was synced."""
    synced: set[int] = set()
    with pytest.MonkeyPatch.context() as patched:
        true_fsync = os.fsync

        def fsync(handle: int) -> None:
            synced.add(os.fstat(handle).st_ino)
            true_fsync(handle)

        patched.setattr(os, "fsync", fsync)
        with new_run_directory(tmp_path / "suite" / "model", "id") as (partial, final):
            (partial / "deep").mkdir()
            (partial / "deep" / "file").write_text("content")
            assert not final.exists()
    assert final == tmp_path / "suite" / "model" / "id"
    assert [path.name for path in final.parent.iterdir()] == ["id"]
    assert (final / "deep" / "file").read_text() == "content"
    for path in (final / "deep" / "file", final / "deep", final, final.parent):
        assert path.stat().st_ino in synced


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_block_that_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    """Whatever ends the block, partial folder and empty parents vanish and the error goes on."""
    with (
        pytest.raises(type(error)),
        new_run_directory(tmp_path / "suite" / "model", "id") as (partial, _),
    ):
        (partial / "file").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_failing_block_spares_its_neighbours(tmp_path: Path) -> None:
    """Parents that hold something else stay."""
    other = tmp_path / "suite" / "other" / "run"
    other.mkdir(parents=True)
    with (
        pytest.raises(ValueError, match="no"),
        new_run_directory(tmp_path / "suite" / "model", "id"),
    ):
        raise ValueError("no")
    assert other.is_dir()
    assert not (tmp_path / "suite" / "model").exists()


def test_names_in_use_are_passed_over(tmp_path: Path) -> None:
    """A finished run and one in progress keep their names; the next gets a number."""
    (tmp_path / "id").mkdir()
    (tmp_path / ".id-2.partial").mkdir()
    with new_run_directory(tmp_path, "id") as (_, final):
        pass
    assert final.name == "id-3"
    assert (tmp_path / ".id-2.partial").is_dir()


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A parent that is a file is the caller's mistake, told with the path and the reason."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match=r"file/model cannot be written: Not a directory"),
        new_run_directory(tmp_path / "file" / "model", "id"),
    ):
        pytest.fail("the block must not run")


def test_pictures_are_made_once(
    digits: tuple[Split, Split], ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run again reads no sample, not even for its pictures, and shows the same ones."""
    samples = from_memory(digits[1].images[:120], digits[1].labels[:120])
    directories = []
    for _ in range(2):
        job = open_job(load_suite("fid"), ledger, samples=samples, reference=digits[0].images)
        directories.append(execute(job, tmp_path / "runs", RUN_WRITERS).directory)
        monkeypatch.setattr(ArraySet, "read", lambda self, ids: pytest.fail("a sample was read"))
    first, second = ({p.name: p.read_bytes() for p in (d / "media").iterdir()} for d in directories)
    assert len(first) > 60
    assert first == second


def test_pictures_come_in_batches(ledger: Ledger, tmp_path: Path) -> None:
    """Pictures of generated samples are made in batches of the suite's size."""
    sizes: list[int] = []

    def generate(batch: Batch) -> np.ndarray:
        sizes.append(len(batch.ids))
        return np.zeros((len(batch.ids), 8, 8), dtype=np.uint8)

    checkpoint = AdaptedCheckpoint(FOLDER / "step-004000.safetensors", "digits")
    checkpoint._generator = Generator(generate)
    samples = GeneratedSet(checkpoint, checkpoint.inputs(100, seed=0))
    suite = load_suite("fid", ["generate.batch_size=7"])
    execute(open_job(suite, ledger, samples=samples, reference=samples), tmp_path, RUN_WRITERS)
    assert max(sizes) == 7


def test_evidence_of_many_columns_is_written(ledger: Ledger, tmp_path: Path) -> None:
    """Statistics [n, k] stand in samples.parquet as lists and read back to the bit."""
    rows = np.arange(6.0).reshape(3, 2) / 7
    samples = from_memory(np.zeros((3, 4, 4), dtype=np.uint8))
    ids = {Role.GENERATED: samples.ids}
    evidence = {Role.GENERATED: Evidence("statistics", samples.ids, rows)}
    write_samples(tmp_path, {Role.GENERATED: samples}, ids, {"rouge": evidence})
    table = pq.read_table(tmp_path / "samples.parquet")
    assert np.array_equal(table.column("evidence:rouge").to_pylist(), rows)
