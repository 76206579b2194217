"""`geneval.evaluate`: everything a person can hand over, and the result that comes back."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import geneval
import geneval.equip
import geneval.evaluator
from geneval.errors import CheckpointError, SampleError, UsageError
from geneval.examples.digits.data import Split
from geneval.examples.digits.demo import FOLDER
from geneval.ledger import Ledger
from geneval.result import Result
from geneval.samples.open import open_images
from geneval.suite import load_suite
from geneval.value import Role


@pytest.fixture
def few(digits: tuple[Split, Split]) -> tuple[Split, Split]:
    """150 training and 120 held-out digits."""
    train, held_out = digits
    return (
        Split(train.images[:150], train.labels[:150]),
        Split(held_out.images[:120], held_out.labels[:120]),
    )


def forms(split: Split, folder: Path) -> dict[str, Any]:
    """The same images in every form that `evaluate` takes."""
    rgb = np.repeat(split.images[..., None], 3, axis=3)
    for i, pixels in enumerate(split.images):
        (folder / "pngs").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / "pngs" / f"{i:06d}.png")
    np.save(folder / "images.npy", split.images)
    return {
        "grey array": split.images,
        "rgb array": rgb,
        "float array": split.images.astype(np.float64) / 255,
        "tensor": torch.as_tensor(split.images)[:, None],
        "rgb tensor": torch.as_tensor(rgb).permute(0, 3, 1, 2),
        "float tensor": torch.as_tensor(split.images)[:, None].float() / 255,
        "pair": (split.images, split.labels),
        "pair of tensors": (torch.as_tensor(split.images)[:, None], torch.as_tensor(split.labels)),
        "path": split.save(folder / "images.npz"),
        "str": str(folder / "images.npy"),
        "folder": folder / "pngs",
        "sample set": open_images(folder / "pngs", Ledger(folder / "cache")),
    }


def test_every_form_gives_the_same_number(few: tuple[Split, Split], tmp_path: Path) -> None:
    """Arrays, tensors, pairs, paths and sample sets of the same pixels give the same value."""
    numbers = {
        name: geneval.evaluate("fid", samples=given, reference=few[0].images)["fid"].number
        for name, given in forms(few[1], tmp_path).items()
    }
    assert len(numbers) == 12
    assert set(numbers.values()) == {numbers["grey array"]}
    assert numbers["grey array"] is not None
    assert numbers["grey array"] > 0


def test_labels_of_a_pair_are_used(few: tuple[Split, Split]) -> None:
    """Labels that come with arrays serve metrics and groups, as integers or as strings."""
    train, held_out = few
    words = [np.array([f"class {label}" for label in split.labels]) for split in few]
    told = geneval.evaluate(
        "class_balance",
        samples=(held_out.images, words[1]),
        reference=(train.images, words[0]),
    )
    shares = [np.bincount(split.labels, minlength=10) / len(split.labels) for split in few]
    expected = 0.5 * np.abs(shares[0] - shares[1]).sum()  # the definition, in class_balance.py
    assert told["total_variation"].number == pytest.approx(expected, rel=1e-12)


def test_result_can_be_asked_by_address(few: tuple[Split, Split]) -> None:
    """`result[address]` takes keys, outputs and unique output names; others raise KeyError."""
    result = geneval.evaluate(
        "fid,precision_recall", samples=few[1].images, reference=few[0].images
    )
    assert isinstance(result, Result)
    assert result["fid"].address == result["fid.fid"].address == "fid"
    assert result["recall"] is result["precision_recall.recall"]
    assert result["fid"].n == {Role.GENERATED: 120, Role.REFERENCE: 150}
    with pytest.raises(KeyError, match="did you mean 'fid'"):
        result["fidd"]


def test_to_pandas_has_a_row_for_every_value(few: tuple[Split, Split]) -> None:
    """The table has address, number, interval with level and target, n, direction, signature."""
    result = geneval.evaluate("fid,kid", samples=few[1].images, reference=few[0].images)
    table = result.to_pandas().set_index("address")
    assert list(table.index) == [value.address for value in result.values()]
    row, value = table.loc["fid"], result["fid"]
    assert value.interval is not None
    assert row["number"] == value.number
    assert (row["low"], row["high"]) == (value.interval.low, value.interval.high)
    assert (row["level"], row["target"], row["n"]) == (0.95, "at_n", 120)
    assert (row["direction"], row["signature"]) == ("lower", value.signature.line())
    assert "1000" in table.loc["kid"]["problem"].replace(",", "")  # subsets of 1,000 from 120


def test_notebook_table_is_escaped(few: tuple[Split, Split]) -> None:
    """A hostile name does not reach a notebook as markup."""
    payload = "<img src=x onerror=alert(1)>"
    result = geneval.evaluate("fid", samples=few[1].images, reference=few[0].images, name=payload)
    shown = result._repr_html_()
    assert payload not in shown
    assert "&lt;img src=x onerror=alert(1)&gt; under ad-hoc" in shown


def test_out_writes_a_run_directory_with_pages(
    few: tuple[Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `out` a run directory with report is written below it; without, nothing at all."""
    monkeypatch.chdir(tmp_path)
    words = {"samples": few[1].images, "reference": few[0].images, "name": "mine"}
    assert geneval.evaluate("fid", **words).directory is None
    assert list(tmp_path.iterdir()) == []
    result = geneval.evaluate("fid", **words, out="made")
    assert result.directory is not None
    assert result.directory.parent == Path("made/ad-hoc/mine")
    assert (result.directory / "report.html").is_file()
    assert Result.load(result.directory).document == result.document


