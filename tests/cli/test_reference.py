"""`geneval reference`: moments built from images, shown, and used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def built(command: Command, digit_files: tuple[Path, Path]) -> CompletedProcess[str]:
    """ref.npz, of the held-out digits."""
    return command("reference", "build", digit_files[1], "--out", "ref.npz")


def test_build_says_what_it_wrote(command: Command, built: CompletedProcess[str]) -> None:
    """Count, width and what the features were made by, the same as `show` prints."""
    assert built.returncode == 0
    for part in ("samples      600", "features     64 wide", "ext          digits", "area8"):
        assert part in built.stdout
    assert command("reference", "show", "ref.npz").stdout == built.stdout


def test_a_run_takes_it_as_reference(
    command: Command, built: CompletedProcess[str], digit_files: tuple[Path, Path]
) -> None:
    """`--reference ref.npz` serves FID, and the plan refuses what it cannot serve with 2."""
    told = command("run", "fid", "--samples", digit_files[0], "--reference", "ref.npz")
    assert told.returncode == 0
    assert "1197/600" in told.stdout
    assert "known only by its moments" in told.stdout
    refused = command("run", "fid,kid", "--samples", digit_files[0], "--reference", "ref.npz")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "kid needs reference samples, but ref.npz holds moments only" in refused.stderr


def test_wrong_words(command: Command, digit_files: tuple[Path, Path], tmp_path: Path) -> None:
    """Images where moments are meant, an absent file, another suffix: 2 and one sentence."""
    for words, says in (
        (("show", digit_files[0]), "holds no moments"),
        (("show", "absent.npz"), "does not exist"),
        (("build", digit_files[0], "--out", "ref.txt"), "written as .npz"),
        (("build", "absent", "--out", "ref.npz"), "does not exist"),
    ):
        told = command("reference", *words)
        assert (told.returncode, told.stdout) == (2, "")
        assert says in told.stderr
