"""Results: strict JSON that reads back to the same bytes, with evidence that cannot be faked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.errors import UsageError
from geneval.result import (
    Result,
    evidence_columns,
    evidence_note,
    result_schema,
    to_json,
    write_result,
)
from geneval.value import DetailTable, Evidence, Gallery, Role, Value

QUICK = settings(max_examples=60, deadline=None, database=None, derandomize=True)
MakeValue = Callable[..., Value]
MakeResult = Callable[..., Result]
HOSTILE = '</script><script>alert("1")</script>&amp;<img src=x onerror=alert(1)>'


@pytest.fixture(scope="session")
def rich(make_value: MakeValue, make_result: MakeResult) -> Result:
    """A result with something in every place."""
    value = make_value(
        'fid[label="a cat"]',
        12.5,
        se=0.5,
        direction="lower",
        compared_by="debiased",
        unit="units",
        tables=(DetailTable("Shares", {"class": ["é", "b"], "n": [1, 2], "p": [0.5, None]}),),
        galleries=(Gallery("Worst", Role.GENERATED, ("x/1", "x/2"), ("+1", "+0.5")),),
        finding="part of the bias may remain",
        n=5000,
        counts={Role.GENERATED: 5000, Role.REFERENCE: None},
    )
    return make_result(
        [value, make_value("kid", problem="too few samples"), make_value("recall", 1 / 3)],
        "modèle-1",
        seed=1,
        step=250,
        cautions=("unlike the training data",),
        not_evaluated={"text": ("bleu",)},
        provenance={"started": "2026-11-01T00:00:00Z", "device": "cpu"},
        timing={"seconds": 1.25},
        suite_document={"name": "quality", "metrics": [{"key": "fid"}]},
    )


# The document


def test_json_round_trip(rich: Result, tmp_path: Path) -> None:
    """A result written and read is the same result, number for number."""
    write_result(rich.document, tmp_path)
    again = Result.load(tmp_path)
    assert to_json(again.document) == to_json(rich.document)
    assert again.document.digest == rich.document.digest
    assert again["recall"].number == 1 / 3
    assert list(again.by_address) == list(rich.by_address)
    assert [again[a] == rich[a] for a in ("kid", "recall")] == [True, True]
    assert again.document.subject == rich.document.subject
    assert again.directory == tmp_path


def test_writing_again_gives_the_same_bytes(rich: Result, tmp_path: Path) -> None:
    """The file is byte-stable over reading and writing."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    write_result(rich.document, first)
    write_result(Result.load(first).document, second)
    assert (first / "result.json").read_bytes() == (second / "result.json").read_bytes()


@QUICK
@given(
    number=st.floats(allow_nan=False, allow_infinity=False),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_any_number_and_text_survive(
    make_value: MakeValue,
    make_result: MakeResult,
    tmp_path_factory: pytest.TempPathFactory,
    number: float,
    text: str,
) -> None:
    """Whatever a metric finds is read back exactly."""
    folder = tmp_path_factory.mktemp("result")
    value = make_value("score", number, finding=text)
    result = make_result([value], text or "model", cautions=(text,))
    write_result(result.document, folder)
    again = Result.load(folder)
    assert again["score"].number == number
    assert again["score"].finding == text
    assert again.document.digest == result.document.digest


def test_the_digest_ignores_provenance_and_timing(rich: Result) -> None:
    """When and where a result was made is not what it is."""
    elsewhere = replace(rich.document, provenance={"host": "other"}, timing={"seconds": 9})
    assert elsewhere.digest == rich.document.digest


@pytest.mark.parametrize(
    "change",
    [
        {"cautions": ()},
        {"partial": 5},
        {"metrics": ()},
        {"not_evaluated": {}},
        {"sets": {}},
        {"schema": 2},
    ],
)
def test_the_digest_sees_everything_else(rich: Result, change: dict[str, Any]) -> None:
    """Any other change is another result."""
    assert replace(rich.document, **change).digest != rich.document.digest


def test_the_digest_sees_the_last_bit(make_value: MakeValue, make_result: MakeResult) -> None:
    """Two numbers that differ in their last bit are two results."""
    one = make_result([make_value("score", 0.3)])
    other = make_result([make_value("score", math.nextafter(0.3, 1))])
    assert one.document.digest != other.document.digest


def test_the_schema_fits(rich: Result) -> None:
    """What is written is valid under the published JSON Schema."""
    import jsonschema

    jsonschema.validate(json.loads(json.dumps(to_json(rich.document))), result_schema())


def written(rich: Result) -> dict[str, Any]:
    """The document as JSON content, to be damaged."""
    content: dict[str, Any] = json.loads(json.dumps(to_json(rich.document)))
    return content


def spoil(content: dict[str, Any], *place: Any, value: Any) -> dict[str, Any]:
    """The content with one place replaced."""
    inner = content
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return content


@pytest.mark.parametrize("schema", [0, 2, 99, None, "1", "x", [1]])
def test_another_schema_is_refused(rich: Result, tmp_path: Path, schema: Any) -> None:
    """A file of another version of the format is refused with both versions."""
    path = tmp_path / "result.json"
    path.write_text(json.dumps(spoil(written(rich), "schema", value=schema)))
    with pytest.raises(UsageError, match="this geneval reads 1"):
        Result.load(path)


VALUE = ("metrics", 2, "values", 0)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((*VALUE, "number"), math.nan),
        ((*VALUE, "number"), math.inf),
        ((*VALUE, "number"), None),
        ((*VALUE, "number"), "many"),
        ((*VALUE, "problem"), "and a number"),
        ((*VALUE, "no_interval"), None),
        ((*VALUE, "interval"), {"low": 2, "high": 1, "level": 0.9, "method": "", "target": "at_n"}),
        ((*VALUE, "spec", "direction"), "sideways"),
        (("metrics", 0, "status"), "fine"),
        (("metrics",), {}),
        (("subject",), None),
        (("suite", "document"), []),
    ],
)
def test_a_tampered_file_is_refused(
    rich: Result, tmp_path: Path, place: tuple[Any, ...], value: Any
) -> None:
    """A file that says what no run can say (NaN, number and problem) is a usage error."""
    path = tmp_path / "result.json"
    path.write_text(json.dumps(spoil(written(rich), *place, value=value)))
    with pytest.raises(UsageError, match="is not a result"):
        Result.load(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"null", b"5", b"{", b"\xff\xfe", b"\x00", b"[" * 100_000],
    ids=["empty", "list", "object", "null", "number", "cut", "bytes", "nul", "deep"],
)
def test_what_is_no_result(tmp_path: Path, data: bytes) -> None:
    """Any other file is a usage error that names it."""
    path = tmp_path / "result.json"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"result\.json"):
        Result.load(path)


