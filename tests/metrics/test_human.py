"""Scores from outside, and how metrics agree with people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from geneval.data import Fields, Items
from geneval.difference import difference
from geneval.engine.progress import Silent
from geneval.errors import UsageError
from geneval.evaluator import evaluate
from geneval.metric import find_metric
from geneval.metrics.human.human_correlation import correlation, interval, together
from geneval.resample import Context, wilson
from geneval.suite import load_suite
from geneval.value import Estimate

RATED = [
    {
        "id": f"{i:02d}",
        "hypothesis": "the cat sees a dog"[: 6 + i % 12],
        "references": "the cat sees a dog",
        "comet": 0.3 + 0.05 * (i % 12),
        "rating": None if i % 10 == 9 else 1 + (i % 12) // 3,
        "errors": 12 - i % 12,
    }
    for i in range(40)
]


def measured(cells: list[Any], **options: Any) -> Estimate:
    """The score of a column of these cells."""
    spec = find_metric("score")
    ids = tuple(f"{i:02d}" for i in range(len(cells)))
    given = spec.check_options(options)
    (found,) = spec.under(given).measure(
        {"rated": Fields(ids, {"score": cells})}, Context(0), given
    )
    return found


def suite(folder: Path, text: str) -> str:
    """A suite of texts with these lines."""
    path = folder / "rated.yaml"
    path.write_text(
        f"version: 1\nname: rated\nsamples: {{kind: texts}}\npair_by: id\n{text}", encoding="utf-8"
    )
    return str(path)


# ---------------------------------------------------------------------------------- scores


def test_the_mean_of_a_column_with_blanks() -> None:
    """Blanks are left out and counted; texts that are numbers are numbers."""
    found = measured([1, None, "3", "", 5.0])
    assert found.number == 3.0
    assert found.evidence["generated"].ids == ("00", "02", "04")  # type: ignore[index]
    assert found.finding == "2 of 5 samples have no score"


def test_a_share_has_wilsons_interval() -> None:
    """Passes and failures in 0 to 1 are a proportion; the same numbers of 0 to 5 are not."""
    passes = [1, 1, 1, 0]
    assert measured(passes, low=0.0, high=1.0).interval == wilson(3, 4, 0.95, "population")
    other = measured(passes, low=0.0, high=5.0).interval
    assert other is not None
    assert other.method == "central limit theorem"


@pytest.mark.parametrize(
    ("cells", "options", "told"),
    [
        ([1, "good"], {}, "score of 01 is 'good', no number"),
        ([1, "nan"], {}, "no number"),
        ([1, 6], {"low": 1.0, "high": 5.0}, r"score of 01 is 6, outside its range \[1, 5\]"),
        ([1, -2], {"low": 0.0}, r"is -2, outside its range \[0, …\]"),
        ([None, ""], {}, "no sample has a score"),
        ([1, 2], {"low": 3.0, "high": 3.0}, r"the range \[3, 3\] is empty"),
    ],
)
def test_what_is_no_score_is_a_problem(
    cells: list[Any], options: dict[str, Any], told: str
) -> None:
    """Never a number that is wrong in silence."""
    found = measured(cells, **options)
    assert found.number is None
    assert found.problem
    assert __import__("re").search(told, found.problem)


def test_scores_of_a_suite_are_metrics(tmp_path: Path) -> None:
    """`scores:` makes metrics with direction and range, paired in comparisons, open to gates."""
    text = "scores:\n  - {column: comet, range: [0, 1]}\n"
    text += "  - {column: errors, as: mistakes, direction: lower}\n"
    text += "gates: [comet >= 0.9]\n"
    path = suite(tmp_path, text)
    a = evaluate(path, samples=RATED, progress=Silent())
    worse = [{**record, "comet": record["comet"] - 0.1} for record in RATED]  # type: ignore[operator]
    b = evaluate(path, samples=worse, progress=Silent())
    assert a["comet"].number == pytest.approx(np.mean([r["comet"] for r in RATED]))  # type: ignore[misc]
    assert a["comet"].spec.range == (0.0, 1.0)
    assert a["mistakes"].spec.direction == "lower"
    found = difference(a, b, "comet")
    assert found.problem is None
    assert found.paired
    assert found.number == pytest.approx(0.1)
    assert found.se == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{colum: comet}", "unknown key 'colum'; did you mean 'column'"),
        ("{column: comet, range: [0]}", "at least 2 items"),
        ("{column: a b}", "write letters"),
        ("{column: comet, direction: up}", "'higher' or 'lower'"),
    ],
)
def test_a_wrong_score_names_its_line(tmp_path: Path, line: str, told: str) -> None:
    """Errors carry file and line."""
    path = suite(tmp_path, f"scores:\n  - {line}\n")
    with pytest.raises(UsageError, match=told) as error:
        load_suite(path)
    assert f"{path}:" in str(error.value)


def test_a_score_twice_or_absent(tmp_path: Path) -> None:
    """Two of one key, and a column that is not there, are refused before any work."""
    with pytest.raises(UsageError, match="'comet' is given twice"):
        load_suite(suite(tmp_path, "scores: [{column: comet}, {column: comet}]\n"))
    path = suite(tmp_path, "scores: [{column: comett}]\n")
    with pytest.raises(UsageError, match="did you mean 'comet'"):
        evaluate(path, samples=RATED)


def test_scores_of_images(tmp_path: Path) -> None:
    """A reward in the metadata of a folder of images is a score too."""
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    lines = []
    for i in range(6):
        Image.new("RGB", (8, 8), (i * 40, 0, 0)).save(folder / f"{i}.png")
        lines.append(json.dumps({"file_name": f"{i}.png", "reward": i / 5}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    found = evaluate(
        "score", samples=folder, overrides={"metrics.score.column": "reward"}, progress=Silent()
    )
    assert found["score"].number == pytest.approx(0.5)


# ------------------------------------------------------------------------------- agreement


def test_coefficients_are_scipys_and_signs_are_turned() -> None:
    """A metric that is better when lower agrees where it falls as people's scores rise."""
    rng = np.random.default_rng(0)
    ids = tuple(f"{i:03d}" for i in range(50))
    human = rng.integers(1, 6, 50).astype(float)
    ter = -human + rng.normal(size=50)
    people, one = Items(ids, human, True), Items(ids[::-1], ter[::-1], False)
    x, y = together(one, people)
    assert correlation("kendall", x, y) == pytest.approx(stats.kendalltau(-ter, human).statistic)
    assert correlation("spearman", x, y) == pytest.approx(stats.spearmanr(-ter, human).statistic)
    assert correlation("pearson", x, y) == pytest.approx(stats.pearsonr(-ter, human).statistic)
    assert correlation("pearson", x, y) > 0.5


