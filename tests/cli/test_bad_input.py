"""Wrong input: one sentence, the right exit code, nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from geneval.examples.digits.data import Split
from geneval.examples.digits.demo import FOLDER

Command = Callable[..., CompletedProcess[str]]

ADAPTERS = """
import numpy as np
from geneval import Generator

def raises_on_load(path, device):
    raise ValueError("first line\\nsecond line")

def raises_late(path, device):
    def generate(batch):
        raise ValueError("first line\\nsecond line")
    return Generator(generate)

def too_few(path, device):
    return Generator(lambda batch: np.zeros((1, 8, 8, 3), np.uint8))

def no_generator(path, device):
    return 5

def nan(path, device):
    return Generator(lambda batch: np.full((len(batch.ids), 8, 8, 3), np.nan))
"""
SUITES = {
    "metric": "version: 1\nmetrics:\n  - fid\n  - kidd\n",
    "option": "version: 1\nmetrics:\n  - fid\n  - kid:\n      subzets: 5\n",
    "type": 'version: 1\nmetrics:\n  - kid:\n      subsets: "5"\n',
    "key": "version: 1\nmetrics: [fid]\nsamplez: {}\n",
    "inner": "version: 1\nmetrics: [fid]\nsamples:\n  kind: images\n  pth: x\n",
    "twice": "version: 1\nmetrics: [fid]\nseed: 1\nseed: 2\n",
    "alias": "version: 1\nseed: &one 1\nmetrics: [fid]\n",
    "aliased": "version: 1\nseed: &one 1\nmetrics:\n  - kid: {subsets: *one}\n",
    "gate": "version: 1\nmetrics: [fid]\ngates:\n  - fid <= 3\n  - kid <= 3\n",
    "sentence": "version: 1\nmetrics: [fid]\ngates:\n  - fid is small\n",
    "baseline": "version: 1\nmetrics: [fid]\ngates:\n  - {value: fid, no_worse_than: last}\n",
    "number": "version: 1\nmetrics: [fid]\nconfidence: 1e-3\n",
    "extractor": "version: 1\nmetrics: [fid]\nextractor: digitz\n",
    "unclosed": "version: 1\nmetrics: [fid\n",
    "empty": "",
    "unversioned": "metrics: [fid]\n",
    "none": "version: 1\nmetrics: []\n",
    "control": 'version: 1\nmetrics: [fid]\ndescription: "\x01"\n',
    "by": "version: 1\nmetrics:\n  - fid: {by: colour}\n",
}


@pytest.fixture(scope="module")
def wrong(
    digits: tuple[Split, Split],
    digit_files: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with everything that can be wrong, beside two files that are right."""
    place = tmp_path_factory.mktemp("wrong")
    shutil.copy(digit_files[0], place / "train.npz")
    shutil.copy(digit_files[1], place / "held-out.npz")
    images = digits[1].images
    (place / "empty").mkdir()
    (place / "texts").mkdir()
    (place / "texts" / "a.txt").write_text("no image")
    (place / "broken").mkdir()
    for i in range(20):
        Image.fromarray(images[i]).save(place / "broken" / f"{i:02d}.png")
    (place / "broken" / "07.png").write_bytes(b"no image at all")
    np.save(place / "shape.npy", np.zeros((5, 8, 8, 7), np.uint8))
    np.save(place / "flat.npy", np.zeros((5, 64), np.uint8))
    np.save(place / "none.npy", np.zeros((0, 8, 8, 3), np.uint8))
    np.save(place / "objects.npy", np.array([{"a": 1}] * 5, dtype=object), allow_pickle=True)
    np.savez(place / "objects.npz", np.array([{"a": 1}] * 5, dtype=object))
    np.save(place / "signed.npy", images.astype(np.int16))
    np.save(place / "centred.npy", images.astype(np.float32) / 127.5 - 1)
    np.save(place / "nan.npy", np.full((5, 8, 8), np.nan, np.float32))
    np.savez(place / "labels.npz", images[:10], np.arange(9))
    np.savez(place / "unlabelled.npz", images)
    (place / "cut.npz").write_bytes((place / "held-out.npz").read_bytes()[:5000])
    (place / "notes.txt").write_text("no samples")
    tensors = load_file(FOLDER / "step-000250.safetensors")
    save_file(dict(list(tensors.items())[1:]), place / "lacking.safetensors")
    save_file({**tensors, "more": tensors["leave.bias"].clone()}, place / "surplus.safetensors")
    save_file({n: t[:1].clone() for n, t in tensors.items()}, place / "shapes.safetensors")
    (place / "garbage.safetensors").write_bytes(b"garbage")
    (place / "model.pt").write_bytes(b"garbage")
    (place / "model.pkl").write_bytes(b"garbage")
    shutil.copy(FOLDER / "step-000250.safetensors", place / "right.safetensors")
    (place / "wrong_adapters.py").write_text(ADAPTERS)
    for name, text in SUITES.items():
        (place / f"{name}.yaml").write_text(text)
    (place / "file").write_text("a file where a folder is wanted")
    return place


