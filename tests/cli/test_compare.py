"""`geneval compare`: differences between run directories, as text, JSON and pages."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from geneval.compare import compare, to_json
from geneval.result import Result

Command = Callable[..., CompletedProcess[str]]


def altered(run: Path, to: Path, **subject: object) -> Path:
    """A copy of a run directory whose subject was changed."""
    shutil.copytree(run, to)
    content = json.loads((to / "result.json").read_bytes())
    content["subject"] |= subject
    (to / "result.json").write_text(json.dumps(content))
    return to


def test_text_has_findings_values_and_outcomes(
    command: Command, step_runs: dict[str, Path]
) -> None:
    """Printed are who is first, every value of every checkpoint, and where the report lies."""
    told = command("compare", *step_runs.values(), "--against", "step-004000")
    assert (told.returncode, told.stderr) == (0, "")
    lines = told.stdout.splitlines()
    assert lines[0].startswith("step-004000 is first or tied for first in ")
    head = next(line for line in lines if line.startswith("  value"))
    assert head.split() == ["value", *step_runs]
    results = [Result.load(run) for run in step_runs.values()]
    rows = [line for line in lines if line.startswith("  ")]
    for address, value in results[0].by_address.items():
        (line,) = [row for row in rows if row.split()[:1] == [address]]
        number = value.number
        assert number is not None
        assert float(line.split()[1]) == pytest.approx(number, rel=5e-4)  # 4 significant digits
    (row,) = [row for row in rows if row.split()[:1] == ["fid.debiased"]]
    assert row.count("worse") == 2  # `geneval demo`: 29 and 11 against 2.3
    assert lines[-1] == "report: runs/digits/comparison/report.html"
    folder = Path("runs/digits/comparison")
    names = {path.name for path in folder.iterdir()}
    assert names == {"comparison.json", "report.html", "summary.md"}


def test_json_is_the_comparison(command: Command, step_runs: dict[str, Path]) -> None:
    """`--json` prints one document: the comparison that Python makes and that is written."""
    told = command("compare", *step_runs.values(), "--json", "--out", "page")
    assert (told.returncode, told.stderr) == (0, "")
    content = json.loads(told.stdout)
    assert told.stdout.count("\n") == 1
    assert content == json.loads(Path("page/comparison.json").read_bytes())
    assert content == to_json(compare([Result.load(run) for run in step_runs.values()]))
    assert content["against"] == 0
    assert not Path("runs").exists()


def test_result_files_are_accepted(command: Command, step_runs: dict[str, Path]) -> None:
    """A result.json stands for its run directory."""
    files = [run / "result.json" for run in step_runs.values()]
    assert command("compare", *files, "--json").stdout == (
        command("compare", *step_runs.values(), "--json").stdout
    )


def test_against_chooses_the_entry_compared_with(
    command: Command, step_runs: dict[str, Path]
) -> None:
    """Only the entry compared with has no difference of its own."""
    against = "step-001000"
    told = command("compare", *step_runs.values(), "--against", against, "--json")
    content = json.loads(told.stdout)
    names = [entry["name"] for entry in content["entries"]]
    assert names[content["against"]] == against
    for row in content["rows"]:
        without = [n for n, cell in zip(names, row["cells"], strict=True) if not cell["difference"]]
        assert without == [against]


def test_what_cannot_be_compared_is_wrong_usage(
    command: Command, step_runs: dict[str, Path]
) -> None:
    """One result, the same one twice, an unknown name: 2, one sentence, nothing written."""
    one, other, _ = step_runs.values()
    for words, says in (
        ((one,), "two or more"),
        ((one, one), "two or more different results"),
        ((one, other, "--against", "step-9"), "step-000250, step-001000"),
    ):
        told = command("compare", *words)
        assert (told.returncode, told.stdout) == (2, "")
        assert told.stderr.startswith("geneval: ")
        assert told.stderr.count("\n") == 1
        assert says in told.stderr
    assert not Path("runs").exists()


def test_different_suites_are_refused(
    command: Command, step_runs: dict[str, Path], digit_files: tuple[Path, Path]
) -> None:
    """Results of different suites are not compared."""
    words = ("--samples", digit_files[1], "--reference", digit_files[0], "--json")
    run = json.loads(command("run", "fid", *words).stdout)["runs"][0]["directory"]
    told = command("compare", step_runs["step-000250"], run)
    assert (told.returncode, told.stdout) == (2, "")
    assert "ad-hoc" in told.stderr
    assert "digits" in told.stderr


def test_partial_result_is_never_compared(command: Command, digit_files: tuple[Path, Path]) -> None:
    """A run under `--limit` is shown, but its differences are problems and the code is 3."""
    words = ("run", "fid", "--samples", digit_files[1], "--reference", digit_files[0], "--json")
    runs = [
        json.loads(command(*words, *more).stdout)["runs"][0]["directory"]
        for more in ((), ("--limit", 300))
    ]
    told = command("compare", *runs, "--json")
    assert told.returncode == 3
    for row in json.loads(told.stdout)["rows"]:
        assert row["cells"][1]["outcome"] == "not comparable"
        assert "partial (--limit 300)" in row["cells"][1]["difference"]["problem"]
    text = command("compare", *runs)
    assert text.returncode == 3
    assert "cannot compare: fid of " in text.stdout


def test_unequal_signatures_are_named(command: Command, digit_files: tuple[Path, Path]) -> None:
    """Values of another extractor are not compared: 3, and the differing field is named."""
    words = ("run", "fid", "--samples", digit_files[1], "--reference", digit_files[0], "--json")
    runs = [
        json.loads(command(*words, "--set", f"extractor={name}").stdout)["runs"][0]["directory"]
        for name in ("digits", "pixels")
    ]
    told = command("compare", *runs)
    assert told.returncode == 3
    assert "ext pixels ≠ digits" in told.stdout
    assert "the results come from suites that differ in extractor" in told.stdout


def test_hostile_names_cannot_steer_the_terminal(
    command: Command, step_runs: dict[str, Path], tmp_path: Path
) -> None:
    """Controls, newlines and bidi marks in a stranger's checkpoint name are spelled out."""
    name = "a\x9b31m\u202eb\ngeneval: PASS"
    hostile = altered(step_runs["step-000250"], tmp_path / "hostile", name=name)
    told = command("compare", hostile, step_runs["step-004000"])
    assert told.returncode == 0
    assert not {"\x9b", "\u202e"} & set(told.stdout)
    assert "a\\x9b31m\\x202eb" in told.stdout
    assert not any(line.startswith("geneval: PASS") for line in told.stdout.splitlines())


