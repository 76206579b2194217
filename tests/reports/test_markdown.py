"""summary.md: verdicts and values where Markdown is shown."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneval.compare import compare
from geneval.reports.markdown import escape, render_run, table
from geneval.reports.rundoc import RunView, run_view
from geneval.result import Result
from geneval.value import shown
from geneval.verdict import load_judgement


@pytest.fixture(scope="module")
def view(step_runs: dict[str, Path]) -> RunView:
    """The view of a run that failed two gates."""
    return run_view(step_runs["collapsed"])


def cells(line: str) -> list[str]:
    """The cells of a table row, split where Markdown splits: at pipes that are not escaped."""
    parts = re.split(r"(?<!\\)\|", line)
    assert parts[0] == parts[-1] == ""
    return [part.strip() for part in parts[1:-1]]


def plain(text: str) -> str:
    """Escaped text as a reader sees it."""
    return re.sub(r"\\(.)", r"\1", text).replace("&amp;", "&")


def tables(text: str) -> list[list[list[str]]]:
    """Every table as rows of cells, heading and rule included."""
    found: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append(cells(line))
        elif found[-1]:
            found.append([])
    return [one for one in found if one]


def test_summary_has_verdict_gates_and_values(view: RunView, step_runs: dict[str, Path]) -> None:
    """The banner, a row for each gate and a row for each value, as the result has them."""
    text = render_run(view)
    judgement = load_judgement(step_runs["collapsed"])
    result = Result.load(step_runs["collapsed"])
    lines = text.splitlines()
    assert lines[0] == "## collapsed under digits"
    assert f"**{judgement.status}** {judgement.sentence}" in lines
    gates, values = tables(text)
    assert [[plain(cell) for cell in row] for row in gates[2:]] == [
        [verdict.status.value, verdict.gate.text, verdict.sentence]
        for verdict in judgement.verdicts
    ]
    assert [plain(row[0]) for row in values[2:]] == [value.address for value in result.values()]
    for row, value in zip(values[2:], result.values(), strict=True):
        assert value.number is not None
        assert row[1] == shown(value.number)
        assert row[4] == " / ".join(f"{n:,}" for n in value.n.values() if n is not None)
        assert plain(row[5]) == (str(value.floor) if value.floor else "")
    assert {len(row) for row in values} == {6}
    assert text == (step_runs["collapsed"] / "summary.md").read_text()


def test_failures_cautions_and_command(view: RunView) -> None:
    """Failed metrics have a section, cautions are quoted, the command is a block of its own."""
    failed = dataclasses.replace(view.chapters["fidelity"][0], status="failed", reason="no | luck")
    text = render_run(
        dataclasses.replace(
            view, failed=(failed,), cautions=("many <odd> files",), command="geneval run\n\nx"
        )
    )
    assert "### Failed and skipped" in text
    assert f"- {escape(failed.key)} failed: no \\| luck" in text
    assert "> many \\<odd\\> files" in text
    assert text.endswith("Reproduce with\n\n    geneval run x\n")


def test_run_without_gates_is_not_judged(view: RunView) -> None:
    """Without gates there is no verdict to show."""
    text = render_run(dataclasses.replace(view, gates=(), judged=False))
    assert "**not judged**" in text
    assert len(tables(text)) == 1


@pytest.mark.parametrize(
    "payload",
    [
        "a | b",
        "<img src=x onerror=alert(1)>",
        "</script><script>alert(1)</script>",
        "`code`",
        "**bold** _it_ ~~gone~~",
        "[click](javascript:alert(1))",
        "![i](https://example.org/x.png)",
        "&lt;b&gt;",
        "# heading",
        "a\\|b",
        "one\ntwo\r\nthree",
    ],
)
def test_text_is_shown_as_it_is(payload: str) -> None:
    """Nothing in a cell is markup, and nothing ends the cell or the row."""
    (_, _, line) = table(("first", "second"), [(payload, "end")])
    assert "\n" not in line
    assert "\r" not in line
    first, second = cells(line)
    assert second == "end"
    assert plain(first) == payload.replace("\n", " ").replace("\r", " ").strip()
    assert not re.search(r"(?<!\\)[<>`*\[\]|]", first)


@given(st.text())
def test_escaping_is_complete(text: str) -> None:
    """For any text: one line, no markup left, and the reader sees the text."""
    escaped = escape(text)
    assert not set(escaped) & {"\n", "\r"}
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_{}\[\]<>|#~]", escaped)
    assert plain(escaped) == text.replace("\n", " ").replace("\r", " ")


def test_hostile_run_cannot_add_markup(hostile_runs: list[Path]) -> None:
    """Payloads in names, addresses, verdicts and cautions leave no tag outside the code block."""
    text = (hostile_runs[0] / "summary.md").read_text()
    shown_part = text.split("Reproduce with")[0]
    assert not re.search(r"(?<!\\)<", shown_part.replace("    ", ""))
    assert "alert(1)" in shown_part
    for one in tables(shown_part):
        assert len({len(row) for row in one}) == 1


def test_comparison_has_a_column_for_each_checkpoint(
    step_runs: dict[str, Path], comparison_page: Path
) -> None:
    """A comparison is a list of findings and one table of values, ranks and outcomes."""
    found = compare([Result.load(run) for run in step_runs.values()], "step-004000")
    text = comparison_page.with_name("summary.md").read_text()
    assert text.startswith("## 4 checkpoints under digits\n\n- step-004000 is first")
    (values,) = tables(text)
    assert [plain(cell) for cell in values[0]] == ["Value", *step_runs]
    assert [plain(row[0]) for row in values[2:]] == [row.address for row in found.rows]
    (debiased,) = [row for row in values if plain(row[0]) == "fid.debiased"]
    best = found.rows[[row.address for row in found.rows].index("fid.debiased")].cells[2]
    assert best.number is not None
    assert plain(debiased[3]).startswith(f"{shown(best.number)} [")
    assert plain(debiased[3]).endswith("#1")
    assert all(cell.endswith("worse") for cell in (debiased[1], debiased[2], debiased[4]))
