"""geneval.ledger: shards that are whole or absent, and manifests that notice changes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from geneval.errors import UsageError
from geneval.ledger import Ledger, Shard, atomic_write, default_root, file_digest

KEY, OTHER = "ab" * 32, "cd" * 32
SHARD = Shard(
    {"rows": np.arange(6, dtype=np.float32).reshape(2, 3), "good": np.array([0, 2])},
    {"bad": {"1": "x"}, "number": 1.25},
)


def _same(a: Shard | None, b: Shard) -> bool:
    return (
        a is not None
        and dict(a.facts) == dict(b.facts)
        and set(a.arrays) == set(b.arrays)
        and all(
            a.arrays[n].dtype == b.arrays[n].dtype
            and a.arrays[n].shape == b.arrays[n].shape
            and a.arrays[n].tobytes() == b.arrays[n].tobytes()
            for n in b.arrays
        )
    )


def _file(ledger: Ledger) -> Path:
    """The one shard's file."""
    (path,) = (p for p in ledger.root.rglob("*") if p.is_file())
    return path


def _refuse(code: int) -> Callable[[int], None]:
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_shard_comes_back_as_it_was(ledger: Ledger) -> None:
    """Arrays keep bytes, dtype and shape; facts keep their values; other keys are absent."""
    assert not ledger.has(KEY)
    assert ledger.read(KEY) is None
    ledger.write(KEY, SHARD)
    assert ledger.has(KEY)
    assert _same(ledger.read(KEY), SHARD)
    assert _same(Ledger(ledger.root).read(KEY), SHARD)
    assert not ledger.has(OTHER)
    assert ledger.read(OTHER) is None


@given(
    rows=arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8]),
        array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
    ),
    facts=st.dictionaries(
        st.text(max_size=5).filter(lambda name: name != "checksum"),
        st.one_of(st.text(max_size=5), st.integers(), st.floats(allow_nan=False, width=32)).filter(
            lambda value: value not in (float("inf"), float("-inf"))
        ),
        max_size=3,
    ),
)
def test_any_array_and_facts_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: NDArray[Any], facts: dict[str, Any]
) -> None:
    """Empty arrays, NaN payloads, Unicode facts: what is written is what is read."""
    ledger = Ledger(tmp_path_factory.mktemp("any"))
    shard = Shard({"rows": rows, "turned": rows.T}, facts)
    ledger.write(KEY, shard)
    assert _same(ledger.read(KEY), shard)


def test_writing_again_replaces(ledger: Ledger) -> None:
    """A second write under the same name is what is read, and leaves one file."""
    ledger.write(KEY, SHARD)
    ledger.write(KEY, Shard({"rows": np.ones(1)}, {}))
    assert _same(ledger.read(KEY), Shard({"rows": np.ones(1)}, {}))
    assert _file(ledger).is_file()


@pytest.mark.parametrize("part", ["arrays", "header and facts"])
def test_a_damaged_byte_makes_a_shard_absent(ledger: Ledger, part: str) -> None:
    """Whichever bit of a shard's file flips, it reads as absent or as it was, never otherwise."""
    ledger.write(KEY, SHARD)
    path = _file(ledger)
    whole = path.read_bytes()
    data = len(whole) - sum(array.nbytes for array in SHARD.arrays.values())  # lies at the end
    wrong = []
    for at in range(data, len(whole)) if part == "arrays" else range(data):
        for bit in (0x01, 0x10):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
            found = ledger.read(KEY)
            if found is not None and not _same(found, SHARD):
                wrong.append((at, dict(found.facts)))
    assert wrong == []


