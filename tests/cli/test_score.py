"""`geneval score`: kept samples evaluated again, without the checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from geneval.examples.digits.demo import FOLDER
from geneval.extractors.digits import EMBEDDED
from geneval.result import Result

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def kept(step_runs: dict[str, Path]) -> Path:
    """A run of 300 samples that were all kept."""
    return step_runs["step-004000"]


def scored(told: CompletedProcess[str]) -> Result:
    """The result that `score --json` wrote."""
    return Result.load(Path(json.loads(told.stdout)["runs"][0]["directory"]))


def test_same_values_without_the_checkpoint(
    command: Command, digit_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """With the checkpoint gone, kept samples give the very values and verdicts of their run."""
    shutil.copy(FOLDER / "step-001000.safetensors", tmp_path / "model-step-1000.safetensors")
    words = ("run", "digits", "--checkpoint", "model-step-1000.safetensors", "--reference")
    more = ("--set", "generate.n=300", "--set", "metrics.kid.subset_size=100", "--json")
    told = command(*words, digit_files[1], *more, "--set", "keep_samples=all")
    first = Result.load(Path(json.loads(told.stdout)["runs"][0]["directory"]))
    (tmp_path / "model-step-1000.safetensors").unlink()
    assert first.directory is not None
    again = command("score", first.directory, "--out", "again", "--json")
    assert again.returncode == told.returncode
    second = scored(again)
    assert second.document.subject == first.document.subject
    assert second.document.suite == first.document.suite
    for value, repeated in zip(first.values(), second.values(), strict=True):
        assert repeated.address == value.address
        assert repeated.number == value.number
        assert repeated.interval == value.interval
        assert repeated.signature == value.signature
    verdicts = [
        [
            verdict["sentence"]
            for verdict in json.loads(one.stdout)["runs"][0]["judgement"]["verdicts"]
        ]
        for one in (told, again)
    ]
    assert verdicts[0] == verdicts[1]


def test_nothing_is_generated(
    command: Command, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scoring neither loads nor asks a checkpoint."""

    def never(*arguments: object) -> None:
        raise AssertionError(f"a checkpoint was loaded: {arguments}")

    monkeypatch.setattr("geneval.evaluator.load_checkpoint", never)
    monkeypatch.setattr("geneval.checkpoint.AdaptedCheckpoint.generate", never)
    told = command("score", kept, "--json")
    assert told.stderr.startswith("step-004000 under digits\n")
    assert scored(told).name == "step-004000"


def test_other_suite_and_options(command: Command, kept: Path) -> None:
    """`--suite` and `--set` choose what is measured; the subject stays the checkpoint."""
    told = command("score", kept, "--suite", "fid,precision_recall", "--json")
    result = scored(told)
    assert [measured.key for measured in result.document.metrics] == ["fid", "precision_recall"]
    assert (result.document.subject.kind, result.document.subject.step) == ("checkpoint", 4000)
    words = ("--suite", "mind", "--set", "extractor=pixels", "--set", "metrics.mind.blocks=5")
    fields = dict(scored(command("score", kept, *words, "--json"))["mind"].signature.fields)
    assert (fields["ext"], fields["blocks"]) == ("pixels", 5)


def test_other_reference(command: Command, kept: Path, digit_files: tuple[Path, Path]) -> None:
    """`--reference` replaces the run's own."""
    told = command("score", kept, "--suite", "fid", "--reference", digit_files[0], "--json")
    sets = {role.value: note.n for role, note in scored(told).document.sets.items()}
    assert sets == {"generated": 300, "reference": 1197}  # the training digits


def test_run_without_kept_samples_is_refused(command: Command, kept: Path, tmp_path: Path) -> None:
    """A run that kept nothing cannot be scored: 2, and the sentence says how to keep samples."""
    bare = tmp_path / "bare"
    shutil.copytree(kept, bare, ignore=shutil.ignore_patterns("samples"))
    told = command("score", bare)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == (
        f"geneval: {bare} kept no samples; run the checkpoint with --set keep_samples=all\n"
    )
    assert not Path("runs").exists()


def test_requested_labels_are_not_given_labels(command: Command, kept: Path) -> None:
    """The labels of kept samples are those asked for, so `labels: given` is refused with 2."""
    told = command("score", kept, "--set", "metrics.class_balance.labels=given")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.count("\n") == 1
    assert "`labels: predicted`" in told.stderr


