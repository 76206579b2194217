"""`geneval run`: what it prints, leaves and ends with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

from geneval.cli.entry import INTERRUPTED
from geneval.examples.digits.data import Split
from geneval.examples.digits.demo import FOLDER
from geneval.result import Result

Command = Callable[..., CompletedProcess[str]]

METRICS = "fid,kid,precision_recall"
SETS = ("--set", "extractor=digits", "--set", "metrics.kid.subset_size=500")
ADDRESSES = (
    "fid",
    "fid.debiased",
    "kid",
    "kid.unbiased",
    "precision_recall.precision",
    "precision_recall.recall",
)


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


def strict_json(text: str) -> Any:
    """One JSON document, without NaN and infinities."""
    return json.loads(text, parse_constant=_refuse)


def only_run(out: Path) -> Path:
    """The one run directory below `out`."""
    (found,) = out.glob("*/*/*")
    return found


def tree(folder: Path) -> set[Path]:
    """Everything below a folder."""
    return set(folder.rglob("*"))


def test_two_sets_of_samples(command: Command, digit_files: tuple[Path, Path]) -> None:
    """Values with intervals are printed, and the same numbers stand in the run directory."""
    train, held_out = digit_files
    told = command("run", METRICS, "--samples", held_out, "--reference", train, *SETS)
    assert told.returncode == 0, told.stderr
    directory = only_run(Path("runs"))
    assert directory.parent == Path("runs/ad-hoc/held-out")
    result = Result.load(directory)
    lines = [line.split() for line in told.stdout.splitlines()]
    for address in ADDRESSES:
        value = result[address]
        assert value.number is not None
        assert value.interval is not None
        (line,) = [words for words in lines if words[:1] == [address]]
        assert float(line[1]) == pytest.approx(value.number, rel=5e-4)  # 4 significant digits
        assert float(line[2].strip("[,")) == pytest.approx(value.interval.low, rel=5e-4)
        assert float(line[3].strip("],")) == pytest.approx(value.interval.high, rel=5e-4)
        assert line[4] == "600/1197"  # the split of the digits
    assert told.stdout.splitlines()[0] == "held-out under ad-hoc: not judged (no gates)"
    assert told.stdout.splitlines()[-1] == f"  report: {directory}/report.html"


def test_second_run_extracts_nothing_and_recalls_every_metric(
    command: Command, digit_files: tuple[Path, Path]
) -> None:
    """The same command again takes samples and metrics from the ledger and finds the same."""
    train, held_out = digit_files
    words = ("run", METRICS, "--samples", held_out, "--reference", train, *SETS, "--json")
    first, second = (strict_json(command(*words).stdout)["runs"][0]["result"] for _ in range(2))
    assert first["timing"]["recalled"] == []
    assert first["timing"]["passes"]["generated"]["cached"] == 0
    assert second["timing"]["recalled"] == sorted(METRICS.split(","))
    for role, n in (("generated", 600), ("reference", 1197)):  # the split of the digits
        told = second["timing"]["passes"][role]
        assert (told["cached"], told["samples"]) == (n, n)
    assert first["metrics"] == second["metrics"]
    assert len(list(Path("runs/ad-hoc/held-out").iterdir())) == 2


def test_limit_makes_a_partial_result(command: Command, digit_files: tuple[Path, Path]) -> None:
    """`--limit` takes so many samples of every role, says so, and needs no gate to pass."""
    train, held_out = digit_files
    told = command("run", "fid", "--samples", held_out, "--reference", train, "--limit", 100)
    assert told.returncode == 0
    assert "warning: partial: at most 100 samples a role (--limit), never gated" in told.stderr
    document = Result.load(only_run(Path("runs"))).document
    assert document.partial == 100
    assert [note.n for note in document.sets.values()] == [100, 100]
    assert any("partial" in caution for caution in document.cautions)


def test_limit_under_a_gate_is_an_error(command: Command, digit_files: tuple[Path, Path]) -> None:
    """A gate on a partial value is ERROR however good the value is, and the exit code is 3."""
    train, held_out = digit_files
    words = ("run", "fid", "--samples", held_out, "--reference", train, "--limit", 100)
    told = command(*words, "--set", 'gates=["fid <= 1000000"]', "--json")
    assert told.returncode == 3
    (verdict,) = strict_json(told.stdout)["runs"][0]["judgement"]["verdicts"]
    assert verdict["status"] == "ERROR"
    assert "partial" in verdict["sentence"]


def test_json_is_one_document_and_nothing_else(
    command: Command, digit_files: tuple[Path, Path]
) -> None:
    """With `--json` stdout is one strict JSON document that agrees with files and exit code."""
    train, held_out = digit_files
    words = ("run", "fid", "--samples", held_out, "--reference", train)
    told = command(*words, "--set", 'gates=["fid <= 0.001"]', "--json")
    content = strict_json(told.stdout)
    assert told.stdout.count("\n") == 1
    assert content["exit_code"] == told.returncode == 1
    (run,) = content["runs"]
    directory = Path(run["directory"])
    assert run["result"] == json.loads((directory / "result.json").read_bytes())
    assert run["judgement"] == json.loads((directory / "verdicts.json").read_bytes())
    assert "generated samples" in told.stderr


@pytest.mark.parametrize("gates", ["[]", '["fid <= 0.001"]'])
def test_dry_run_writes_nothing(
    command: Command, digit_files: tuple[Path, Path], tmp_path: Path, cache: Path, gates: str
) -> None:
    """`--dry-run` prints the plan, ends with 0 and leaves neither a run nor a shard."""
    train, held_out = digit_files
    before = tree(tmp_path)
    words = ("run", "fid", "--samples", held_out, "--reference", train, "--dry-run")
    told = command(*words, "--out", tmp_path / "out", "--set", f"gates={gates}")
    assert told.returncode == 0
    assert told.stdout.startswith("held-out under ad-hoc, on ")
    assert tree(tmp_path) == before
    assert not list(cache.rglob("*.safetensors"))


def test_out_and_the_path_of_a_run(command: Command, digit_files: tuple[Path, Path]) -> None:
    """A run lies at OUT/suite/checkpoint/id, the id being start time and result digest."""
    train, held_out = digit_files
    words = ("run", "fid", "--samples", held_out, "--reference", train, "--set", "name=mine")
    assert command(*words, "--out", "somewhere/deep").returncode == 0
    directory = only_run(Path("somewhere/deep"))
    document = Result.load(directory).document
    started = str(document.provenance["started"])  # 2026-01-31T12:00:00Z
    stamp = started.replace("-", "").replace(":", "")
    assert directory == Path("somewhere/deep/mine/held-out") / f"{stamp}-{document.digest[:8]}"
    assert not Path("runs").exists()


def test_seed_is_the_seed_of_the_suite(command: Command, digit_files: tuple[Path, Path]) -> None:
    """`--seed` stands in the suite, changes what is drawn, and leaves undrawn numbers alone."""
    train, held_out = digit_files
    found = []
    for seed in (1, 2, 1):
        words = ("run", "fid,inception_score", "--samples", held_out, "--reference", train)
        told = command(*words, "--seed", seed, "--json")
        found.append(strict_json(told.stdout)["runs"][0]["result"])
    assert [one["suite"]["document"]["seed"] for one in found] == [1, 2, 1]
    assert found[0]["metrics"] == found[2]["metrics"]
    assert found[0]["suite"]["digest"] == found[2]["suite"]["digest"] != found[1]["suite"]["digest"]
    numbers = [[v["number"] for v in one["metrics"][0]["values"]] for one in found]
    assert numbers[0][0] == numbers[1][0]  # the plain distance draws nothing


def test_seed_of_a_checkpoint_changes_its_samples(
    command: Command, digit_files: tuple[Path, Path]
) -> None:
    """`generate.seed` follows the run's seed, so another seed asks for other samples."""
    found = []
    for seed in (1, 2):
        words = ("run", "fid", "--checkpoint", FOLDER / "step-000250.safetensors", "--adapter")
        more = ("digits", "--reference", digit_files[1], "--set", "generate.n=50", "--seed", seed)
        told = command(*words, *more, "--json")
        found.append(strict_json(told.stdout)["runs"][0]["result"])
    assert found[0]["sets"]["generated"] != found[1]["sets"]["generated"]
    assert found[0]["subject"]["digest"] == found[1]["subject"]["digest"]


