"""Strict YAML: data and nothing else, with line numbers, and no way to crash the reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.errors import UsageError
from geneval.strict_yaml import MAX_BYTES, MAX_DEPTH, load, loads

QUICK = settings(max_examples=300, deadline=None, database=None, derandomize=True)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("1e-3", "1e-3"),
        ("1e3", "1e3"),
        ("1.5e-3", 0.0015),
        ("1.", 1.0),
        ("0.25", 0.25),
        ("-2.5", -2.5),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("0b11", "0b11"),
        ("12:30", "12:30"),
        ("12:30:45", "12:30:45"),
        ("190:20:30.15", "190:20:30.15"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T12:00:00Z", "2024-01-01T12:00:00Z"),
        ("no", "no"),
        ("No", "No"),
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("y", "y"),
        ("n", "n"),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("FALSE", "FALSE"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("-.inf", "-.inf"),
        ("nan", "nan"),
        ("null", None),
        ("~", None),
        ("", None),
        ("Null", "Null"),
        ('"12"', "12"),
        ("'true'", "true"),
        ("5%", "5%"),
        ("<<", "<<"),
        ("=", "="),
        ("fid <= 12", "fid <= 12"),
    ],
)
def test_scalars(text: str, content: Any) -> None:
    """Text stays text unless it is plainly a number, true, false or null."""
    found = loads(f"key: {text}\n", "s.yaml")[0]["key"]
    assert found == content
    assert type(found) is type(content)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: &x 1\nb: *x\n", 2, "aliases"),
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice"),
        ("a:\n  k: 1\n  k: 1\n", 3, "'k' is given twice"),
        ('a: 1\n"a": 1\n', 2, "'a' is given twice"),
        ("x: {k: 1, k: 2}\n", 1, "'k' is given twice"),
        ("a: 1\n<<: {b: 2}\n", 2, "keys are plain words"),
        ("? [a, b]\n: 1\n", 1, "keys are plain words"),
        ("? {a: b}\n: 1\n", 1, "keys are plain words"),
        ("a: 1\nb: !!binary aGk=\n", 2, "binary is not allowed"),
        ("a: !!timestamp 2024-01-01\n", 1, "timestamp is not allowed"),
        ("a: !local 1\n", 1, "!local is not allowed"),
        ("a: !!python/name:os.system\n", 1, "os.system is not allowed"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "not allowed"),
        ("a: 1\nb: !!python/tuple [1, 2]\n", 2, "not allowed"),
        ("a: !!set {x, y}\n", 1, "not allowed"),
        ("a: !local {x: 1}\n", 1, "not allowed"),
        ("!!python/name:os.system a: 1\n", 1, "not allowed"),
        ("a: 1\nb: !!int abc\n", 2, ""),
        ("a: !!bool maybe\n", 1, ""),
        ("a: !!float x\n", 1, ""),
        ("a: 1\n---\nb: 1\n", 2, "not YAML"),
        ("a: 1\nb: [1, 2\n", 3, "not YAML"),
        ("a: 'b\n", 2, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: b: c\n", 1, "not YAML"),
    ],
)
def test_what_is_refused(text: str, line: int, reason: str) -> None:
    """Whatever is not plain data is refused with file, line and the reason."""
    with pytest.raises(UsageError) as caught:
        loads(text, "s.yaml")
    assert str(caught.value).startswith(f"s.yaml:{line}: ")
    assert reason in str(caught.value)


def test_a_billion_laughs() -> None:
    """The 300-byte alias bomb is refused before anything is expanded."""
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    with pytest.raises(UsageError, match=r"^s\.yaml:2: aliases"):
        loads("\n".join(rows), "s.yaml")


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200, 3000])
@pytest.mark.parametrize("kind", ["[]", "{}", "block"])
def test_nesting_has_a_limit(depth: int, kind: str) -> None:
    """However deep a file is nested, it is refused and does not exhaust the stack."""
    text = {
        "[]": "[" * depth + "]" * depth,
        "{}": "{a: " * depth + "}" * depth,
        "block": "- " * depth + "x",
    }[kind]
    with pytest.raises(UsageError, match=rf"^s\.yaml:1: nested deeper than {MAX_DEPTH} levels"):
        loads(f"a: {text}\n" if kind != "block" else text, "s.yaml")


def test_the_deepest_that_is_allowed() -> None:
    """Nesting up to the limit is data."""
    content = loads("[" * MAX_DEPTH + "]" * MAX_DEPTH, "s.yaml")[0]
    for _ in range(MAX_DEPTH - 1):
        (content,) = content
    assert content == []


def test_a_number_too_long_to_read() -> None:
    """Python refuses to read an integer of 5,000 digits; that is the author's mistake, told so."""
    with pytest.raises(UsageError, match=r"^s\.yaml:2: "):
        loads(f"a: 1\nseed: {'9' * 5000}\n", "s.yaml")