def test_suite_name_of_a_stranger_is_no_path(
    command: Command, step_runs: dict[str, Path], tmp_path: Path
) -> None:
    """A suite named `../../x` in foreign results cannot make the report land outside `runs`."""
    work = tmp_path / "a" / "b"
    work.mkdir(parents=True)
    runs = []
    for name in ("step-000250", "step-004000"):
        copied = tmp_path / name
        shutil.copytree(step_runs[name], copied)
        content = json.loads((copied / "result.json").read_bytes())
        content["suite"]["name"] = "../../../escaped"
        (copied / "result.json").write_text(json.dumps(content))
        runs.append(copied)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(work)
        command("compare", *runs)
    written = set(tmp_path.rglob("comparison.json"))
    assert all(path.is_relative_to(work / "runs") for path in written), written


def test_values_of_two_resize_rules_are_not_compared(
    command: Command, digit_files: tuple[Path, Path]
) -> None:
    """The rule by which images become a network's input must be one: it is named, exit code 3."""
    train, held_out = digit_files
    runs = []
    for side in (4, 8):
        settings = ("--set", f"extractor={{name: pixels, side: {side}}}", "--set", "floor=false")
        told = command(
            "run", "fid", "--samples", held_out, "--reference", train, *settings, "--json"
        )
        runs.append(json.loads(told.stdout)["runs"][0]["directory"])
    told = command("compare", *runs)
    assert told.returncode == 3
    assert re.search(r"resize area(4 ≠ area8|8 ≠ area4)", told.stdout)