@pytest.mark.parametrize(
    ("overrides", "place", "expected"),
    [
        ({"metrics.kid.subset_size": 50, "metrics.kid.subsets": 7}, "kid", 7),
        ({"seed": 5}, "seed", 5),
        ({"extractor": "pixels"}, "extractor", "pixels"),
        ({"extractor": {"name": "pixels", "side": 4}}, "side", 4),
        ({"confidence": 0.9}, "confidence", 0.9),
        ({"gates": ["kid <= 1"]}, "gates", ["kid <= 1"]),
        ({"name": "2024"}, "name", "2024"),
        ({"description": "a: b, [c]"}, "description", "a: b, [c]"),
        ({"description": "true"}, "description", "true"),
        ({"description": ""}, "description", ""),
    ],
)
def test_overrides_reach_the_suite_as_they_are(
    few: tuple[Split, Split], overrides: dict[str, Any], place: str, expected: Any
) -> None:
    """Every Python value reaches the suite unchanged: numbers, lists, mappings and texts."""
    words = {"samples": few[1].images, "reference": few[0].images}
    result = geneval.evaluate("kid", **words, overrides=overrides)
    document = result.document.suite.document
    found = {
        "kid": lambda: document["metrics"][0]["options"]["subsets"],
        "extractor": lambda: document["extractor"]["name"],
        "side": lambda: document["extractor"]["options"]["side"],
    }.get(place, lambda: document[place])()
    assert found == expected
    assert type(found) is type(expected)


def test_suite_object_is_taken_as_it_is(few: tuple[Split, Split]) -> None:
    """A Suite is evaluated unchanged; overrides beside it are refused."""
    suite = load_suite("kid", ["metrics.kid.subset_size=40"])
    words = {"samples": few[1].images, "reference": few[0].images}
    result = geneval.evaluate(suite, **words)
    assert result.document.suite.digest == suite.digest
    with pytest.raises(UsageError, match="overrides"):
        geneval.evaluate(suite, **words, overrides={"seed": 1})


def test_suite_by_path(few: tuple[Split, Split], tmp_path: Path) -> None:
    """A suite file is taken as Path or str."""
    path = tmp_path / "mine.yaml"
    path.write_text("version: 1\nname: mine\nmetrics: [fid]\n")
    words = {"samples": few[1].images, "reference": few[0].images}
    for given in (path, str(path)):
        assert geneval.evaluate(given, **words).document.suite.name == "mine"