def test_an_absent_result(tmp_path: Path) -> None:
    """A folder without a result and an absent path are usage errors."""
    for path in (tmp_path, tmp_path / "absent", tmp_path / "absent.json"):
        with pytest.raises(UsageError, match="neither a run directory nor a result"):
            Result.load(path)


def test_a_result_may_be_kept_under_any_name(rich: Result, tmp_path: Path) -> None:
    """A baseline is often a copied result.json."""
    write_result(rich.document, tmp_path)
    (tmp_path / "result.json").rename(tmp_path / "main.json")
    assert Result.load(tmp_path / "main.json").document.digest == rich.document.digest


# Reading


def test_values_are_found_by_any_address(rich: Result) -> None:
    """Every form of an address reads the same value."""
    assert rich["recall"].number == 1 / 3
    assert rich['fid[label="a cat"]'] is rich.by_address['fid[label="a cat"]']
    assert rich.name == "modèle-1"


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("recal", "did you mean 'recall'"),
        ("fid", "fid is given by group, such as fid[label"),
        ("fid[label=dog]", "fid[label=dog] was not measured"),
        ("fid[", "is not an address"),
    ],
)
def test_absent_values_are_told(rich: Result, address: str, told: str) -> None:
    """What is not there is a `KeyError` with a sentence."""
    with pytest.raises(KeyError) as caught:
        rich[address]
    assert told in caught.value.args[0]


def test_to_pandas(rich: Result) -> None:
    """One row a value, with problems and open intervals as missing."""
    frame = rich.to_pandas()
    assert frame["address"].tolist() == ['fid[label="a cat"]', "kid", "recall"]
    assert frame["n"].tolist() == [5000, 100, 100]
    assert frame["number"].isna().tolist() == [False, True, False]
    assert frame["low"].isna().tolist() == [False, True, True]
    assert frame["problem"].iloc[1] == "too few samples"
    assert frame["direction"].tolist() == ["lower", "higher", "higher"]
    # 12.5 ± 1.959964 * 0.5
    assert frame["high"].iloc[0] == pytest.approx(13.479982, abs=1e-6)


class Tags(HTMLParser):
    """The tags and the text of a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Note the tag; nothing here has attributes."""
        assert not attrs
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        """Collect the text."""
        self.text += data


def test_html_escapes(make_value: MakeValue, make_result: MakeResult) -> None:
    """Names, problems and cautions of strangers are text in a notebook, never markup."""
    value = make_value("score", problem=HOSTILE)
    result = make_result([value], HOSTILE, suite=HOSTILE, cautions=(HOSTILE,))
    page = Tags(result._repr_html_())
    assert page.tags <= {"table", "caption", "tr", "th", "td", "p"}
    assert page.text.count(HOSTILE) == 4


