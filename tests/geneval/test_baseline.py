"""Baselines as files: what a gate sees of them is what it would see of the run itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geneval.baseline import Note, baselines_in, load_baseline, read_note, write_baseline
from geneval.difference import difference
from geneval.errors import UsageError
from geneval.gate import Gate
from geneval.promote import promote
from geneval.result import Document, Result, write_result
from geneval.suite import Suite
from geneval.value import DetailTable, Evidence, Role, Value
from geneval.verdict import Status, Verdict, judge, load_baselines, write_judgement

MakeValue = Callable[..., Value]
MakeResult = Callable[..., Result]
MakeGates = Callable[..., tuple[Gate, ...]]
NOTE = Note("main", "someone", "2026-11-23T00:00:00Z", "a reason", "0" * 64)


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a person's machine."""
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def scored(make_scored: MakeResult, rng: np.random.Generator) -> Result:
    """A result with a score of each of 80 paired samples."""
    return make_scored(rng.normal(size=80), "step-1", pair_by="id")


def stored(result: Result, folder: Path, **note: str) -> Path:
    """The file of a result made a baseline."""
    return write_baseline(result, replace(NOTE, **note), folder)


# The file


def test_a_baseline_says_all_that_is_compared(scored: Result, tmp_path: Path) -> None:
    """Values, intervals, n, signatures, digests of inputs and evidence are those of the result."""
    loaded = load_baseline(stored(scored, tmp_path))
    assert loaded.document.metrics == scored.document.metrics
    assert loaded.document.suite == scored.document.suite
    assert loaded.document.subject == scored.document.subject
    one, same = (r.evidence(r["score"])[Role.GENERATED] for r in (scored, loaded))
    assert (one.kind, one.ids) == (same.kind, same.ids)
    assert np.array_equal(one.rows, same.rows)


def test_the_note_says_who_when_and_why(scored: Result, tmp_path: Path) -> None:
    """The file is JSON that a reviewer reads; the evidence's name is its digest."""
    path = stored(scored, tmp_path)
    content = json.loads(path.read_text(), parse_constant=pytest.fail)["baseline"]
    assert {key: content[key] for key in ("author", "date", "reason", "result")} == {
        "author": "someone",
        "date": "2026-11-23T00:00:00Z",
        "reason": "a reason",
        "result": "0" * 64,
    }
    assert (tmp_path / content["evidence"]).is_file()
    assert read_note(path) == replace(NOTE, evidence=content["evidence"])
    assert [(p.name, note.name) for p, note in baselines_in(tmp_path)] == [("main.json", "main")]


def test_what_only_reports_show_is_left_out(
    make_value: MakeValue, make_result: MakeResult, tmp_path: Path
) -> None:
    """A committed file is small: tables, timing and paths of the run stay behind."""
    value = make_value("score", 1.0, tables=(DetailTable("curve", {"x": list(range(5000))}),))
    result = make_result(
        [value],
        timing={"seconds": 1.0},
        provenance={"started": "2026-01-01T00:00:00Z", "folder": "/home/me", "sets": {}},
    )
    path = stored(result, tmp_path)
    assert path.stat().st_size < 4000
    assert "/home/me" not in path.read_text()
    loaded = load_baseline(path)
    assert loaded["score"].number == 1.0
    assert loaded.document.provenance == {"started": "2026-01-01T00:00:00Z"}


def test_statistics_and_references_survive(
    make_value: MakeValue, make_result: MakeResult, tmp_path: Path
) -> None:
    """Rows of several counts, of several roles and of other samples per value read back equal."""
    counts, influence = np.array([[1.0, 2.0], [3.0, 4.5]]), np.array([1e-300, -1.0, 1.0])
    evidence = {
        "bleu": {Role.GENERATED: Evidence("statistics", ("a", "b"), counts)},
        "fid": {
            Role.GENERATED: Evidence("influence", ("b", "c"), np.array([0.1, -0.1])),
            Role.REFERENCE: Evidence("influence", ("r", "s", "t"), influence),
        },
    }
    values = [make_value(address, 1.0, evidence=parts) for address, parts in evidence.items()]
    loaded = load_baseline(stored(make_result(values, evidence=evidence), tmp_path))
    for address, parts in evidence.items():
        found = loaded.evidence(loaded[address])
        assert set(found) == set(parts)
        for role, rows in parts.items():
            assert (found[role].kind, found[role].ids) == (rows.kind, rows.ids)
            assert np.array_equal(found[role].rows, rows.rows)


