"""`geneval report`: the pages of a run directory written again."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Command = Callable[..., CompletedProcess[str]]

PAGES = ("report.html", "summary.md", "junit.xml")


@pytest.fixture
def run(step_runs: dict[str, Path], tmp_path: Path) -> Path:
    """A run directory that may be changed."""
    return Path(shutil.copytree(step_runs["step-000250"], tmp_path / "run"))


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@pytest.mark.parametrize("given", [".", "result.json"])
def test_pages_come_back_byte_for_byte(command: Command, run: Path, given: str) -> None:
    """Lost pages are rewritten exactly as the run wrote them, and nothing else is touched."""
    before = contents(run)
    for page in PAGES:
        (run / page).unlink()
    told = command("report", run / given)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"{run / 'report.html'}\n"
    assert contents(run) == before


def test_a_moved_run_directory_is_complete(command: Command, run: Path, tmp_path: Path) -> None:
    """The pages need nothing but the directory: a copy elsewhere gives the same ones."""
    moved = Path(shutil.copytree(run, tmp_path / "deep" / "moved"))
    assert command("report", moved).returncode == 0
    assert contents(moved) == contents(run)


def test_result_without_provenance_is_reported(command: Command, run: Path) -> None:
    """Provenance is no part of the result: a report is written without it as well."""
    content = json.loads((run / "result.json").read_bytes())
    content["provenance"], content["timing"] = {}, {}
    (run / "result.json").write_text(json.dumps(content))
    told = command("report", run)
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize("missing", ["result.json", "verdicts.json"])
def test_incomplete_directory_is_wrong_usage(command: Command, run: Path, missing: str) -> None:
    """Without result or verdicts there is nothing to report: 2, one sentence that names it."""
    (run / missing).unlink()
    told = command("report", run)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("geneval: ")
    assert told.stderr.count("\n") == 1
    assert missing in told.stderr


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": 99}', '{"schema": 1}', '{"schema": 1, "suite": NaN}']
)
def test_damaged_result_is_wrong_usage(command: Command, run: Path, text: str) -> None:
    """A result.json that is none is refused with one sentence and 2."""
    (run / "result.json").write_text(text)
    told = command("report", run)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith(f"geneval: {run / 'result.json'} ")
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize("absolute", [True, False])
def test_index_of_a_stranger_cannot_reach_outside(
    command: Command, run: Path, tmp_path: Path, absolute: bool
) -> None:
    """A media index that points out of its directory embeds no file of this machine."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"private picture of the person at the terminal")
    index = json.loads((run / "media/index.json").read_bytes())
    for entry in index:
        entry["file"] = str(secret) if absolute else "../secret.png"
    (run / "media/index.json").write_text(json.dumps(index))
    command("report", run)
    page = (run / "report.html").read_bytes()
    assert base64.b64encode(secret.read_bytes()) not in page
