"""geneval.sensitivity: metrics on samples that are perturbed, and how far they drop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geneval.errors import UsageError
from geneval.evaluator import open_job
from geneval.examples.digits.data import Split
from geneval.ledger import Ledger
from geneval.perturb.perturbation import applied
from geneval.perturb.perturbed import Perturbed
from geneval.reports.html import write_html
from geneval.reports.markdown import write_markdown
from geneval.resample import quantile
from geneval.result import Result
from geneval.run import Outcome, execute
from geneval.samples.arrays import ArraySet
from geneval.suite import load_suite

RunSuite = Callable[..., Outcome]
IMAGES = """
name: mine
reference: {kind: images}
keep_samples: none
metrics: [fid, psnr]
perturb:
  - {target: samples, apply: {jpeg: {quality: [50, 10]}}, metrics: [fid, psnr]}
  - {apply: {salt_and_pepper: {severity: 5}}, metrics: [psnr]}
"""
TEXTS = """
name: words
samples: {kind: texts}
metrics: [exact_match, edit_similarity]
perturb:
  - {apply: {letter_case: {form: upper, rate: 1}}, metrics: [exact_match, edit_similarity]}
"""
RECORDS = [
    {"hypothesis": "a quiet harbour", "references": ["a quiet harbour"]},
    {"hypothesis": "two old men", "references": ["three old men"]},
    {"hypothesis": "安静的港口", "references": ["安静的港口"]},
    {"hypothesis": "THE FERRY", "references": ["THE FERRY"]},
]


def rgb(split: Split, n: int) -> np.ndarray:
    """Digits as colour images."""
    return np.repeat(split.images[:n, ..., None], 3, axis=3)


@pytest.fixture
def outcome(run_suite: RunSuite, digits: tuple[Split, Split]) -> Outcome:
    """Two hundred digits against others of the same ids."""
    train, held_out = digits
    return run_suite(IMAGES, rgb(held_out, 200), rgb(train, 200))


def test_values_are_those_of_the_perturbed_set(
    outcome: Outcome, run_suite: RunSuite, digits: tuple[Split, Split]
) -> None:
    """As if the set had been perturbed beforehand and evaluated by itself."""
    train, held_out = digits
    base = ArraySet(rgb(held_out, 200))
    made = Perturbed(base, [applied("jpeg", {"quality": 50})]).read(base.ids).columns["image"]
    plain = IMAGES.partition("perturb:")[0]
    alone = run_suite(plain, np.stack(made), rgb(train, 200)).result
    for output in ("fid", "fid.debiased", "psnr"):
        value = outcome.result[f"{output}[perturb=jpeg,quality=50]"]
        assert value.number == pytest.approx(alone[output].number, rel=1e-9)
        assert value.interval == alone[output].interval
        assert value.at == {"perturb": "jpeg", "quality": "50"}
        assert value.signature != outcome.result[output].signature


def test_a_drop_is_paired_and_in_the_worse_direction(outcome: Outcome) -> None:
    """What FID gains and PSNR loses; PSNR's interval is that of the differences of its scores."""
    result = outcome.result
    for address, sign, by in (("fid", 1, "fid.debiased"), ("psnr", -1, "psnr")):
        drop = result[f"{address}.drop[perturb=jpeg,quality=10]"]
        after, before = result[f"{by}[perturb=jpeg,quality=10]"], result[by]
        assert drop.number == pytest.approx(sign * (after.number - before.number))
        assert drop.spec.direction == "lower"
    value = result["psnr[perturb=salt_and_pepper,severity=5]"]
    (before,), (after,) = (result.evidence(v).values() for v in (result["psnr"], value))
    lost = before.rows - after.rows
    drop = result["psnr.drop[perturb=salt_and_pepper,severity=5]"]
    half = quantile(0.95) * lost.std(ddof=1) / np.sqrt(200)
    assert drop.interval is not None
    assert drop.interval.low == pytest.approx(lost.mean() - half, rel=1e-3)
    assert drop.interval.high == pytest.approx(lost.mean() + half, rel=1e-3)
    assert drop.interval.method == "paired evidence"
    assert drop.interval.low > 0


def test_more_damage_drops_further(outcome: Outcome) -> None:
    """JPEG of quality 10 moves FID further than 50."""
    mild, harsh = (outcome.result[f"fid.drop[perturb=jpeg,quality={q}]"].number for q in (50, 10))
    assert 0 < mild < harsh


def test_nothing_else_changes(
    outcome: Outcome, run_suite: RunSuite, digits: tuple[Split, Split]
) -> None:
    """Values on the samples as they are do not depend on what else is perturbed."""
    plain = IMAGES.partition("perturb:")[0]
    train, held_out = digits
    alone = run_suite(plain, rgb(held_out, 200), rgb(train, 200)).result
    for value in alone.values():
        assert outcome.result[value.address] == value
    assert "perturb" not in alone.document.suite.document


def test_texts_drop_where_they_change(run_suite: RunSuite) -> None:
    """By hand: in upper case two of four records stay what they were; one match of three goes."""
    result = run_suite(TEXTS, RECORDS).result
    at = "[form=upper,perturb=letter_case,rate=1]"
    assert result["exact_match"].number == 0.75
    assert result[f"exact_match{at}"].number == 0.5
    drop = result[f"exact_match.drop{at}"]
    assert drop.number == 0.25
    assert drop.interval is not None
    assert result[f"edit_similarity{at}"].number < result["edit_similarity"].number


