"""Digests of code: whatever could change a number changes the digest, in time."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from geneval.engine.memory import own_source
from geneval.extractors.pixels import Pixels
from geneval.ledger import Ledger, file_digest
from geneval.signature import digest
from geneval.source import module_source, source_of, versions


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of somebody's code that can be imported, forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def fresh(name: str) -> ModuleType:
    """The module imported as a new process would import it, after its files were written."""
    for loaded in [one for one in sys.modules if one.split(".")[0] in (name, "helper")]:
        del sys.modules[loaded]
    importlib.invalidate_caches()
    return importlib.import_module(name)


def write(path: Path, text: str) -> None:
    """Write a source file so that no stale byte code is taken for it."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    for cached in path.parent.glob("__pycache__/*"):
        cached.unlink()


def test_own_code_is_its_file_or_folder() -> None:
    """Of geneval's own classes other files change no key, but extractors count as one folder."""
    import geneval.extractors.preprocess
    import geneval.ledger

    assert source_of(Ledger) == digest([file_digest(Path(geneval.ledger.__file__))])
    files = Path(geneval.extractors.preprocess.__file__).parent.glob("*.py")
    assert source_of(Pixels) == digest(sorted(map(file_digest, files)))


def test_a_helper_beside_a_module_counts(project: Path) -> None:
    """A module's digest follows the modules it was loaded with from the same folder."""
    write(project / "helper.py", "FACTOR = 1\n")
    write(project / "mine.py", "from helper import FACTOR\ndef score(): return FACTOR\n")
    before = source_of(fresh("mine").score)
    assert source_of(fresh("mine").score) == before
    write(project / "helper.py", "FACTOR = 100\n")
    assert source_of(fresh("mine").score) != before


def test_every_file_of_a_package_counts(project: Path) -> None:
    """A package's digest follows all its files, loaded yet or not."""
    write(project / "mine" / "__init__.py", "def load(): from mine import net\n")
    write(project / "mine" / "net.py", "WIDTH = 1\n")
    before = module_source(fresh("mine"))
    write(project / "mine" / "net.py", "WIDTH = 2\n")
    assert module_source(fresh("mine")) != before


def test_files_beside_count_and_others_do_not(project: Path) -> None:
    """A file beside may be imported later; one in a folder nobody loaded from does not count."""
    write(project / "mine.py", "def score(): return 1\n")
    before = module_source(fresh("mine"))
    write(project / "scripts" / "other.py", "print()\n")
    assert module_source(fresh("mine")) == before
    write(project / "later.py", "WIDTH = 1\n")
    assert module_source(fresh("mine")) != before


def test_the_digest_is_of_the_code_that_runs(project: Path) -> None:
    """An edit after the import changes nothing in this process, where the old code still runs."""
    write(project / "mine.py", "def score(): return 1\n")
    module = fresh("mine")
    before = module_source(module)
    write(project / "mine.py", "def score(): return 2\n")
    assert module_source(module) == before
    assert module_source(fresh("mine")) != before


def test_code_without_a_file_is_like_no_other() -> None:
    """A function of a notebook has a digest of its own; defined again, it has another."""
    made: list[Any] = []
    for _ in range(2):
        space: dict[str, Any] = {"__name__": "notebook"}
        exec("def score(): return 1", space)
        made.append(space["score"])
    assert source_of(made[0]) == source_of(made[0])
    assert source_of(made[0]) != source_of(made[1])


def test_own_source_is_one_sha256() -> None:
    """geneval's own source has one digest in a process."""
    assert own_source() == own_source()
    assert len(bytes.fromhex(own_source())) == 32


def test_versions_are_those_installed() -> None:
    """The version of what is installed, None for what is not."""
    import numpy as np

    assert versions("numpy", "no-such-distribution") == {
        "numpy": np.__version__,
        "no-such-distribution": None,
    }
