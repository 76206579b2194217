"""`geneval init`: what it writes runs as it is, and is never written over something."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import geneval
from geneval.examples.digits.data import Split
from geneval.suite import load_suite

Command = Callable[..., CompletedProcess[str]]

EXAMPLES = Path(__file__).parents[2] / "examples"
OTHER = [{"target": f"das ist Satz {i}", "prediction": f"dies ist Satz {i}"} for i in range(12)]


def folders(digits: tuple[Split, Split], n: int) -> None:
    """`out` and `data`: images in a folder for each label."""
    for name, split in zip(("data", "out"), digits, strict=True):
        for i in range(n):
            folder = Path(name) / str(split.labels[i])
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(split.images[i]).save(folder / f"{i}.png")


def ran(command: Command, *arguments: str) -> dict[str, str]:
    """What a suite that was just written measures: every metric with its status."""
    made = command("init", *arguments)
    assert made.returncode == 0, made.stderr
    suite = made.stdout.split()[0]
    told = command("run", suite, "--json", "--offline")
    content = json.loads(told.stdout)
    assert told.returncode == 0, told.stderr
    (run,) = content["runs"]
    assert [one["status"] for one in run["judgement"]["verdicts"]] == ["PASS"]
    return {one["key"]: one["status"] for one in run["result"]["metrics"]}


def test_texts_in_several_languages(command: Command) -> None:
    """References and languages are found; every metric is given, and by language too."""
    found = ran(command, "--samples", str(EXAMPLES / "translation" / "a.jsonl"))
    assert set(found.values()) == {"ok"}
    assert {"chrf", "bleu", "rouge", "language_fidelity", "chrf_by_lang"} <= set(found)
    text = Path("quality.suite.yaml").read_text()
    assert 'groups: [lang]  # every metric by language too: "de", "zh"' in text
    assert "n: 44 " in text


def test_columns_of_other_names_and_parallel_references(command: Command) -> None:
    """Usual names of columns are understood, in the samples and in the reference."""
    Path("a.jsonl").write_text("\n".join(map(json.dumps, OTHER)))
    assert set(ran(command, "--samples", "a.jsonl").values()) == {"ok"}
    assert load_suite("quality.suite.yaml").samples.fields == {
        "hypothesis": "prediction",
        "references": "target",
    }
    for name, key in (("mine.txt", "prediction"), ("theirs.txt", "target")):
        Path(name).write_text("\n".join(record[key] for record in OTHER))
    words = ["--samples", "mine.txt", "--reference", "theirs.txt", "--force"]
    assert {"chrf", "length"} <= set(ran(command, *words))
    Path("no.jsonl").write_text('{"prediction": "a b", "lang": "de"}\n{"prediction": "c"}\n')
    assert command("init", "--samples", "no.jsonl", "--force").returncode != 0  # a null language


def test_images_with_labels_and_reference(command: Command, digits: tuple[Split, Split]) -> None:
    """Labels, counts and a reference choose metrics and their options."""
    folders(digits, 60)
    found = ran(command, "--samples", "out", "--reference", "data", "--out", "ci/digits.suite.yaml")
    assert set(found) == {
        *("fid", "kid", "precision_recall", "density_coverage", "class_balance", "vendi")
    }
    assert set(found.values()) == {"ok"}
    suite = load_suite("ci/digits.suite.yaml")
    assert (suite.name, suite.samples.n) == ("digits", 60)
    assert suite.samples.path is not None
    assert Path(str(suite.samples.path)).resolve() == Path("out").resolve()


def test_images_alone_few_images_and_arrays(command: Command, digits: tuple[Split, Split]) -> None:
    """Without reference what needs none is left; with ten images what ten are enough for."""
    folders(digits, 10)
    assert set(ran(command, "--samples", "out")) == {"vendi"}
    np.save("few.npy", digits[0].images[:10])
    found = ran(command, "--samples", "few.npy", "--reference", "data", "--force")
    assert "fid" not in found
    assert found["kid"] == "ok"
    moments = {"mu": np.zeros(192), "sigma": np.eye(192)}
    np.savez("moments.npz", **moments)
    assert command("init", "--samples", "out", "--reference", "moments.npz", "--force").stdout


def test_pairs_with_captions(command: Command, digits: tuple[Split, Split]) -> None:
    """Records with an image and a caption are image-text pairs whose prompt is the caption."""
    folders(digits, 12)
    paths = sorted(Path("out").glob("*/*.png"))
    rows = [{"image": str(path), "caption": f"a {path.parent.name}"} for path in paths]
    Path("pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert ran(command, "--samples", "pairs.jsonl")["vendi"] == "ok"
    suite = load_suite("quality.suite.yaml")
    assert (suite.samples.kind, suite.samples.fields) == ("image-text", {"prompt": "caption"})
    assert "# - clip_score" in Path("quality.suite.yaml").read_text()


def test_nothing_is_overwritten_without_force(command: Command) -> None:
    """A file that is there stays, and then no other is written either."""
    samples = ["--samples", str(EXAMPLES / "translation" / "a.jsonl"), "--ci", "gitlab"]
    Path(".gitlab-ci.yml").write_text("mine\n")
    refused = command("init", *samples)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert ".gitlab-ci.yml exists; --force overwrites it" in refused.stderr
    assert not Path("quality.suite.yaml").exists()
    assert Path(".gitlab-ci.yml").read_text() == "mine\n"
    assert command("init", *samples, "--force").returncode == 0
    assert "geneval run quality.suite.yaml" in Path(".gitlab-ci.yml").read_text()


@pytest.mark.parametrize("label", ["a\nb: c", "# x", "\u2028gates: []", '"'])
def test_names_in_comments_cannot_end_them(command: Command, label: str) -> None:
    """A language or label of any text leaves the suite as it was meant."""
    rows = [{"hypothesis": f"one {i}", "lang": label} for i in range(4)]
    Path("a b: #.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert command("init", "--samples", "a b: #.jsonl").returncode == 0
    content = yaml.safe_load(Path("quality.suite.yaml").read_text())
    assert content["samples"] == {"kind": "texts", "path": "a b: #.jsonl", "n": 4}
    assert content["groups"] == ["lang"]
    assert content["gates"] == ["degenerate_outputs.empty <= 0.05"]


@pytest.mark.parametrize("out", ["a b.suite.yaml", "x;rm.suite.yaml", "$(id).yaml"])
def test_a_name_that_a_shell_would_read_is_refused(command: Command, out: str) -> None:
    """The suite's path stands in a shell command of the workflow."""
    samples = str(EXAMPLES / "translation" / "a.jsonl")
    refused = command("init", "--samples", samples, "--out", out, "--ci", "github")
    assert refused.returncode == 2
    assert "to use it in CI" in refused.stderr
    assert not Path(out).exists()