def test_several_checkpoints(command: Command, digit_files: tuple[Path, Path]) -> None:
    """Each `--checkpoint` gets a run in the order given; the exit code is the gravest of all."""
    paths = [FOLDER / f"{name}.safetensors" for name in ("step-000250", "step-004000")]
    words = [word for path in paths for word in ("--checkpoint", path)]
    words += ["--reference", digit_files[1], "--set", "generate.n=300"]
    words += ["--set", "metrics.kid.subset_size=100", "--set", 'gates=["fid.debiased <= 15"]']
    told = command("run", "digits", *words)
    # `geneval demo` finds 29.0 and 2.3 with 2,000 samples each
    assert told.returncode == 1
    firsts = [line for line in told.stdout.splitlines() if not line.startswith(" ")]
    assert [line.split(" under digits: ")[0] for line in firsts] == ["step-000250", "step-004000"]
    assert [line.split(": ")[1].split()[0] for line in firsts] == ["FAIL", "PASS"]
    runs = sorted(Path("runs/digits").glob("step-*/*"))
    assert f"compare them: geneval compare {runs[0]} {runs[1]}" in told.stderr
    steps = [Result.load(run).document.subject.step for run in runs]
    assert steps == [250, 4000]


@pytest.mark.parametrize(
    ("gates", "code", "word"),
    [
        ('["fid <= 1000000"]', 0, "PASS"),
        ('["fid <= 0.001"]', 1, "FAIL"),
        ('[{"value": "fid", "at_most": 0.001, "level": "warn"}]', 0, "WARN"),
        ('[{"value": "fid", "at_most": 1000000, "min_n": 601}]', 3, "ERROR"),
        ('["fid <= 0.001", {"value": "fid", "at_most": 1000000, "min_n": 601}]', 3, "ERROR"),
    ],
)
def test_exit_code_and_banner_say_the_same(
    command: Command, digit_files: tuple[Path, Path], gates: str, code: int, word: str
) -> None:
    """0 passed, 1 failed, 3 not judged; 3 wins over 1; the first line has the word for it."""
    train, held_out = digit_files
    words = ("run", "fid", "--samples", held_out, "--reference", train)
    told = command(*words, "--set", f"gates={gates}")
    assert told.returncode == code
    assert told.stdout.splitlines()[0].startswith(f"held-out under ad-hoc: {word} (")


