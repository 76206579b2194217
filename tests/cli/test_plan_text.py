"""The plan that `run --dry-run` prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from geneval.examples.digits.data import Split
from geneval.examples.digits.demo import FOLDER

Command = Callable[..., CompletedProcess[str]]


def section(text: str, title: str) -> list[list[str]]:
    """The indented lines below a title, as words."""
    lines = text.splitlines()
    start = lines.index(title) + 1
    words = []
    for line in lines[start:]:
        if not line.startswith("  "):
            break
        words.append(line.split())
    return words


def columns(text: str) -> dict[str, list[str]]:
    """The passes by role, as cells."""
    lines = text.splitlines()
    start = lines.index("passes") + 1
    head = lines[start]
    names = ("role", "samples", "extractors and layers", "to extract", "time", "disk")
    starts = [head.index(f"  {name}") + 2 for name in names]
    found = {}
    for line in lines[start + 1 :]:
        if not line.startswith("  "):
            break
        ends = [*starts[1:], len(line)]
        cells = [line[a:b].strip() for a, b in zip(starts, ends, strict=True)]
        found[cells[0]] = cells[1:]
    return found


def test_passes_samples_time_and_disk(command: Command, digit_files: tuple[Path, Path]) -> None:
    """Each role is one pass with its samples, layers, what is left to extract, and disk."""
    train, held_out = digit_files
    words = ("run", "fid,inception_score", "--samples", held_out, "--reference", train)
    told = command(*words, "--train", train, "--dry-run", "--device", "cpu")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.splitlines()[0] == "held-out under ad-hoc, on cpu"
    passes = columns(told.stdout)
    assert list(passes) == ["generated", "reference", "train"]
    # float32 rows: 64 features, 10 logits, 1 unlikeness (geneval/extractors/digits.py)
    disk = f"{4 * (64 + 1 + 10) * 600 / 2**20:.1f} MiB"
    layers = "digits: features, unlikeness, logits"
    assert passes["generated"] == ["600", layers, "600", "unknown before a first run", disk]
    assert passes["reference"][:3] == ["1,197", "digits: features, unlikeness", "1,197"]
    assert passes["train"] == ["1,197", "none", "0", "none", "0.0 MiB"]


def test_after_a_run_nothing_is_left_to_do(
    command: Command, digit_files: tuple[Path, Path]
) -> None:
    """What the ledger holds needs neither time nor disk."""
    train, held_out = digit_files
    words = ("run", "fid", "--samples", held_out, "--reference", train)
    assert command(*words).returncode == 0
    passes = columns(command(*words, "--dry-run").stdout)
    assert passes["generated"][2:] == ["0", "none", "0.0 MiB"]
    assert passes["reference"][2:] == ["0", "none", "0.0 MiB"]


@pytest.mark.parametrize("more", [(), ("--limit", 500)])
def test_time_is_told_from_the_rate_of_earlier_runs(
    command: Command,
    digit_files: tuple[Path, Path],
    digits: tuple[Split, Split],
    more: tuple[object],
) -> None:
    """After a first run other samples of the same kind get a time, fewer of them as well."""
    train, held_out = digit_files
    command("run", "fid", "--samples", held_out, "--reference", train)
    np.save("other.npy", 255 - digits[1].images)
    words = ("run", "fid", "--samples", "other.npy", "--reference", train, "--dry-run")
    _, _, absent, told, _ = columns(command(*words, *more).stdout)["generated"]
    assert absent == ("500" if more else "600")
    seconds, unit = told.split()
    assert unit == "s"
    assert 0 <= float(seconds) < 60


def test_metrics_gates_and_downloads(command: Command, digit_files: tuple[Path, Path]) -> None:
    """Metrics stand with key, metric, extractor and grouping, gates as written, downloads last."""
    Path("mine.yaml").write_text(
        "version: 1\nname: mine\nmetrics:\n"
        "  - fid: {as: raw, extractor: {name: pixels, side: 4}}\n"
        "  - precision_recall: {by: label}\n"
        'gates:\n  - raw <= 12\n  - {value: "recall[label=3]", at_least: 0.4}\n'
    )
    train, held_out = digit_files
    told = command("run", "mine.yaml", "--samples", held_out, "--reference", train, "--dry-run")
    assert told.returncode == 0, told.stderr
    assert section(told.stdout, "metrics") == [
        ["raw", "fid", "on", "pixels(side=4)"],
        ["precision_recall", "precision_recall", "on", "digits", "by", "label"],
    ]
    assert [" ".join(words) for words in section(told.stdout, "gates")] == [
        "raw <= 12",
        "value: recall[label=3], at_least: 0.4",
    ]
    assert told.stdout.splitlines()[-1] == "downloads: none"
    assert columns(told.stdout)["generated"][1] == (
        "pixels(side=4): features; digits: features, unlikeness"
    )


def test_plan_of_several_checkpoints(command: Command, digit_files: tuple[Path, Path]) -> None:
    """Every checkpoint gets a plan of its own; nothing is generated for it."""
    names = ("step-000250", "step-004000")
    words = [w for name in names for w in ("--checkpoint", FOLDER / f"{name}.safetensors")]
    told = command("run", "digits", *words, "--reference", digit_files[1], "--dry-run")
    assert told.returncode == 0
    plans = told.stdout.split("\n\n")
    assert [plan.split(" under ")[0] for plan in plans] == list(names)
    assert [columns(plan)["generated"][0] for plan in plans] == ["2,000", "2,000"]
    assert not Path("runs").exists()


def test_a_suite_without_gates_says_so(command: Command, digit_files: tuple[Path, Path]) -> None:
    """A plan without gates says `no gates`."""
    words = ("--samples", digit_files[1], "--reference", digit_files[0], "--dry-run")
    assert "no gates" in command("run", "fid", *words).stdout.splitlines()


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\u202eb", "a\nb"])
def test_hostile_file_name_is_spelled_out(
    command: Command, digit_files: tuple[Path, Path], name: str
) -> None:
    """A file name cannot steer the terminal through the plan."""
    path = Path(f"{name}.npz")
    path.write_bytes(digit_files[1].read_bytes())
    told = command("run", "fid", "--samples", path, "--reference", path, "--dry-run")
    assert told.returncode == 0
    assert not {"\x1b", "\u202e"} & set(told.stdout + told.stderr)
    assert told.stdout.splitlines()[1] == "passes"


def test_the_plan_as_json(command: Command, digit_files: tuple[Path, Path]) -> None:
    """`--dry-run --json` prints the same plan for programs, and nothing is run."""
    words = ("run", "fid,precision_recall", "--samples", digit_files[0], "--reference")
    told = command(*words, digit_files[1], "--dry-run", "--json")
    (plan,) = json.loads(told.stdout)["plans"]
    assert {one["role"]: one["samples"] for one in plan["passes"]} == {
        "generated": 1197,
        "reference": 600,
    }
    assert [one["key"] for one in plan["metrics"]] == ["fid", "precision_recall"]
    assert not Path("runs").exists()
