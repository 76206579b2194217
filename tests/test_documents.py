"""What the documents show is run: the README's adapter, suite and gates, and its Python."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import geneval
from geneval.evaluator import open_job
from geneval.ledger import Ledger
from geneval.reports.write import RUN_WRITERS
from geneval.run import execute
from geneval.suite import load_suite

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, holding: str) -> str:
    """The one code block of the README in that language that holds a text."""
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (one,) = [code for code in found if holding in code]
    return str(one)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> Path:
    """A working folder with the README's adapter, a checkpoint for it, and reference images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_models.py").write_text(block("python", "def load"))
    model = torch.nn.Linear(64, 3 * 32 * 32)
    save_file({f"0.{k}": v for k, v in model.state_dict().items()}, tmp_path / "model.safetensors")
    (tmp_path / "data").mkdir()
    images = rng.integers(0, 256, (600, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "data" / "train.npy", images)
    return tmp_path


def test_the_first_suite_adapter_and_gate_fit_together(desk: Path) -> None:
    """The README's suite runs with its adapter, and every gate but the baseline's is judged."""
    suite = block("yaml", "name: nightly").replace("data/train", "data/train.npy")
    (desk / "nightly.yaml").write_text(suite + block("yaml", "no_worse_than"))
    job = open_job(
        load_suite("nightly.yaml", ["generate.n=600"]),
        Ledger(desk / "cache"),
        checkpoint="model.safetensors",
        adapter="my_models:load",
    )
    outcome = execute(job, desk / "runs", RUN_WRITERS)
    sys.modules.pop("my_models")
    assert all(value.problem is None for value in outcome.result.values())
    first, second, third = outcome.judgement.verdicts
    assert {first.status.value, second.status.value} <= {"PASS", "FAIL"}
    assert "neither a run directory nor a result.json" in third.sentence


def test_the_python_example(desk: Path) -> None:
    """The README's call of `evaluate` runs as it stands."""
    images = np.load("data/train.npy")[:300]
    code = block("python", "geneval.evaluate").replace('"data/"', '"data/train.npy"')
    space: dict[str, object] = {"images": images}
    exec(code, space)
    result = space["result"]
    assert isinstance(result, geneval.Result)
    assert (result.document.subject.name, result.document.subject.step) == ("my-model", 1000)
    assert (desk / "runs").is_dir()


def test_documents_that_are_linked_exist() -> None:
    """Every relative link of the documents leads to a file."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize(
    "peer", ["clean-fid", "prdc", "pytorch-fid", "torch-fidelity", "torchmetrics"]
)
def test_every_peer_has_a_row_of_parity(peer: str) -> None:
    """docs/parity.md compares with each of the five, in the version that is tested together."""
    (pinned,) = re.findall(rf"^{peer}==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert f"\n| {peer} {pinned} |" in (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")


def test_contributing_shows_the_metric_as_it_is() -> None:
    """The pieces that CONTRIBUTING walks through stand in the metric's file."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    module = importlib.import_module("geneval.metrics.fidelity.inception_score")
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    for shown in (
        "def inception_score(",
        "splits: Annotated[int, AtLeast(1)] = 10,",
        'number, standard_error(influence), "influence function", "at_n", (1, None)',
        "from geneval.metric import Undefined, logits, metric",
    ):
        assert shown in text
        assert shown in source
