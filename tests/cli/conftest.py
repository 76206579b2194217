"""The command in this process, and run directories that several tests read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from geneval.cli.entry import run_app
from geneval.suite import load_suite

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """`geneval` with these arguments, run in this process in a fresh working folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        capsys.readouterr()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["geneval", *words])
            patched.setattr(sys, "path", [*sys.path])  # adapters are looked for beside the suite
            with pytest.raises(SystemExit) as ended:
                run_app()
        told = capsys.readouterr()
        return CompletedProcess(words, int(ended.value.code or 0), told.out, told.err)

    return run


@pytest.fixture(scope="session")
def step_runs(
    run_checkpoints: Callable[..., dict[str, Path]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Run directories of three checkpoints under a short `digits`: 300 samples each, all kept."""
    choices = ["name=digits", "generate.n=300", "generate.adapter=digits", "keep_samples=all"]
    choices += ["metrics.class_balance.labels=predicted", 'gates=["fid.debiased <= 6"]']
    suite = load_suite("fid,class_balance", choices)
    steps = ("step-000250", "step-001000", "step-004000")
    return run_checkpoints(tmp_path_factory.mktemp("step-runs"), suite, *steps)
