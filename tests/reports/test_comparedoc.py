"""What the page of a comparison shows, and where its links lead."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from geneval.compare import Comparison, compare
from geneval.reports.comparedoc import ComparisonView, comparison_view
from geneval.reports.html import render_comparison
from geneval.result import Result
from geneval.value import shown
from geneval.verdict import load_judgement


@pytest.fixture(scope="module")
def view(comparison: Comparison, step_runs: dict[str, Path]) -> ComparisonView:
    """Its view for a page beside the runs."""
    return comparison_view(comparison, step_runs["collapsed"].parents[1] / "page")


@pytest.fixture(scope="module")
def comparison(step_runs: dict[str, Path]) -> Comparison:
    """All four checkpoints against the best."""
    return compare([Result.load(run) for run in step_runs.values()], "step-004000")


def test_entries_are_judged_and_linked(view: ComparisonView, step_runs: dict[str, Path]) -> None:
    """Each entry has its step, status, gravest sentences, link and pictures."""
    assert [entry.name for entry in view.entries] == list(step_runs)
    assert [entry.step for entry in view.entries] == ["250", "1,000", "4,000", ""]
    for entry, directory in zip(view.entries, step_runs.values(), strict=True):
        judgement = load_judgement(directory)
        assert (entry.status, entry.sentence) == (judgement.status.value, judgement.sentence)
        bad = [v.sentence for v in judgement.verdicts if v.status.value != "PASS"]
        assert set(entry.worst) == set(bad[:3])
        page = directory.parents[1] / "page" / entry.href
        assert os.path.normpath(page) == str(directory / "report.html")


def test_pictures_are_of_the_same_ids(view: ComparisonView) -> None:
    """Every entry shows the same requests, so that models can be compared by eye."""
    shelves = [entry.shelf.pictures for entry in view.entries if entry.shelf is not None]
    ids = [tuple(picture.id for picture in pictures) for pictures in shelves]
    assert len(ids) == 4
    assert len(set(ids)) == 1
    assert len(ids[0]) == 20
    sources = {tuple(picture.source for picture in pictures) for pictures in shelves}
    assert len(sources) == 4  # but not the same pictures


def test_cells_have_number_rank_and_difference(
    comparison: Comparison, view: ComparisonView
) -> None:
    """A cell shows number, interval and rank; its difference names address, sign and pairing."""
    by_address = {row.address: row for row in view.rows}
    row = next(row for row in comparison.rows if row.address == "fid")
    for cell, shown_cell in zip(row.cells, by_address["fid"].cells, strict=True):
        assert cell.number is not None
        assert cell.interval is not None
        assert shown_cell.number == shown(cell.number)
        assert shown_cell.interval == f"[{shown(cell.interval.low)}, {shown(cell.interval.high)}]"
        assert shown_cell.sort == cell.number
        if cell.difference is None:
            assert (shown_cell.difference, shown_cell.outcome) == ("", "")
        else:
            assert cell.difference.number is not None
            assert shown_cell.difference.startswith(f"{cell.difference.number:+.4g} [")
            assert " in fid.debiased, paired" in shown_cell.difference  # digits.yaml: pair_by
    worse = by_address["fid.debiased"].cells[0]
    assert worse.outcome == "worse"
    assert worse.text == f"{worse.number} {worse.interval} #{worse.rank} worse"


def test_steps_bring_a_trend(
    view: ComparisonView, step_runs: dict[str, Path], tmp_path: Path
) -> None:
    """Three entries with steps give a second chart and a sentence; two give neither."""
    (row,) = [row for row in view.rows if row.address == "fid.debiased"]
    assert len(row.charts) == 2
    assert row.trend.startswith("fid.debiased improves from step 250 to step 4000: ")
    runs = [step_runs["step-000250"], step_runs["step-004000"]]
    pair = compare([Result.load(run) for run in runs])
    (row,) = [r for r in comparison_view(pair, tmp_path).rows if r.address == "fid.debiased"]
    assert len(row.charts) == 1
    assert row.trend == ""


def test_bare_result_has_values_but_no_link(step_runs: dict[str, Path], tmp_path: Path) -> None:
    """A result.json without its directory is compared; it says so and links to nothing."""
    results = []
    for name in ("step-000250", "step-004000"):
        (tmp_path / name).mkdir()
        file = Path(shutil.copy(step_runs[name] / "result.json", tmp_path / name))
        results.append(Result.load(file))
    view = comparison_view(compare(results), tmp_path)
    for entry in view.entries:
        assert (entry.href, entry.status, entry.shelf) == ("", "", None)
        assert entry.sentence == "no run directory"
    assert all(cell.number != "—" for row in view.rows for cell in row.cells)
    assert "no run directory" in render_comparison(view)


def test_problem_is_shown_once(step_runs: dict[str, Path], tmp_path: Path) -> None:
    """What cannot be compared stands among the cautions, and the cell says not comparable."""
    results = [Result.load(step_runs[name]) for name in ("step-000250", "step-004000")]
    partial = dataclasses.replace(results[1].document, partial=5)
    comparison = compare([results[0], Result(partial)])
    view = comparison_view(comparison, tmp_path)
    wanted = sum(not row.optional for row in comparison.rows)
    assert len(set(view.problems)) == len(view.problems) == wanted
    for row in view.rows:
        assert row.cells[1].outcome == "not comparable"
        assert "is partial (--limit 5)" in row.cells[1].difference


def test_failed_value_is_a_problem_in_its_cell(step_runs: dict[str, Path], tmp_path: Path) -> None:
    """A value without a number shows its problem, has no rank and is not drawn."""
    copied = Path(shutil.copytree(step_runs["step-000250"], tmp_path / "copied"))
    content = json.loads((copied / "result.json").read_bytes())
    for value in content["metrics"][0]["values"]:
        value |= {"number": None, "problem": "of straw", "interval": None, "no_interval": None}
    (copied / "result.json").write_text(json.dumps(content))
    results = [Result.load(copied), Result.load(step_runs["step-004000"])]
    view = comparison_view(compare(results), tmp_path)
    cell = view.rows[0].cells[0]
    assert (cell.problem, cell.number, cell.rank, cell.sort) == ("of straw", "—", "", None)
    assert cell.text.startswith("of straw")
    assert 'title="of straw"' in render_comparison(view)


def test_unjudged_run_has_no_verdict(step_runs: dict[str, Path], tmp_path: Path) -> None:
    """A run without gates is shown as not judged rather than as passed."""
    runs = []
    for name in ("step-000250", "step-004000"):
        copied = Path(shutil.copytree(step_runs[name], tmp_path / name))
        verdicts = json.loads((copied / "verdicts.json").read_bytes())
        (copied / "verdicts.json").write_text(json.dumps({**verdicts, "verdicts": []}))
        runs.append(Result.load(copied))
    view = comparison_view(compare(runs), tmp_path)
    assert [entry.status for entry in view.entries] == ["", ""]
    assert render_comparison(view).count("not judged") == 2


@pytest.mark.parametrize("folder", ["exp #1", "100% done?", "javascript:alert(1)"])
def test_links_survive_any_folder_name(
    step_runs: dict[str, Path], tmp_path: Path, folder: str
) -> None:
    """A link is a proper relative address: no scheme, query or fragment comes of a folder name."""
    runs = [
        Path(shutil.copytree(step_runs[name], tmp_path / folder / name))
        for name in ("step-000250", "step-004000")
    ]
    view = comparison_view(compare([Result.load(run) for run in runs]), tmp_path)
    for entry, run in zip(view.entries, runs, strict=True):
        path, *rest = entry.href.replace("?", "#").split("#")
        assert rest == []
        assert ":" not in path.split("/")[0]
        assert (tmp_path / unquote(path)).resolve() == (run / "report.html").resolve()


def test_written_folder_is_complete(comparison: Comparison, comparison_page: Path) -> None:
    """Writing a comparison leaves the document and two pages and returns the page."""
    folder = comparison_page.parent
    assert comparison_page.name == "report.html"
    assert {path.name for path in folder.iterdir()} == {
        "comparison.json",
        "report.html",
        "summary.md",
    }
    content = json.loads((folder / "comparison.json").read_bytes())
    assert content["schema"] == 1
    assert [entry["name"] for entry in content["entries"]] == [e.name for e in comparison.entries]