def test_reference_that_has_moved(command: Command, kept: Path, tmp_path: Path) -> None:
    """Where the run's reference is gone, the sentence names the path it was at."""
    moved = tmp_path / "moved"
    shutil.copytree(kept, moved)
    content = json.loads((moved / "result.json").read_bytes())
    content["provenance"]["sets"]["reference"] = str(tmp_path / "gone.npz")
    (moved / "result.json").write_text(json.dumps(content))
    told = command("score", moved)
    assert told.returncode == 2
    assert told.stderr.startswith(f"geneval: {tmp_path / 'gone.npz'} does not exist")


def test_only_the_chosen_cache_is_written(
    command: Command, kept: Path, tmp_path: Path, cache: Path
) -> None:
    """`score --cache` keeps everything in that folder, what it learns of kept files included."""
    copied = tmp_path / "copied"
    shutil.copytree(kept, copied)
    long_ago = time.time() - 3600  # only settled files are remembered
    for path in (copied / "samples").iterdir():
        os.utime(path, (long_ago, long_ago))
    told = command("score", copied, "--suite", "fid", "--cache", tmp_path / "mine")
    assert told.returncode == 0
    assert list((tmp_path / "mine").rglob("*.safetensors"))
    assert list(cache.rglob("*")) == []


def test_text_output_names_values_and_report(command: Command, kept: Path) -> None:
    """Without `--json` the values are printed as `run` prints them."""
    told = command("score", kept, "--suite", "fid")
    assert told.returncode == 0
    lines = told.stdout.splitlines()
    assert lines[0] == "step-004000 under ad-hoc: not judged (no gates)"
    assert [line.split()[0] for line in lines[1:4]] == ["value", "fid", "fid.debiased"]
    assert lines[-1].startswith("  report: runs/ad-hoc/step-004000/")


def test_a_partial_run_stays_partial(
    command: Command, digit_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """What `--limit` cut short is never gated, however often it is scored."""
    words = ("run", "digits", "--checkpoint", FOLDER / "step-004000.safetensors", "--limit", 120)
    more = ("--reference", digit_files[1], "--set", "metrics.kid.subset_size=50", "--json")
    told = command(*words, *more, "--set", "keep_samples=all")
    directory = json.loads(told.stdout)["runs"][0]["directory"]
    again = command("score", directory)
    assert (told.returncode, again.returncode) == (3, 3)
    assert again.stdout.count("the run is partial (--limit 120) and is never gated") == 4


def test_another_reference_at_the_same_path_is_refused(
    command: Command, digit_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """The run's own reference is known by what it holds; other data there is not taken for it."""
    shutil.copy(digit_files[1], "data.npz")
    words = ("run", "fid", "--adapter", "digits", "--set", "generate.n=60", "--json")
    more = ("--checkpoint", FOLDER / "step-004000.safetensors", "--reference", "data.npz")
    told = command(*words, *more, "--set", "keep_samples=all")
    directory = Path(json.loads(told.stdout)["runs"][0]["directory"]).resolve()
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    assert command("score", directory).returncode == 0  # a relative path is of the run's folder
    shutil.copy(digit_files[0], directory.parents[3] / "data.npz")
    refused = command("score", directory)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "is not the reference of that run any more; give --reference PATH" in refused.stderr
    given = command("score", directory, "--reference", digit_files[0])
    assert given.returncode == 0


def test_weights_and_baselines_of_the_run_are_found_again(
    command: Command, digit_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Paths are no part of a suite's document; the run's provenance has them."""
    Path("mine.safetensors").write_bytes(EMBEDDED.read_bytes())
    words = ("run", "--adapter", "digits", "--checkpoint", FOLDER / "step-004000.safetensors")
    more = ("--reference", digit_files[1], "--json", "--set", "generate.n=60")
    base = command(words[0], "fid", *words[1:], *more)
    baseline = json.loads(base.stdout)["runs"][0]["directory"]
    Path("mine.yaml").write_text(
        "version: 1\nname: mine\nkeep_samples: all\nweights: {digits: mine.safetensors}\n"
        f"baselines: {{last: {baseline}}}\nmetrics: [fid]\n"
        "gates: [{value: fid, no_worse_than: last, margin: 100}]\n"
    )
    told = command(words[0], "mine.yaml", *words[1:], *more)
    assert told.returncode == 0, told.stderr + told.stdout
    directory = Path(json.loads(told.stdout)["runs"][0]["directory"]).resolve()
    os.chdir("/")
    again = command("score", directory, "--out", tmp_path / "again", "--json")
    assert again.returncode == 0, again.stderr
    Path(tmp_path / "mine.safetensors").unlink()
    assert "mine.safetensors" in command("score", directory).stderr