def test_fishers_interval_is_scipys() -> None:
    """Pearson's interval is that of scipy."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    wanted = stats.pearsonr(x, y).confidence_interval(0.95)
    found = interval("pearson", correlation("pearson", x, y), 40, 0.95)["interval"]
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-6)


@pytest.mark.parametrize("name", ["kendall", "spearman", "pearson"])
def test_intervals_cover(name: str) -> None:
    """Of 400 normal samples of n = 60 about 95 % of the intervals hold the true correlation."""
    rho, rng, held = 0.5, np.random.default_rng(2), 0
    truth = {
        "pearson": rho,
        "kendall": 2 / np.pi * np.arcsin(rho),  # Greiner's relation
        "spearman": 6 / np.pi * np.arcsin(rho / 2),
    }[name]
    for _ in range(400):
        x, z = rng.normal(size=(2, 60))
        y = rho * x + np.sqrt(1 - rho**2) * z
        found = interval(name, correlation(name, x, y), 60, 0.95)["interval"]
        held += found.low <= truth <= found.high
    assert stats.binom.ppf(0.001, 400, 0.94) <= held <= stats.binom.ppf(0.999, 400, 0.97)


def test_every_metric_with_the_human_column(tmp_path: Path) -> None:
    """What scores each sample, and the sentence scores of what is of a corpus."""
    text = "metrics: [chrf, bleu, edit_similarity]\n"
    text += "scores:\n  - {column: rating, as: human, range: [1, 5], human: true}\n"
    text += "  - {column: errors, direction: lower}\n"
    text += 'gates: ["human_correlation.kendall[metric=chrf] >= 0.1"]\n'
    found = evaluate(suite(tmp_path, text), samples=RATED, progress=Silent())
    there = {v.at["metric"] for v in found.values() if v.key == "human_correlation"}
    assert there == {"chrf", "bleu", "edit_similarity", "errors"}
    value = found["human_correlation.spearman[metric=errors]"]
    assert value.number is not None
    assert value.number > 0.9  # fewer errors, higher rating
    assert value.n["generated"] == 36  # type: ignore[index]


def test_a_gate_on_a_metric_that_is_not_there(tmp_path: Path) -> None:
    """An address of no metric of the suite is refused, with the ones there are."""
    text = "metrics: [chrf]\nscores: [{column: rating, as: human, human: true}]\n"
    wrong = suite(tmp_path, text + 'gates: ["human_correlation.kendall[metric=chr] >= 0.1"]\n')
    with pytest.raises(UsageError, match="did you mean 'chrf'"):
        evaluate(wrong, samples=RATED)
    bare = suite(tmp_path, text + "gates: [human_correlation.kendall >= 0.1]\n")
    with pytest.raises(UsageError, match=r"write human_correlation.kendall\[metric=chrf\]"):
        evaluate(bare, samples=RATED)


def test_what_cannot_be_correlated_says_why() -> None:
    """No human score, a constant one, and too few of them."""
    spec = find_metric("human_correlation")
    ids = tuple(f"{i:02d}" for i in range(12))
    x = np.arange(12.0)

    def told(**others: Items) -> str:
        estimates = spec.measure({"others": others}, Context(0), spec.check_options({}))
        return str(estimates[0].problem)

    assert "there is no human" in told(chrf=Items(ids, x, True))
    assert "no other metric" in told(human=Items(ids, x, True))
    flat = Items(ids, np.ones(12), True)
    assert told(human=flat, chrf=Items(ids, x, True)) == "all samples have the same human score"
    few = Items(ids[:5], x[:5], True)
    assert "5 samples have both" in told(human=few, chrf=Items(ids, x, True))
    same = spec.measure(
        {"others": {"human": Items(ids, x, True), "chrf": Items(ids, x**3, True)}},
        Context(0),
        spec.check_options({}),
    )
    assert same[0].number == pytest.approx(1.0, abs=1e-12)
    assert same[0].interval is None