def test_checkpoint_from_python(few: tuple[Split, Split]) -> None:
    """A checkpoint with its adapter is asked for samples; name and step come from the file."""
    result = geneval.evaluate(
        "fid",
        checkpoint=FOLDER / "step-001000.safetensors",
        adapter="digits",
        reference=few[0].images,
        overrides={"generate.n": 30},
    )
    subject = result.document.subject
    assert (subject.name, subject.kind, subject.step) == ("step-001000", "checkpoint", 1000)
    assert result["fid"].n[Role.GENERATED] == 30


def test_limit_is_partial(few: tuple[Split, Split]) -> None:
    """`limit` marks the result."""
    result = geneval.evaluate("fid", samples=few[1].images, reference=few[0].images, limit=40)
    assert result.document.partial == 40
    assert result["fid"].n == {Role.GENERATED: 40, Role.REFERENCE: 40}


class Recorder:
    """Keeps what a run tells of its progress."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def start(self, title: str, total: int) -> None:
        """A stage begins."""
        self.told.append(("start", title, total))

    def advance(self, n: int, cached: bool = False) -> None:
        """Some are done."""
        self.told.append(("advance", n, cached))

    def finish(self) -> None:
        """A stage is over."""
        self.told.append(("finish",))

    def say(self, sentence: str) -> None:
        """A warning."""
        self.told.append(("say", sentence))


def test_progress_is_told_to_who_asks(
    few: tuple[Split, Split], capsys: pytest.CaptureFixture[str]
) -> None:
    """A given progress hears every stage; without one a library user hears nothing."""
    words = {"samples": few[1].images, "reference": few[0].images}
    recorder = Recorder()
    geneval.evaluate("fid", **words, progress=recorder)
    stages = [told[1:] for told in recorder.told if told[0] == "start"]
    assert stages == [
        ("generated samples", 120),
        ("reference samples", 150),
        ("reference as JPEG 50", 75),
        ("metrics", 1),
    ]
    assert sum(told[1] for told in recorder.told if told[0] == "advance") == 120 + 150 + 75 + 1
    geneval.evaluate("fid", **words)
    assert capsys.readouterr() == ("", "")


def test_what_cannot_be_evaluated_is_told() -> None:
    """Nothing, both, a list, a wrong shape, a missing path: an error of its kind, in words."""
    images = np.zeros((5, 8, 8), np.uint8)
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (UsageError, "nothing to evaluate", {}),
        (UsageError, "not both", {"samples": images, "checkpoint": "x"}),
        (UsageError, "give a path, an array", {"samples": [1, 2, 3]}),
        (UsageError, "give a path, an array", {"samples": images, "reference": {"a": 1}}),
        (UsageError, "does not exist", {"samples": "nowhere"}),
        (UsageError, "needs reference samples", {"samples": images}),
        (UsageError, "does not exist", {"checkpoint": "nowhere", "adapter": "digits"}),
        (SampleError, r"\(5, 64\)", {"samples": images.reshape(5, 64)}),
        (SampleError, "labels of shape", {"samples": (images, [1, 2])}),
        (CheckpointError, "lacks|cannot be read", {"checkpoint": __file__, "adapter": "digits"}),
    ]
    for kind, says, given in cases:
        with pytest.raises(kind, match=says):
            geneval.evaluate("fid", **given)


def test_example_in_the_docstring_is_true() -> None:
    """The example of `evaluate` runs as it is written."""
    found = doctest.testmod(geneval.evaluator)
    assert found.attempted >= 4
    assert found.failed == 0


def test_public_names_load_when_first_used() -> None:
    """`import geneval` brings no torch; the public names come when asked for; others are errors."""
    code = (
        "import json, sys, geneval\n"
        "light = 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "names = [geneval.evaluate.__name__, geneval.Result.__name__, geneval.Generator.__name__]\n"
        "try:\n    geneval.nothing\nexcept AttributeError as error:\n    names.append(str(error))\n"
        "print(json.dumps([light, *names]))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == [
        True,
        "evaluate",
        "Result",
        "Generator",
        "module 'geneval' has no attribute 'nothing'",
    ]


def test_an_evaluator_gives_what_evaluate_gives(few: tuple[Split, Split]) -> None:
    """Samples of two steps under one evaluator: the values of `evaluate`, told to the hook."""
    heard: list[tuple[Result, int | None]] = []
    evaluator = geneval.Evaluator(
        "fid", reference=few[0].images, on_result=lambda result, step: heard.append((result, step))
    )
    for step, samples in ((1, few[1].images[:60]), (2, few[1].images[60:])):
        result = evaluator(samples, step=step)
        alone = geneval.evaluate("fid", samples=samples, reference=few[0].images, step=step)
        assert result["fid"] == alone["fid"]
        assert result.document.digest == alone.document.digest
        assert heard[-1] == (result, step)


def test_an_evaluator_builds_and_reads_once(
    few: tuple[Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call builds no extractor and does not open the reference again."""
    built, opened = [], []
    build, read = geneval.equip.build_extractor, geneval.evaluator.open_images
    monkeypatch.setattr(geneval.equip, "build_extractor", lambda *a: built.append(a) or build(*a))
    monkeypatch.setattr(
        geneval.evaluator, "open_images", lambda *a, **k: opened.append(a[0]) or read(*a, **k)
    )
    path = few[0].save(tmp_path / "reference.npz")
    evaluator = geneval.Evaluator("fid", reference=path)
    numbers = [evaluator(few[1].images, step=step)["fid"].number for step in (1, 2)]
    assert numbers[0] == numbers[1]
    assert len(built) == 1
    assert opened == [path]


