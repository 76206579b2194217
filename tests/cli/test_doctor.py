"""`geneval doctor`: what is installed, what is missing, what to do about it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import geneval
from geneval.doctor import Finding, examine
from geneval.metric import all_metrics

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def nothing_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """No extractor needs weights that have to be fetched."""
    monkeypatch.setattr("geneval.doctor.PUBLISHED", {})


@pytest.mark.usefixtures("nothing_published")
def test_healthy_installation(command: Command, cache: Path) -> None:
    """Where all is there, the code is 0 and every line says ok, with versions and the cache."""
    told = command("doctor")
    assert (told.returncode, told.stderr) == (0, "")
    lines = told.stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}
    found = {line.split()[1]: line for line in lines}
    assert geneval.__version__ in found["geneval"]
    for package in ("torch", "numpy", "scipy", "pyarrow", "altair"):
        assert version(package) in found[package]
    assert str(cache) in found["cache"]
    assert f"{len(all_metrics())} registered" in found["metrics"]
    assert "digits" in found["adapters"]
    (weights,) = [line for line in lines if "weights of digits" in line]
    assert "embedded" in weights


def test_weights_to_fetch_are_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent weights come with the command that fetches them, and the installation is sound."""
    monkeypatch.delenv("GENEVAL_WEIGHTS", raising=False)
    told = command("doctor")
    assert told.returncode == 0
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("missing")]
    assert "weights" in line
    assert "absent: inception-v3, vgg16, " in line
    assert "geneval weights pull NAME" in told.stdout


@pytest.mark.usefixtures("twin_weights")
def test_unpublished_weights_are_told(command: Command) -> None:
    """Weights that are there but not the published ones are called that."""
    told = command("doctor")
    assert told.returncode == 0
    assert "the weights of inception-v3 are not the published ones" in told.stdout


@pytest.mark.usefixtures("nothing_published")
def test_missing_package_is_told_with_its_remedy(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is not installed is an error (3), with the command that brings it."""

    def without_altair(name: str) -> str:
        if name == "altair":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("geneval.doctor.version", without_altair)
    told = command("doctor")
    assert told.returncode == 3
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("missing")]
    assert line.split()[:2] == ["missing", "altair"]
    assert "altair: pip install altair" in told.stdout


def test_what_is_not_essential_fails_nothing(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without torchvision, which only one extractor needs, the installation is sound."""
    monkeypatch.setattr("geneval.doctor.can_import_torchvision", lambda: ("not installed", False))
    told = command("doctor")
    assert told.returncode == 0
    assert "torchvision: pip install torchvision" in told.stdout


def test_broken_plugin_is_named(tmp_path: Path) -> None:
    """A plug-in that does not load is named with its distribution and takes nothing down."""
    meta = tmp_path / "acme_metrics-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-metrics\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text("[geneval.metrics]\nsharpness = acme_absent:sharpness\n")
    told = subprocess.run(
        [sys.executable, "-m", "geneval", "doctor"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, "")
    missing = [line for line in told.stdout.splitlines() if line.startswith("missing")]
    (line,) = [line for line in missing if "plug-in" in line]
    for word in ("sharpness", "acme-metrics", "acme_absent"):
        assert word in line
    assert "update or remove that distribution" in told.stdout


@pytest.mark.usefixtures("nothing_published")
def test_cache_that_cannot_be_written(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unusable cache is essential: 3, the folder, the reason and how to choose another."""
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GENEVAL_CACHE", str(tmp_path / "file"))
    told = command("doctor")
    assert told.returncode == 3
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("missing")]
    assert line.split()[1] == "cache"
    assert str(tmp_path / "file") in line
    assert "cache: set GENEVAL_CACHE to a folder" in told.stdout


def test_examination_leaves_the_cache_as_it_was(cache: Path) -> None:
    """Looking changes nothing: the probe file is gone afterwards."""
    before = list(cache.rglob("*"))
    findings = examine()
    assert list(cache.rglob("*")) == before
    assert all(isinstance(finding, Finding) and finding.found for finding in findings)


def test_cache_size_is_what_lies_in_it(command: Command, cache: Path) -> None:
    """The cache's size is told in MiB."""
    (cache / "shards").mkdir()
    (cache / "shards" / "a").write_bytes(bytes(3 * 2**20))
    (line,) = [line for line in command("doctor").stdout.splitlines() if "cache" in line.split()]
    assert "3.0 MiB used" in line