def test_replacing_a_baseline_leaves_no_evidence_behind(
    make_scored: MakeResult, scored: Result, tmp_path: Path
) -> None:
    """The evidence of the one before goes, unless another baseline has the same."""
    stored(scored, tmp_path)
    stored(scored, tmp_path, name="anchor")
    assert len(list(tmp_path.glob("*.parquet"))) == 1
    other = make_scored([1.0, 2.0, 3.0], "step-2", pair_by="id")
    stored(other, tmp_path)
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    stored(other, tmp_path, name="anchor")
    (left,) = tmp_path.glob("*.parquet")
    assert left.name == read_note(tmp_path / "main.json").evidence


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"evidence": "../../etc/passwd"},
        {"evidence": "/etc/passwd"},
        {"name": None},
        {"result": 5},
    ],
)
def test_files_that_are_refused(
    scored: Result, tmp_path: Path, change: Mapping[str, object]
) -> None:
    """Another schema, evidence elsewhere and odd notes are errors that name the file."""
    path = stored(scored, tmp_path)
    content = json.loads(path.read_text())
    content["baseline"] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"main\.json"):
        load_baseline(path)


def test_a_run_directory_is_no_file_with_a_note(scored: Result, tmp_path: Path) -> None:
    """It may be compared with, but was never made a baseline."""
    write_result(scored.document, tmp_path)
    assert load_baseline(tmp_path).document.digest == scored.document.digest
    for path in (tmp_path, tmp_path / "result.json", tmp_path / "gone.json"):
        with pytest.raises(UsageError, match="make one with geneval baseline set"):
            read_note(path)
    assert list(baselines_in(tmp_path)) == []


# In gates


RULE = {"value": "score", "no_worse_than": "last", "margin": 0.05}


def sentence_beside(
    path: Path, make_scored: MakeResult, make_gates: MakeGates, scored: Result
) -> tuple[Status, str]:
    """Status and sentence of a slightly worse model against the baseline at a path."""
    rows = scored.evidence(scored["score"])[Role.GENERATED].rows
    result = make_scored(rows - 0.01, "step-2", pair_by="id")
    baselines = load_baselines(Suite(metrics=[], baselines={"last": str(path)}))
    (verdict,) = judge(make_gates([RULE], result), result, baselines).verdicts
    return verdict.status, verdict.sentence


def test_with_its_evidence_differences_are_paired(
    make_scored: MakeResult, make_gates: MakeGates, scored: Result, tmp_path: Path
) -> None:
    """A gate says of a baseline file what it says of the run that became it."""
    path = stored(scored, tmp_path)
    status, told = sentence_beside(path, make_scored, make_gates, scored)
    assert status is Status.PASS
    assert "(paired)" in told


@pytest.mark.parametrize("damage", ["gone", "damaged", "another's"])
def test_without_its_evidence_differences_are_unpaired(
    make_scored: MakeResult, make_gates: MakeGates, scored: Result, tmp_path: Path, damage: str
) -> None:
    """What pairing alone could show is not shown any more, and the sentence says why."""
    path = stored(scored, tmp_path)
    file = tmp_path / read_note(path).evidence
    if damage == "gone":
        file.unlink()
    elif damage == "damaged":
        file.write_bytes(b"PAR1" + b"\0" * 100)
    else:
        others = stored(make_scored(np.arange(80.0), "other", pair_by="id"), tmp_path, name="o")
        file.write_bytes((tmp_path / read_note(others).evidence).read_bytes())
    status, told = sentence_beside(path, make_scored, make_gates, scored)
    assert status is Status.INCONCLUSIVE
    assert "(unpaired: step-1 has no scores of its samples)" in told


def test_unpaired_says_when_the_samples_are_others(make_scored: MakeResult) -> None:
    """Scores on both sides, of other ids: pairing was declared and cannot be."""
    a = make_scored([1.0, 2.0, 4.0], pair_by="id")
    b = make_scored([1.0, 2.0, 5.0], pair_by="id", ids=("x", "y", "z"))
    assert difference(a, b, "score").unpaired == "the samples are others"
    assert difference(a, make_scored([1.0, 2.0, 5.0]), "score").unpaired == ""


# Promotion


def kept(result: Result, folder: Path, *rules: tuple[str, Status]) -> Result:
    """A result with verdicts of gates against the anchor, as a run directory."""
    document: Document = replace(
        result.document,
        suite=replace(result.document.suite, document={"gates": [text for text, _ in rules]}),
    )
    write_result(document, folder)
    loaded = Result.load(folder)
    judgement = judge([], loaded, {})
    gates = [Gate(f"score >= {name}", "score", "no_worse_than", baseline=name) for name, _ in rules]
    verdicts = tuple(
        Verdict(gate, status, "told") for gate, (_, status) in zip(gates, rules, strict=True)
    )
    write_judgement(replace(judgement, verdicts=verdicts), folder)
    return loaded


