"""`geneval weights`: list, pull, add, verify; the published file is played by a local one."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from geneval.extractors import weights
from geneval.ledger import file_digest

Command = Callable[..., CompletedProcess[str]]
NAME = "inception-v3"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is published, as far as geneval knows, at its own address."""
    monkeypatch.delenv("GENEVAL_WEIGHTS", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    path = tmp_path / "published.pth"
    path.write_bytes(b"weights")
    known = weights.Published(path.as_uri(), file_digest(path)[:8])
    monkeypatch.setattr(weights, "PUBLISHED", {NAME: known})
    return path


def test_pull_fetches_and_checks(command: Command, stand_in: Path, cache: Path) -> None:
    """What is fetched is kept in the cache, found from then on, and verified."""
    assert f"absent; published at {stand_in.as_uri()}" in command("weights", "list").stdout
    told = command("weights", "pull", NAME)
    kept = cache / "weights" / f"{NAME}.pth"
    assert (told.returncode, told.stdout.strip()) == (0, str(kept))
    assert kept.read_bytes() == stand_in.read_bytes()
    assert str(kept) in command("weights", "list").stdout
    assert command("weights", "verify", NAME).returncode == 0


def test_a_file_that_is_not_the_published_one_is_not_kept(
    command: Command, stand_in: Path, cache: Path
) -> None:
    """A download of other bytes is refused with both digests, and nothing stays behind."""
    stand_in.write_bytes(b"tampered")
    told = command("weights", "pull", NAME)
    assert told.returncode == 2
    assert "are not the published ones" in told.stderr
    assert not [path for path in cache.rglob("*") if path.is_file()]


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_offline_pulls_nothing(
    command: Command, stand_in: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """`--offline` and HF_HUB_OFFLINE say where the file is and how to bring it."""
    if how == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    told = command("weights", "pull", NAME, *(["--offline"] if how == "flag" else []))
    assert told.returncode == 2
    assert stand_in.as_uri() in told.stderr
    assert f"geneval weights add {NAME} PATH" in told.stderr


def test_an_unreachable_address_is_one_sentence(command: Command, stand_in: Path) -> None:
    """A failing download is an error with the address, and no traceback."""
    stand_in.unlink()
    told = command("weights", "pull", NAME)
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert "cannot be fetched" in told.stderr


def test_add_keeps_a_file(command: Command, stand_in: Path, cache: Path, tmp_path: Path) -> None:
    """The published file is taken; another only with `--other`, and verify says so."""
    assert command("weights", "add", NAME, stand_in).returncode == 0
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"mine")
    refused = command("weights", "add", NAME, mine)
    assert refused.returncode == 2
    assert "--other takes them all the same" in refused.stderr
    assert command("weights", "verify", NAME).returncode == 0
    assert command("weights", "add", NAME, mine, "--other").returncode == 0
    assert [path.name for path in (cache / "weights").iterdir()] == [f"{NAME}.safetensors"]
    told = command("weights", "verify", NAME)
    assert told.returncode == 1
    assert "are not the published ones" in told.stdout


def test_wrong_words(command: Command, stand_in: Path, tmp_path: Path) -> None:
    """An unknown extractor, an absent file, a file of another kind: 2 and one sentence."""
    text = tmp_path / "weights.txt"
    text.touch()
    for words, says in (
        (("pull", "inception"), "did you mean 'inception-v3'"),
        (("add", NAME, tmp_path / "absent.pth"), "does not exist"),
        (("add", NAME, text), ".safetensors, .pth, .pt"),
        (("verify", NAME), "not found"),
    ):
        told = command("weights", *words)
        assert (told.returncode, told.stdout) == (2, "")
        assert says in told.stderr


def test_pull_replaces_what_was_added(command: Command, stand_in: Path, tmp_path: Path) -> None:
    """After a pull the published weights are the ones found, whatever was there before."""
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"mine")
    command("weights", "add", NAME, mine, "--other")
    assert command("weights", "pull", NAME).returncode == 0
    assert command("weights", "verify", NAME).returncode == 0


def test_a_cache_that_cannot_be_written(
    command: Command, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence names the folder."""
    monkeypatch.setenv("GENEVAL_CACHE", "/dev/null/x")
    for words in (("pull", NAME), ("add", NAME, stand_in)):
        told = command("weights", *words)
        assert told.returncode == 2
        assert "cannot be written" in told.stderr


def test_a_download_that_breaks_off_is_not_kept(
    command: Command, stand_in: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer bytes than announced are an error with both counts, and nothing stays behind."""
    whole = urllib.request.urlopen

    def short(url: str, timeout: float) -> object:
        answer = whole(url, timeout=timeout)
        answer.headers.replace_header("Content-Length", "1000")
        return answer

    monkeypatch.setattr(urllib.request, "urlopen", short)
    told = command("weights", "pull", NAME)
    assert told.returncode == 2
    assert "7 of 1,000 bytes arrived" in told.stderr
    assert not [path for path in cache.rglob("*") if path.is_file()]