def case(name: str, code: int, words: str, *says: str) -> object:
    """One wrong command: its exit code, its arguments and what its sentence must contain."""
    return pytest.param(code, words.split(" "), says, id=name)


PAIR = "--samples held-out.npz --reference train.npz"
MODEL = "--reference held-out.npz --checkpoint"

BEFORE_ANY_WORK = [
    case("metric", 2, f"run fidd {PAIR}", "fidd", "did you mean 'fid'?"),
    case("one-of-two-metrics", 2, f"run fid,kidd {PAIR}", "'kidd'", "'kid'"),
    case("metric-twice", 2, f"run fid,fid {PAIR}", "twice"),
    case("suite", 2, f"run digitz {PAIR}", "'digitz'", "'digits'"),
    case("suite-file", 2, f"run nowhere.yaml {PAIR}", "nowhere.yaml does not exist"),
    case("samples", 2, "run fid --samples held-outt.npz", "held-outt.npz", "held-out.npz?"),
    case("reference", 2, "run fid --samples held-out.npz --reference trian.npz", "train.npz?"),
    case("no-samples", 2, "run fid --reference train.npz", "nothing to evaluate", "--samples"),
    case("no-reference", 2, "run fid --samples held-out.npz", "reference", "--reference PATH"),
    case("kind", 2, "run fid --samples notes.txt --reference train.npz", "notes.txt", ".npz"),
    case("empty", 2, "run fid --samples empty --reference train.npz", "empty holds no PNG"),
    case("texts", 2, "run fid --samples texts --reference train.npz", "1 files of other kinds"),
    case("shape", 3, "run fid --samples shape.npy --reference train.npz", "(5, 8, 8, 7)"),
    case("flat", 3, "run fid --samples flat.npy --reference train.npz", "(5, 64)", "[n, h, w]"),
    case("none", 3, "run fid --samples none.npy --reference train.npz", "(0, 8, 8, 3)"),
    case("objects", 3, "run fid --samples objects.npy --reference train.npz", "dtype object"),
    case("archive", 3, "run fid --samples objects.npz --reference train.npz", "dtype object"),
    case("dtype", 3, "run fid --samples signed.npy --reference train.npz", "int16", "uint8"),
    case("range", 3, "run fid --samples centred.npy --reference train.npz", "-1", "(x + 1) / 2"),
    case("nan", 3, "run fid --samples nan.npy --reference train.npz", "nan.npy", "0..1"),
    case("labels", 3, "run fid --samples labels.npz --reference train.npz", "(9,)", "10 images"),
    case("cut", 3, "run fid --samples cut.npz --reference train.npz", "cut.npz"),
    case("device", 2, f"run fid {PAIR} --device gpu", "'gpu'", "cpu"),
    case("both", 2, f"run fid {PAIR} --checkpoint right.safetensors", "not both"),
    case("checkpoint", 2, f"run digits {MODEL} gone.safetensors", "gone.safetensors does not"),
    case("no-adapter", 2, f"run fid {MODEL} right.safetensors", "--adapter NAME"),
    case("adapter", 2, f"run digits {MODEL} right.safetensors --adapter digit", "'digits'"),
    case("module", 2, f"run digits {MODEL} right.safetensors --adapter no_such:load", "no_such"),
    case(
        "function",
        2,
        f"run digits {MODEL} right.safetensors --adapter wrong_adapters:to_few",
        "'too_few'",
    ),
    case("garbage", 3, f"run digits {MODEL} garbage.safetensors", "cannot be read"),
    case("lacking", 3, f"run digits {MODEL} lacking.safetensors", "lacks the tensor", "(1 missing"),
    case("surplus", 3, f"run digits {MODEL} surplus.safetensors", "'more'"),
    case("shapes", 3, f"run digits {MODEL} shapes.safetensors", "has shape", "the model wants"),
    case("torch-file", 2, f"run digits {MODEL} model.pt", "--allow-pt"),
    case("torch-garbage", 3, f"run digits {MODEL} model.pt --allow-pt", "cannot be read"),
    case("pickle", 3, f"run digits {MODEL} model.pkl --allow-pt", "pickle", "safetensors"),
    case(
        "adapter-raises",
        3,
        f"run digits {MODEL} right.safetensors --adapter wrong_adapters:raises_on_load",
        "wrong_adapters:raises_on_load",
        "first line",
        "second line",
    ),
    case(
        "adapter-returns-no-generator",
        3,
        f"run digits {MODEL} right.safetensors --adapter wrong_adapters:no_generator",
        "wrong_adapters:no_generator",
    ),
    case("set-metric", 2, f"run fid {PAIR} --set metrics.kid.subsets=5", "'kid'", "fid"),
    case("set-option", 2, f"run kid {PAIR} --set metrics.kid.subzets=5", "'subsets'"),
    case("set-type", 2, f"run kid {PAIR} --set metrics.kid.subsets=many", "subsets: int"),
    case("set-key", 2, f"run fid {PAIR} --set extracter=digits", "'extractor'"),
    case("set-name", 2, f"run fid {PAIR} --set name=../x", "name"),
    case("set-name-escape", 2, f"run fid {PAIR} --set name=a\x1b[31m", "--set"),
    case("set-nothing", 2, f"run fid {PAIR} --set seed", "key=value"),
    case("set-extractor", 2, f"run fid {PAIR} --set extractor=digitz", "'digits'"),
    case("set-whole-metric", 2, f"run fid {PAIR} --set metrics.fid=5", "metrics.fid"),
    case("set-all-metrics", 2, f"run fid {PAIR} --set metrics=kid", "metrics"),
    case("set-weights", 2, f"run fid {PAIR} --set weights.digits=gone", "gone does not exist"),
    case(
        "labels-of-nothing",
        2,
        "run class_balance --samples unlabelled.npz --reference held-out.npz",
        "unlabelled.npz has no labels",
    ),
    case(
        "labels-as-requested",
        2,
        f"run digits {MODEL} right.safetensors --set metrics.class_balance.labels=given",
        "`labels: predicted`",
    ),
    case("compare-one", 2, "compare file", "file is no baseline or result"),
    case("compare-folder", 2, "compare empty broken", "empty is neither a run directory"),
    case("report-folder", 2, "report empty", "empty is no run directory"),
    case("score-folder", 2, "score empty", "empty is neither a run directory"),
    case("show-metric", 2, "show metric fidd", "'fid'"),
    case("show-suite", 2, "show suite digitz", "'digits'"),
    case("cache", 2, f"run fid {PAIR} --cache file", "ledger at file"),
]