def test_a_truncated_shard_is_absent(ledger: Ledger) -> None:
    """A file cut at any length, or grown by a byte, is no shard."""
    ledger.write(KEY, SHARD)
    path = _file(ledger)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert ledger.read(KEY) is None
    path.write_bytes(whole + b"\0")
    assert ledger.read(KEY) is None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failed_write_leaves_nothing_behind(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """On a full or failing disk the old shard stays whole and no partial file remains."""
    ledger.write(KEY, SHARD)
    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", _refuse(code))
        for key in (KEY, OTHER):
            with pytest.raises(UsageError, match="cannot be written"):
                ledger.write(key, Shard({"rows": np.ones(9)}, {}))
    assert _same(ledger.read(KEY), SHARD)
    assert not ledger.has(OTHER)
    assert _file(ledger).suffix == ".safetensors"


def test_atomic_write_makes_folders_and_replaces(tmp_path: Path) -> None:
    """Missing folders are made, an older file is replaced, and only the file remains."""
    path = tmp_path / "a" / "b" / "file.txt"
    atomic_write(path, b"old")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_atomic_write_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted write leaves the old content and no partial file."""
    path = tmp_path / "file.txt"
    atomic_write(path, b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


class Counter:
    """Digests a file and counts how often it was asked to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls = 0

    def __call__(self) -> list[str]:
        """The digest of the file, once more."""
        self.calls += 1
        return [file_digest(self.path)]


def _asked(ledger: Ledger, counter: Counter) -> list[str]:
    with ledger.manifest(counter.path.parent) as manifest:
        return manifest.digests(counter.path, counter)


def _old(path: Path, text: str, mtime: int = 1_000_000_000) -> Counter:
    path.write_text(text)
    os.utime(path, ns=(mtime, mtime))
    return Counter(path)


def test_a_manifest_remembers(tmp_path: Path, ledger: Ledger) -> None:
    """An unchanged file is digested once, also by a ledger opened later."""
    counter = _old(tmp_path / "a", "one")
    first = _asked(ledger, counter)
    assert _asked(Ledger(ledger.root), counter) == first == [file_digest(tmp_path / "a")]
    assert counter.calls == 1


def test_a_manifest_keeps_files_apart(tmp_path: Path, ledger: Ledger) -> None:
    """Files of one folder with one size and time have each their own digests."""
    a, b = _old(tmp_path / "a", "one"), _old(tmp_path / "b", "two")
    assert _asked(ledger, a) != _asked(ledger, b)
    assert _asked(ledger, a) == [file_digest(a.path)]
    assert (a.calls, b.calls) == (1, 1)


@pytest.mark.parametrize(
    ("text", "mtime"),
    [("longer", 1_000_000_000), ("two", 1_000_000_001)],
    ids=["size", "mtime"],
)
def test_a_manifest_notices_size_and_time(
    tmp_path: Path, ledger: Ledger, text: str, mtime: int
) -> None:
    """A file of another size, or touched by one nanosecond, is digested again."""
    _asked(ledger, _old(tmp_path / "a", "one"))
    changed = _old(tmp_path / "a", text, mtime)
    assert _asked(ledger, changed) == [file_digest(changed.path)]
    assert changed.calls == 1


def test_verify_notices_content(tmp_path: Path, ledger: Ledger) -> None:
    """With `verify`, content of the same size and time is digested again and remembered."""
    _asked(ledger, _old(tmp_path / "a", "one"))
    changed = _old(tmp_path / "a", "two")
    fresh = [file_digest(changed.path)]
    assert _asked(Ledger(ledger.root, verify=True), changed) == fresh
    assert _asked(ledger, changed) == fresh
    assert changed.calls == 1


def test_a_file_just_written_is_not_trusted(tmp_path: Path, ledger: Ledger) -> None:
    """Within the clock's resolution a second write shows no new time, so nothing is remembered."""
    path = tmp_path / "a"
    path.write_text("one")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    _asked(ledger, Counter(path))
    path.write_text("two")
    os.utime(path, ns=times)
    assert _asked(ledger, Counter(path)) == [file_digest(path)]


@pytest.mark.parametrize("content", [b"", b"{oops", b"\xff\xfe", b'{"a": 1'])
def test_a_damaged_manifest_is_made_again(tmp_path: Path, ledger: Ledger, content: bytes) -> None:
    """A manifest that cannot be read is as good as none."""
    counter = _old(tmp_path / "a", "one")
    _asked(ledger, counter)
    _file(ledger).write_bytes(content)
    assert _asked(ledger, counter) == [file_digest(counter.path)]
    assert counter.calls == 2
    _asked(ledger, counter)
    assert counter.calls == 2


def test_rates_are_remembered_by_name(ledger: Ledger) -> None:
    """The last rate of each pass is known to later ledgers; an unknown pass has none."""
    assert ledger.rate("a") is None
    ledger.note_rate("a", 10.0)
    ledger.note_rate("b", 20.0)
    ledger.note_rate("a", 30.0)
    again = Ledger(ledger.root)
    assert (again.rate("a"), again.rate("b"), again.rate("c")) == (30.0, 20.0, None)


@pytest.mark.parametrize("content", [b"", b"{oops", b"\xff\xfe", b"\0" * 9])
def test_damaged_rates_are_forgotten(ledger: Ledger, content: bytes) -> None:
    """A rates file that cannot be read neither stops a plan nor the next run."""
    ledger.note_rate("a", 10.0)
    _file(ledger).write_bytes(content)
    assert ledger.rate("a") is None
    ledger.note_rate("b", 20.0)
    assert ledger.rate("b") == 20.0


def _use_manifest(ledger: Ledger, path: Path) -> None:
    with ledger.manifest(path.parent) as manifest:
        manifest.digests(path, lambda: [OTHER])


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda ledger, path: ledger.write(KEY, SHARD), id="shard"),
        pytest.param(lambda ledger, path: ledger.note_rate("a", 1.0), id="rate"),
        pytest.param(_use_manifest, id="manifest"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_usage_error(
    tmp_path: Path, use: Callable[[Ledger, Path], None]
) -> None:
    """Where the ledger cannot be, every use says so in one sentence that names the way out."""
    root = tmp_path / "cache"
    root.write_text("a file where the folder should be")
    counter = _old(tmp_path / "a", "one")
    with pytest.raises(UsageError, match="GENEVAL_CACHE") as caught:
        use(Ledger(root), counter.path)
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert root.read_text() == "a file where the folder should be"


def test_nothing_is_known_where_no_ledger_can_be(tmp_path: Path) -> None:
    """Asking an impossible ledger finds nothing, which is all a plan needs."""
    (tmp_path / "cache").touch()
    ledger = Ledger(tmp_path / "cache")
    assert not ledger.has(KEY)
    assert ledger.read(KEY) is None
    assert ledger.rate("a") is None


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    """The ledger's folder appears with the first write only."""
    ledger = Ledger(tmp_path / "cache")
    ledger.read(KEY)
    ledger.rate("a")
    assert not ledger.root.exists()


def test_default_root_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`$GENEVAL_CACHE` if set, else a folder of geneval's own in the platform's cache."""
    monkeypatch.setenv("GENEVAL_CACHE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.delenv("GENEVAL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_root().is_absolute()
    assert "geneval" in default_root().parts