def test_files_have_a_limit(tmp_path: Path) -> None:
    """A file beyond 1 MiB is refused unread as YAML; one at the limit is read."""
    path = tmp_path / "s.yaml"
    path.write_text("a: 1 #" + "x" * (MAX_BYTES - 6))
    assert load(path)[0] == {"a": 1}
    path.write_text("a: 1 #" + "x" * (MAX_BYTES - 5))
    with pytest.raises(UsageError, match="larger than 1,048,576 bytes"):
        load(path)


@pytest.mark.parametrize("data", [b"a: \xff\xfe", b"\x80", b"a: \x00", b"a: \x1b[31m"])
def test_files_are_printable_utf8(tmp_path: Path, data: bytes) -> None:
    """Bytes that are no UTF-8, and control characters, are refused with the file's name."""
    path = tmp_path / "s.yaml"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"s\.yaml"):
        load(path)


def test_places_have_lines() -> None:
    """Every place of the content knows the line it was written in; a key's line is its own."""
    text = "a: 1\n\n# told\nlist:\n  - x\n  - kid:\n      k: 3\n      flow: {p: 1, q: [2,\n 3]}\n"
    marks = loads(text, "s.yaml")[1]
    assert marks == {
        (): "s.yaml:1",
        ("a",): "s.yaml:1",
        ("list",): "s.yaml:4",
        ("list", 0): "s.yaml:5",
        ("list", 1): "s.yaml:6",
        ("list", 1, "kid"): "s.yaml:6",
        ("list", 1, "kid", "k"): "s.yaml:7",
        ("list", 1, "kid", "flow"): "s.yaml:8",
        ("list", 1, "kid", "flow", "p"): "s.yaml:8",
        ("list", 1, "kid", "flow", "q"): "s.yaml:8",
        ("list", 1, "kid", "flow", "q", 0): "s.yaml:8",
        ("list", 1, "kid", "flow", "q", 1): "s.yaml:9",
    }


def test_keys_are_text() -> None:
    """A key is the word that was written, never a number or a truth value."""
    assert loads("1: a\ntrue: b\nno: c\n", "s.yaml")[0] == {"1": "a", "true": "b", "no": "c"}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_nothing_is_none(text: str) -> None:
    """An empty file holds nothing."""
    assert loads(text, "s.yaml")[0] is None


plain = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=12)
leaves = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | plain
documents = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(plain.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)


@QUICK
@given(documents)
def test_json_means_the_same(content: Any) -> None:
    """JSON of text, whole numbers, booleans and nulls is YAML of the same content."""
    assert loads(json.dumps(content, ensure_ascii=False), "s.yaml")[0] == content


@QUICK
@given(st.text(st.sampled_from("ab01.-+:,[]{}#&*!|>'\"%@`~?\n\t \\<=\u0085\ud83d\ufeff")))
def test_any_text_is_content_or_a_usage_error(text: str) -> None:
    """Nothing but a `UsageError` leaves the reader, whatever it is fed."""
    try:
        _, marks = loads(text, "s.yaml")
    except UsageError as error:
        assert str(error).startswith("s.yaml")
    else:
        assert all(at.startswith("s.yaml:") for at in marks.values())