def test_a_model_in_memory_is_evaluated_as_it_is_now(
    few: tuple[Split, Split], tmp_path: Path
) -> None:
    """A generator that changes between two calls is asked again, under the step's name."""
    state = {"light": 0}

    def generate(batch: Any) -> Any:
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 100, (len(batch.ids), 8, 8, 1), dtype=np.uint8)
        return noise + np.uint8(state["light"])

    evaluator = geneval.Evaluator(
        "fid",
        reference=few[0].images,
        out=tmp_path,
        overrides={"generate.n": 40, "extractor": {"name": "pixels", "side": 2}},
    )
    model = geneval.Generator(generate)
    dark = evaluator(model, step=1000)
    assert evaluator(model, step=1000)["fid"].number == dark["fid"].number
    state["light"] = 100
    light = evaluator(model, step=2000, seed=3)
    assert light["fid"].number != dark["fid"].number
    subject = light.document.subject
    assert (subject.name, subject.kind, subject.step, subject.seed) == (
        *("step-002000", "checkpoint"),
        *(2000, 3),
    )
    assert light.directory is not None
    assert light["fid"].n[Role.GENERATED] == 40


def test_an_evaluator_takes_checkpoints_and_texts(few: tuple[Split, Split]) -> None:
    """A path is a checkpoint where an adapter is given; texts are evaluated as texts."""
    words = {"overrides": {"generate.n": 30}, "reference": few[0].images}
    evaluator = geneval.Evaluator("fid", adapter="digits", **words)
    assert evaluator(FOLDER / "step-004000.safetensors").document.subject.step == 4000
    with pytest.raises(UsageError, match="does not exist"):
        evaluator("gone.safetensors")
    texts = geneval.Evaluator("length")
    assert texts(["a b c", "d e f g"], step=1)["length"].number == 3.5
    model = geneval.Generator(
        lambda batch: [f"{prompt} and more" for prompt in batch.columns["prompt"]]
    )
    with pytest.raises(UsageError, match="give --prompts FILE"):
        texts(model)