def steps(ci: str) -> list[str]:
    """The shell commands of a workflow as it was written, but those that install."""
    if ci == "github":
        job = yaml.safe_load(Path(".github/workflows/geneval.yml").read_text())["jobs"]["quality"]
        commands = [step["run"] for step in job["steps"] if "run" in step]
    else:
        commands = yaml.safe_load(Path(".gitlab-ci.yml").read_text())["quality"]["script"]
    return [line for line in commands if not line.startswith("pip install")]


def in_shell(ci: str, **environment: str) -> CompletedProcess[str]:
    """The commands of a workflow for a few texts under `bash -e`, geneval being installed."""
    script = "\n".join(steps(ci))
    assert script == "geneval run quality.suite.yaml --out runs"
    place = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-c", script],
        env={**os.environ, "PATH": place, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_workflow_of_gitlab_runs_in_a_shell(command: Command) -> None:
    """It passes, and leaves the JUnit file where the job's report is looked for."""
    Path("a.jsonl").write_text("\n".join(map(json.dumps, OTHER)))
    assert command("init", "--samples", "a.jsonl", "--ci", "gitlab").returncode == 0
    assert in_shell("gitlab").returncode == 0
    job = yaml.safe_load(Path(".gitlab-ci.yml").read_text())["quality"]
    assert len(list(Path().glob(job["artifacts"]["reports"]["junit"]))) == 1


def test_the_workflow_of_github_fails_with_its_gate(command: Command) -> None:
    """A gate that fails ends the step with 1, is annotated, and stands in the summary."""
    Path("a.jsonl").write_text("\n".join(map(json.dumps, OTHER)))
    assert command("init", "--samples", "a.jsonl", "--ci", "github").returncode == 0
    suite = Path("quality.suite.yaml")
    suite.write_text(suite.read_text().replace("empty <= 0.05", "empty >= 0.05"))
    told = in_shell("github", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY="step.md")
    assert told.returncode == 1
    assert "::error title=quality" in told.stderr
    assert "**FAIL**" in Path("step.md").read_text()


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_the_document_shows_what_is_written(command: Command, ci: str) -> None:
    """docs/ci.md has both workflows as `geneval init --ci` writes them."""
    samples = str(EXAMPLES / "translation" / "a.jsonl")
    command("init", "--samples", samples, "--ci", ci)
    place = ".github/workflows/geneval.yml" if ci == "github" else ".gitlab-ci.yml"
    page = (EXAMPLES.parent / "docs" / "ci.md").read_text(encoding="utf-8")
    assert f"```yaml\n{Path(place).read_text()}```\n" in page


def test_the_examples_in_python_run(
    digits: tuple[Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/ci.md: the loop logs the step's value, and the test's body is what a fixture gives."""
    monkeypatch.chdir(tmp_path)
    folders(digits, 40)
    Path("out").rename("step-1000")
    Path("out").mkdir()
    Path("step-1000").rename("out/step-1000")
    page = (EXAMPLES.parent / "docs" / "ci.md").read_text(encoding="utf-8")
    in_test, loop = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    heard: list[tuple[object, ...]] = []
    few = loop.replace("overrides={", 'overrides={"metrics.kid.subset_size": 20, ')
    exec(few, {"print": lambda *told: heard.append(told)})
    assert [told[:2] for told in heard] == [(1000, "kid"), (1000, "kid.unbiased")]

    def run(suite: str, **given: Any) -> geneval.Result:
        given["overrides"] = {**given["overrides"], "metrics.kid.subset_size": 20}
        return geneval.evaluate(suite, **given)

    space: dict[str, Any] = {}
    exec(in_test.replace("0.05", "9"), space)
    swapped = {"samples": "data/", "reference": "out/"}  # KID is the same from either side
    baseline = run("kid", **swapped, overrides={"extractor": "pixels"})
    space["test_quality"](run, baseline)