def test_no_change_is_no_drop(run_suite: RunSuite) -> None:
    """Where every resample gives the same, there is no interval, and no negative zero either."""
    text = TEXTS.replace("letter_case: {form: upper, rate: 1}", "zero_width: {rate: 0.0}")
    text = text.replace("exact_match, edit_similarity", "chrf")
    drop = run_suite(text, RECORDS).result["chrf.drop[perturb=zero_width,rate=0.0]"]
    assert str(drop.number) == "0.0"
    assert drop.no_interval == "no sample changed what it gives"


def test_results_are_read_again_and_shown(
    write: Callable[..., Path], digits: tuple[Split, Split], ledger: Ledger, tmp_path: Path
) -> None:
    """A run directory holds the values with their evidence, and reports show them."""
    train, held_out = digits
    suite = load_suite(str(write(f"version: 1\n{IMAGES}")))
    job = open_job(suite, ledger, samples=rgb(held_out, 60), reference=rgb(train, 60))
    made = execute(job, tmp_path)
    assert made.directory is not None
    again = Result.load(made.directory)
    address = "psnr[perturb=jpeg,quality=50]"
    assert again[address] == made.result[address]
    (fresh,), (read,) = (r.evidence(r[address]).values() for r in (made.result, again))
    assert np.array_equal(fresh.rows, read.rows)
    write_html(made.directory)
    write_markdown(made.directory)
    told = (made.directory / "summary.md").read_text()
    assert r"psnr.drop\[perturb=jpeg,quality=50\]" in told
    document = json.loads((made.directory / "result.json").read_text())
    assert document["metrics"][1]["outputs"] == ["psnr", "drop"]


def test_gates_name_settings(run_suite: RunSuite, digits: tuple[Split, Split]) -> None:
    """A gate may ask for a drop of a setting that there is, and for no other."""
    train, held_out = digits
    sets = rgb(held_out, 60), rgb(train, 60)
    gate = 'gates: ["psnr.drop[perturb=jpeg,quality=10] <= {}"]\n'
    assert run_suite(IMAGES + gate.format(99), *sets).exit_code == 0
    assert run_suite(IMAGES + gate.format(-99), *sets).exit_code == 1
    for wrong, told in (
        ("psnr.drop", r"has \[perturb=jpeg,quality=50\], \[perturb=jpeg,quality=10\]"),
        ("psnr[perturb=jpeg,quality=70]", "has no such perturbation"),
        ("fid[perturb=salt_and_pepper,severity=5]", "has no such perturbation"),
        ("psnr[label=3]", "is not grouped by label"),
    ):
        with pytest.raises(UsageError, match=told):
            run_suite(f'{IMAGES}gates: ["{wrong} <= 1"]\n', *sets)


@pytest.mark.parametrize(
    ("perturb", "told"),
    [
        ("{apply: {jpg: {}}, metrics: [fid]}", "did you mean 'jpeg'?"),
        ("{apply: {jpeg: {quality: [50, 0]}}, metrics: [fid]}", "quality = 0 must be at least 1"),
        ("{apply: {jpeg: {}}, metrics: [fd]}", "unknown metric 'fd'; did you mean 'fid'?"),
        ("{apply: {jpeg: {quality: [50, 50]}}, metrics: [fid]}", "fid is put to one setting twice"),
        ("{apply: {jpeg: {}}, metrics: [fid, fid]}", "fid is put to one setting twice"),
        ("{apply: {jpeg: {}}, metrics: [human]}", "human reads other metrics' values"),
        ("{target: inputs, apply: {jpeg: {}}, metrics: [fid]}", "target"),
        ("{apply: {}, metrics: [fid]}", "apply"),
        ("{apply: {jpeg: {}}, metrics: [fid], aply: 1}", "did you mean 'apply'?"),
    ],
)  # fmt: skip
def test_wrong_perturbations_name_their_line(
    refused: Callable[..., str], perturb: str, told: str
) -> None:
    """What cannot be meant is refused with file and line, before any sample is read."""
    text = "version: 1\nmetrics:\n  - fid\n  - human_correlation: {as: human, human: fid}\n"
    sentence = refused(f"{text}perturb:\n  - {perturb}\n")
    assert told in sentence
    assert "suite.yaml:6" in sentence


def test_a_field_that_is_not_there_is_refused_early(
    run_suite: RunSuite, digits: tuple[Split, Split]
) -> None:
    """A perturbation of texts is none of images."""
    text = IMAGES.replace("salt_and_pepper: {severity: 5}", "homoglyphs: {rate: 1.0}")
    with pytest.raises(UsageError, match="unknown field 'hypothesis'"):
        run_suite(text, rgb(digits[1], 20), rgb(digits[0], 20))


def test_a_shown_suite_is_the_suite(write: Callable[..., Path]) -> None:
    """The settings survive being written out."""
    import yaml

    suite = load_suite(str(write(f"version: 1\n{IMAGES}")))
    again = load_suite(str(write(yaml.safe_dump(suite.written), "again.yaml")))
    assert again.document == suite.document
    assert [setting.at for setting in again.settings] == [
        {"perturb": "jpeg", "quality": "50"},
        {"perturb": "jpeg", "quality": "10"},
        {"perturb": "salt_and_pepper", "severity": "5"},
    ]