@pytest.mark.parametrize(("code", "words", "says"), BEFORE_ANY_WORK)
def test_one_sentence_before_any_work(
    command: Command,
    wrong: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    words: list[str],
    says: tuple[str, ...],
) -> None:
    """What is wrong is told in one line on stderr that names it, and nothing is left behind."""
    monkeypatch.chdir(wrong)
    before = set(wrong.rglob("*"))
    told = command(*words)
    assert told.returncode == code, told.stderr
    assert told.stdout == ""
    lines = [line for line in told.stderr.splitlines() if line.startswith("geneval: ")]
    assert len(lines) == 1, told.stderr
    assert "unexpected" not in told.stderr
    assert "Traceback" not in told.stderr
    assert "\x1b" not in told.stderr
    if words[-2:] != ["--cache", "file"]:  # found only when the ledger is first written to
        assert told.stderr.count("\n") == 1, told.stderr
    for part in says:
        assert part in lines[0]
    after = {path for path in wrong.rglob("*") if "__pycache__" not in path.parts}
    assert after == {path for path in before if "__pycache__" not in path.parts}


@pytest.mark.parametrize(
    ("name", "line", "says"),
    [
        ("metric", 4, "did you mean 'kid'?"),
        ("option", 5, "did you mean 'subsets'?"),
        ("type", 4, "subsets: int"),
        ("key", 3, "did you mean 'samples'?"),
        ("inner", 5, "did you mean 'path'?"),
        ("twice", 4, "'seed' is given twice"),
        ("aliased", 4, "aliases are not allowed"),
        ("gate", 5, "unknown address 'kid'"),
        ("sentence", 4, "ADDRESS <= NUMBER"),
        ("baseline", 4, "unknown baseline 'last'"),
        ("number", 3, "a number is written 0.001, not 1e-3"),
        ("extractor", 3, "did you mean 'digits'?"),
        ("unclosed", 3, "not YAML"),
        ("none", 1, "at least one metric"),
        ("by", 3, "unknown column 'colour'"),
        ("empty", None, "empty.yaml is no suite"),
        ("unversioned", None, "`version: 1` is missing"),
        ("control", None, "not YAML"),
    ],
)
def test_mistake_in_a_suite_is_told_with_its_line(
    command: Command,
    wrong: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    line: int | None,
    says: str,
) -> None:
    """Every mistake in a suite file is one sentence with file, line and the nearest key, code 2."""
    monkeypatch.chdir(wrong)
    told = command("run", f"{name}.yaml", *PAIR.split())
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.count("\n") == 1, told.stderr
    place = f"{name}.yaml" if line is None else f"{name}.yaml:{line}: "
    assert told.stderr.startswith(f"geneval: {place}")
    assert says in told.stderr
    assert not (wrong / "runs").exists()