def test_verdict_names_value_and_limit(command: Command, digit_files: tuple[Path, Path]) -> None:
    """Below each gate stands a sentence with the value found and the limit asked for."""
    train, held_out = digit_files
    words = ("run", "fid", "--samples", held_out, "--reference", train)
    told = command(*words, "--set", 'gates=["fid <= 0.25"]')
    number = Result.load(only_run(Path("runs")))["fid"].number
    lines = told.stdout.splitlines()
    place = lines.index("  FAIL  fid <= 0.25")
    assert lines[place + 1] == f"        fid is {number:.4g}; the gate allows at most 0.25"


def test_metric_that_cannot_be_measured_ends_with_3(
    command: Command, digit_files: tuple[Path, Path]
) -> None:
    """A metric without a value is named with its reason and ends with 3, unless optional."""
    train, held_out = digit_files
    words = ("run", "fid,kid", "--samples", held_out, "--reference", train)
    # kid draws subsets of 1,000 unless told otherwise, and there are 600 samples
    told = command(*words)
    assert told.returncode == 3
    assert "ERROR (no gates; failed without a gate: kid)" in told.stdout.splitlines()[0]
    assert any(line.startswith("  failed: kid: ") for line in told.stdout.splitlines())
    again = command(*words, "--set", "metrics.kid.optional=true")
    assert again.returncode == 0
    assert any(line.startswith("  failed: kid: ") for line in again.stdout.splitlines())