def test_html_shows_the_numbers(rich: Result) -> None:
    """The table of a notebook holds addresses, numbers and problems."""
    text = Tags(rich._repr_html_()).text
    for part in ('fid[label="a cat"]', "12.5", "13.48", "0.333333", "too few samples", "modèle-1"):
        assert part in text


# Evidence


@pytest.fixture
def scored(make_scored: MakeResult, tmp_path: Path) -> tuple[Path, Result]:
    """A result with evidence of two roles, written with its samples.parquet."""
    reference = Evidence("influence", ("r1", "r2"), np.array([0.5, -0.5]))
    result = make_scored([0.1, 0.2, 1 / 3], ids=["a", "b", "c"], reference=reference)
    write_result(result.document, tmp_path)
    save(result, tmp_path / "samples.parquet")
    return tmp_path, result


def save(result: Result, path: Path, columns: Mapping[str, list[Any]] | None = None) -> None:
    """Write the evidence of a result in the layout of samples.parquet, with columns replaced."""
    evidence = {value.address: result.evidence(value) for value in result.values()}
    tables = []
    for role, ids in ((Role.GENERATED, ("a", "b", "c", "d")), (Role.REFERENCE, ("r1", "r2"))):
        found = evidence_columns(role, ids, evidence)
        tables.append(pa.table({"role": [role.value] * len(ids), "id": list(ids), **found}))
    table = pa.concat_tables(tables)
    for name, cells in (columns or {}).items():
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array(cells))
    pq.write_table(table, path)


def test_evidence_round_trip(scored: tuple[Path, Result]) -> None:
    """Evidence is read back with kind, ids and every bit of its rows."""
    folder, result = scored
    again = Result.load(folder)
    mine, theirs = result.evidence(result["score"]), again.evidence(again["score"])
    assert set(theirs) == {Role.GENERATED, Role.REFERENCE}
    for role in mine:
        assert theirs[role].kind == mine[role].kind
        assert theirs[role].ids == mine[role].ids
        assert (theirs[role].rows == mine[role].rows).all()


@pytest.mark.parametrize(
    "cells",
    [
        [0.1, 0.2, 0.3, None, 0.5, -0.5],
        [0.1, 0.2, math.nextafter(1 / 3, 1), None, 0.5, -0.5],
        [0.2, 0.1, 1 / 3, None, 0.5, -0.5],
        [0.1, 0.2, None, None, 0.5, -0.5],
        [0.1, 0.2, 1 / 3, 0.0, 0.5, -0.5],
        [math.nan, 0.2, 1 / 3, None, 0.5, -0.5],
        [None, None, None, None, 0.5, -0.5],
    ],
    ids=["changed", "last bit", "swapped", "missing", "added", "nan", "all missing"],
)
def test_damaged_evidence_is_left_out(scored: tuple[Path, Result], cells: list[Any]) -> None:
    """Rows that are not those the document notes are not evidence; the other role's are."""
    folder, result = scored
    save(result, folder / "samples.parquet", {"evidence:score": cells})
    again = Result.load(folder)
    assert set(again.evidence(again["score"])) == {Role.REFERENCE}


def test_renamed_samples_are_damage(scored: tuple[Path, Result]) -> None:
    """Rows under other ids are not the evidence that was noted."""
    folder, result = scored
    save(result, folder / "samples.parquet", {"id": ["a", "b", "x", "d", "r1", "r2"]})
    again = Result.load(folder)
    assert set(again.evidence(again["score"])) == {Role.REFERENCE}


@pytest.mark.parametrize("cells", [["x", "y", "z", None, "v", "w"], [[1.0]] * 6])
def test_evidence_of_another_type_is_left_out(
    scored: tuple[Path, Result], cells: list[Any]
) -> None:
    """A column that holds no numbers is damage like any other."""
    folder, result = scored
    save(result, folder / "samples.parquet", {"evidence:score": cells})
    again = Result.load(folder)
    assert again.evidence(again["score"]) == {}


def test_evidence_may_be_absent(scored: tuple[Path, Result]) -> None:
    """Without its column, or without the file, a value has no evidence."""
    folder, _ = scored
    path = folder / "samples.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["evidence:score"]), path)
    again = Result.load(folder)
    assert again.evidence(again["score"]) == {}
    path.unlink()
    again = Result.load(folder)
    assert again.evidence(again["score"]) == {}


def test_the_note_sees_ids_rows_and_their_order() -> None:
    """Evidence is told apart by any row, any id, and their order."""
    rows = np.array([0.1, 0.2])
    notes = {
        evidence_note(Evidence("scores", ids, values), "score").digest
        for ids, values in [
            (("a", "b"), rows),
            (("b", "a"), rows),
            (("a", "b"), rows[::-1]),
            (("a", "c"), rows),
            (("a", "b"), rows + 1e-16),
            (("ab", ""), rows),
        ]
    }
    # 0.1 + 1e-16 is another double, 0.2 + 1e-16 too
    assert len(notes) == 6