def test_an_anchor_without_an_alias_is_harmless(
    command: Command, wrong: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An anchor that nothing refers to changes nothing: the plan is made."""
    monkeypatch.chdir(wrong)
    assert command("run", "alias.yaml", *PAIR.split(), "--dry-run").returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--samples broken --reference train.npz", ("broken", "07", "on_bad_sample: skip")),
        (
            f"{MODEL} right.safetensors --adapter wrong_adapters:raises_late",
            ("right failed to generate: ValueError", "first line", "second line"),
        ),
        (
            f"{MODEL} right.safetensors --adapter wrong_adapters:too_few",
            ("right made 1 images for ",),
        ),
        (f"{MODEL} right.safetensors --adapter wrong_adapters:nan", ("images of right", "0..1")),
    ],
)
def test_error_during_a_run_leaves_nothing(
    command: Command,
    wrong: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    says: tuple[str, ...],
) -> None:
    """Bad data found on the way ends with 3, one sentence on stderr and no run directory."""
    monkeypatch.chdir(wrong)
    told = command("run", "fid", *words.split(" "), "--out", "made")
    assert (told.returncode, told.stdout) == (3, "")
    lines = told.stderr.splitlines()
    assert [line.startswith("geneval: ") for line in lines] == [False] * (len(lines) - 1) + [True]
    for part in says:
        assert part in lines[-1]
    assert "Traceback" not in told.stderr
    assert not (wrong / "made").exists()


def test_out_that_cannot_be_written(
    command: Command, wrong: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--out` below a file is the caller's mistake: 2, one sentence that names the path."""
    monkeypatch.chdir(wrong)
    told = command("run", "fid", *PAIR.split(), "--out", "file")
    assert (told.returncode, told.stdout) == (2, "")
    last = told.stderr.splitlines()[-1]
    assert last == "geneval: file cannot be written: file is no folder"
    assert (wrong / "file").is_file()


def test_second_checkpoint_is_checked_before_the_first_is_run(
    command: Command, wrong: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several checkpoints a broken one is found before anything is generated."""
    monkeypatch.chdir(wrong)
    words = f"{MODEL} right.safetensors --checkpoint lacking.safetensors".split()
    told = command("run", "digits", *words)
    assert told.returncode == 3
    assert told.stderr.startswith("geneval: lacking.safetensors lacks the tensor")
    assert not (wrong / "runs").exists()


def test_sentence_stays_on_one_line_whatever_a_path_contains(command: Command) -> None:
    """A newline in a path cannot start a line of its own: the sentence stays one line."""
    told = command("run", "fid", "--samples", "a\ngeneval: all is well", "--reference", "b")
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize("inside", [False, True])
def test_name_that_is_no_text(
    command: Command, digits: tuple[Split, Split], tmp_path: Path, inside: bool
) -> None:
    """A file name that is not UTF-8 cannot stand in a result: the sentence names the file."""
    name = os.fsdecode(b"bad\xff")
    if inside:
        place = tmp_path / "images"
        place.mkdir()
        for i, stem in enumerate(("a", "b", name)):
            Image.fromarray(digits[1].images[i]).save(place / f"{stem}.png")
    else:
        place = digits[1].save(tmp_path / f"{name}.npz")
    told = command("run", "fid", "--samples", place, "--reference", place)
    assert told.returncode in (2, 3)
    last = told.stderr.splitlines()[-1]
    assert last.startswith("geneval: ")
    assert "bad" in last
    assert "unexpected" not in last
    assert not Path("runs").exists()


def test_debug_shows_the_traceback_and_keeps_the_exit_code() -> None:
    """`--debug` anywhere shows where an error arose; the exit code stays that of the error."""
    geneval = Path(sys.executable).with_name("geneval")
    words = [geneval, "--debug", "show", "metric", "fidd"]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "Traceback (most recent call last)" in told.stderr
    assert "unknown metric 'fidd'; did you mean 'fid'?" in told.stderr
    assert told.returncode == 2


def test_unexpected_error_is_one_sentence_too(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect ends with 3 and a sentence that names its type and points to `--debug`."""

    def broken() -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("geneval.doctor.examine", broken)
    told = command("doctor")
    assert told.returncode == 3
    assert told.stderr == (
        "geneval: unexpected ZeroDivisionError: of all things (--debug shows where)\n"
    )