@pytest.fixture
def folder_with_a_broken_image(tmp_path: Path, digits: tuple[Split, Split]) -> Path:
    """Fifty digits as PNG, one of them cut short."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i, pixels in enumerate(digits[1].images[:50]):
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    whole = (folder / "07.png").read_bytes()
    (folder / "07.png").write_bytes(whole[: len(whole) // 2])
    return folder


def test_bad_samples_are_skipped_where_the_suite_says_so(
    command: Command, digit_files: tuple[Path, Path], folder_with_a_broken_image: Path
) -> None:
    """`on_bad_sample: skip` leaves the broken image out, counts it and names it, every time."""
    words = ("run", "fid", "--samples", folder_with_a_broken_image, "--reference", digit_files[1])
    for expected_from_ledger in (0, 50):
        told = command(*words, "--set", "on_bad_sample=skip", "--json")
        assert told.returncode == 0
        (warning,) = [line for line in told.stderr.splitlines() if "warning: " in line]
        assert "generated: 1 bad samples were left out" in warning
        assert "07" in warning
        result = strict_json(told.stdout)["runs"][0]["result"]
        assert result["sets"]["generated"]["n"] == 49
        assert list(result["sets"]["generated"]["bad"]) == ["07"]
        assert result["metrics"][0]["values"][0]["n"]["generated"] == 49
        assert [warning.partition("warning: ")[2]] == result["cautions"]
        assert result["timing"]["passes"]["generated"]["cached"] == expected_from_ledger


@pytest.fixture
def fingerprint_of(command: Command) -> Callable[..., str]:
    """The fingerprint that a run notes of some samples."""

    def fingerprint(path: Path, *flags: str) -> str:
        told = command("run", "fid", "--samples", path, "--reference", path, "--json", *flags)
        result = strict_json(told.stdout)["runs"][0]["result"]
        return str(result["sets"]["generated"]["fingerprint"])

    return fingerprint


def test_data_behind_an_unchanged_time_is_noticed(
    digits: tuple[Split, Split], tmp_path: Path, fingerprint_of: Callable[..., str]
) -> None:
    """A file of the same size and modification time is another file, as after `cp -p`."""
    path = tmp_path / "images.npy"
    images = digits[1].images[:200].copy()
    long_ago = time.time() - 3600
    fingerprints = []
    for pixel in (0, 255):
        images[0, 0, 0] = pixel
        np.save(path, images)
        os.utime(path, (long_ago, long_ago))
        fingerprints.append(fingerprint_of(path))
    assert fingerprints[0] != fingerprints[1]


def test_verify_hashes_the_data_again(
    digits: tuple[Split, Split], tmp_path: Path, cache: Path, fingerprint_of: Callable[..., str]
) -> None:
    """What the manifest remembers of unchanged files is believed, but not with `--verify`."""
    path = tmp_path / "images.npy"
    np.save(path, digits[1].images[:200])
    long_ago = time.time() - 3600
    os.utime(path, (long_ago, long_ago))
    honest = fingerprint_of(path)
    (manifest,) = cache.glob("manifests/*.json")
    content = json.loads(manifest.read_bytes())
    (entry,) = content.values()
    entry["digests"][0] = "0" * 64
    manifest.write_text(json.dumps(content))
    assert fingerprint_of(path) != honest
    assert fingerprint_of(path, "--verify") == honest


def test_cache_option_wins_over_the_environment(
    command: Command, digit_files: tuple[Path, Path], tmp_path: Path, cache: Path
) -> None:
    """`--cache` is where shards go, and $GENEVAL_CACHE stays untouched."""
    train, held_out = digit_files
    words = ("run", "fid", "--samples", held_out, "--reference", train)
    assert command(*words, "--cache", tmp_path / "mine").returncode == 0
    assert list((tmp_path / "mine").rglob("*.safetensors"))
    assert list(cache.rglob("*")) == []


def test_provenance_of_the_command(
    command: Command, digit_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Device, `--offline`, paths and the command itself stand in the result's provenance."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # so that it is put back afterwards
    train, held_out = digit_files
    words = ("run", "fid", "--samples", held_out, "--reference", train, "--device", "cpu")
    assert command(*words, "--offline").returncode == 0
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    told = Result.load(only_run(Path("runs"))).document.provenance
    assert told["device"] == "cpu"
    assert told["offline"] is True
    assert told["sets"] == {"generated": str(held_out), "reference": str(train)}
    assert told["command"] == (
        f"geneval run fid --samples {held_out} --reference {train} --device cpu --offline"
    )


def test_workers_change_no_number(command: Command, digit_files: tuple[Path, Path]) -> None:
    """Extraction in another process gives the same result, digest included."""
    train, held_out = digit_files
    words = ("run", "fid", "--samples", train, "--reference", held_out, "--json")
    found = []
    for i, workers in enumerate((0, 1)):
        told = command(*words, "--workers", workers, "--cache", f"cache-{i}")
        assert told.returncode == 0, told.stderr
        found.append(strict_json(told.stdout)["runs"][0]["directory"].rpartition("-")[2])
    assert found[0] == found[1]  # the directory's name ends with the result's digest


def test_suite_file_paths_are_relative_to_it(
    command: Command, digit_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """A suite that names its own data runs from any folder without further arguments."""
    (tmp_path / "conf").mkdir()
    shutil.copy(digit_files[0], tmp_path / "conf" / "train.npz")
    shutil.copy(digit_files[1], tmp_path / "conf" / "held-out.npz")
    (tmp_path / "conf" / "mine.yaml").write_text(
        "version: 1\nname: mine\nsamples: {path: held-out.npz, n: 300}\n"
        "reference: {path: train.npz}\nmetrics: [fid]\n"
    )
    told = command("run", tmp_path / "conf" / "mine.yaml")
    assert told.returncode == 0, told.stderr
    document = Result.load(only_run(Path("runs"))).document
    assert [note.n for note in document.sets.values()] == [300, 1197]


SLOW = """
import time
from pathlib import Path
from geneval import Generator

def load(path, device):
    def generate(batch):
        Path("generating").touch()
        time.sleep(60)
    return Generator(generate)
"""


def test_interrupt_ends_with_130_and_leaves_no_run(
    digit_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """SIGINT ends even a batch that takes a minute within seconds: 130, a sentence, no run."""
    (tmp_path / "slow_adapter.py").write_text(SLOW)
    (tmp_path / "model.bin").write_bytes(b"x")
    words = ["run", "fid", "--checkpoint", "model.bin", "--allow-pt", "--adapter"]
    words += ["slow_adapter:load", "--reference", str(digit_files[1])]
    process = subprocess.Popen(
        [Path(sys.executable).with_name("geneval"), *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "generating").exists() and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=5)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.strip().splitlines()[-1] == f"geneval: {INTERRUPTED}"
    assert not (tmp_path / "runs").exists()