def test_promotion_writes_who_and_why(
    scored: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without git's user the machine's stands there; the result's own digest is noted."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("USER", "ada")
    path = promote(scored, " better at digits ", name="main", directory=tmp_path / "new")
    note = read_note(path)
    assert (note.author, note.reason) == ("ada", "better at digits")
    assert note.result == scored.document.digest
    assert path == tmp_path / "new" / "main.json"


@pytest.mark.parametrize("value", ["true", "1", "TRUE"])
def test_ci_makes_no_baseline(
    scored: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Under CI a baseline is refused, also with --force, unless CI is allowed by name."""
    monkeypatch.setenv("CI", value)
    for force in (False, True):
        with pytest.raises(UsageError, match="--allow-ci"):
            promote(scored, "x", name="main", directory=tmp_path, force=force)
    assert list(tmp_path.iterdir()) == []
    assert promote(scored, "x", name="main", directory=tmp_path, allow_ci=True).is_file()


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_baseline_has_a_reason(scored: Result, tmp_path: Path, reason: str) -> None:
    """Nobody can review what says nothing."""
    with pytest.raises(UsageError, match="--reason"):
        promote(scored, reason, name="main", directory=tmp_path, force=True)


@pytest.mark.parametrize("name", ["../main", "", ".hidden", "a/b", "a b"])
def test_names_are_file_names(scored: Result, tmp_path: Path, name: str) -> None:
    """A baseline lies in its folder and nowhere else."""
    with pytest.raises(UsageError, match="--name"):
        promote(scored, "x", name=name, directory=tmp_path)


def test_a_partial_run_is_no_baseline(
    make_value: MakeValue, make_result: MakeResult, tmp_path: Path
) -> None:
    """What is never gated is never gated against, whoever forces it."""
    result = make_result([make_value("score", 1.0)], partial=10)
    with pytest.raises(UsageError, match="partial"):
        promote(result, "x", name="main", directory=tmp_path, force=True)


@pytest.mark.parametrize("status", ["FAIL", "ERROR", "INCONCLUSIVE", "WARN"])
@pytest.mark.parametrize("name", ["main", "anchor"])
def test_no_promotion_while_the_anchor_fails(
    scored: Result, tmp_path: Path, status: str, name: str
) -> None:
    """Whatever is not a pass against the anchor stops every promotion; --force is on record."""
    folder = tmp_path / "baselines"
    stored(scored, folder, name="anchor")
    result = kept(scored, tmp_path, ("anchor", Status(status)), ("last", Status.PASS))
    with pytest.raises(UsageError, match="anchor's gate is not passed") as caught:
        promote(result, "x", name=name, directory=folder)
    assert "score >= anchor: told" in str(caught.value)
    path = promote(result, "we know", name=name, directory=folder, force=True)
    assert read_note(path).reason == "we know (forced)"


def test_other_gates_stop_no_promotion(scored: Result, tmp_path: Path) -> None:
    """The last baseline may be missed: replacing it is what promotion is for."""
    result = kept(scored, tmp_path, ("anchor", Status.PASS), ("last", Status.FAIL))
    assert promote(result, "x", name="main", directory=tmp_path / "b").is_file()


def test_the_first_anchor_can_be_set(scored: Result, tmp_path: Path) -> None:
    """Without an anchor its gate cannot be judged, and nothing else can be promoted yet."""
    result = kept(scored, tmp_path, ("anchor", Status.ERROR))
    with pytest.raises(UsageError, match="anchor's gate is not passed"):
        promote(result, "x", name="main", directory=tmp_path / "b")
    assert promote(result, "x", name="anchor", directory=tmp_path / "b").is_file()


def test_verdicts_must_be_of_the_result(scored: Result, tmp_path: Path) -> None:
    """Absent or foreign verdicts prove no pass."""
    result = kept(scored, tmp_path, ("anchor", Status.PASS))
    file = tmp_path / "verdicts.json"
    file.write_text(file.read_text().replace(result.document.digest, "0" * 64))
    with pytest.raises(UsageError, match="are of another result"):
        promote(result, "x", name="main", directory=tmp_path / "b")
    file.unlink()
    with pytest.raises(UsageError, match="holds no verdicts"):
        promote(result, "x", name="main", directory=tmp_path / "b")
