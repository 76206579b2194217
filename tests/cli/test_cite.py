"""`geneval cite`: a sentence that says what was computed, and references that exist."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from geneval.bibliography import PAPERS, network_paper
from geneval.extractors.extractor import all_extractors
from geneval.metric import all_metrics
from geneval.result import Result

Command = Callable[..., CompletedProcess[str]]


def test_the_method_says_what_was_computed(command: Command, step_runs: dict[str, Path]) -> None:
    """Every metric with its counts, network, weights, resize rule and options; the version too."""
    run = step_runs["step-004000"]
    told = command("cite", run)
    assert told.returncode == 0
    result = Result.load(run)
    value = result["fid"]
    weights = str(dict(value.signature.fields)["weights"])[:8]
    for part in (
        "fid (Heusel et al., 2017): 300 generated samples and 600 reference samples; digits",
        f"weights sha256 {weights}, resize rule area8, fp32",
        "ddof 1",
        "class_balance: 300 generated samples",
        "labels predicted",
        "geneval 0.1.0",
        "95% intervals by",
        "@misc{heusel2017fid,",
        "eprint = {1706.08500}",
        "@software{geneval,",
    ):
        assert part in told.stdout
    assert "None" not in told.stdout
    assert "szegedy" not in told.stdout  # no Inception network had a part in it
    content = json.loads(command("cite", run, "--json").stdout)
    assert f"{content['method']}\n\n{content['bibtex']}\n" == told.stdout


def test_what_is_no_result(command: Command, tmp_path: Path) -> None:
    """A folder without a result is one sentence and 2."""
    told = command("cite", tmp_path)
    assert (told.returncode, told.stdout, told.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("name", sorted(all_metrics()))
def test_every_paper_of_a_metric_is_known(name: str) -> None:
    """Whoever adds a metric adds its paper."""
    paper = all_metrics()[name].paper
    assert not paper or not paper.startswith("arXiv:") or paper in PAPERS


def test_networks_have_papers() -> None:
    """The published networks are cited with the numbers they gave."""
    own = {"digits", "pixels", "pairwise", "image-statistics", "path-length"}
    own |= {"generation-cost", "perceptual-hash"}
    own |= {"generation-cost", "adversarial", "latent-sensitivity", "latent-attack"}
    assert {name for name in all_extractors() if network_paper(name) is None} <= own


def test_names_in_running_text() -> None:
    """One author, two, and more than two."""
    assert PAPERS["arXiv:1706.08500"].short == "Heusel et al., 2017"
    assert PAPERS["arXiv:1409.1556"].short == "Simonyan and Zisserman, 2014"
    assert PAPERS["arXiv:2304.07193"].short == "Oquab et al., 2023"
    assert len({paper.key for paper in PAPERS.values()}) == len(PAPERS)
