"""Suites: found, extended, overridden, and refused with file, line and the nearest name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.errors import UsageError
from geneval.metric import all_metrics
from geneval.suite import Suite, load_suite, overridden
from geneval.suite_file import shipped_suites

QUICK = settings(max_examples=150, deadline=None, database=None, derandomize=True)
Write = Callable[..., Path]
Refused = Callable[..., str]
BASE = """\
version: 1
name: base
seed: 3
samples: {path: base/samples, n: 500}
reference: {path: base/reference}
extractor: {name: pixels, side: 4}
metrics:
  - fid: {n: 5}
  - kid: {subsets: 10, subset_size: 100}
  - fid: {as: fd_other, extractor: digits}
gates:
  - fid <= 12
"""
FULL = """\
version: 1
name: full
description: Everything a suite may say.
seed: 7
confidence: 0.9
samples: {kind: images, path: data/samples, n: 5000}
generate: {adapter: "my_models:load", n: 100, repeats: 2, seed: 4, batch_size: 8}
reference: {kind: images, path: data/train}
train: {kind: images, path: /elsewhere/train, n: 10}
extractor: {name: pixels, side: 4}
weights: {digits: weights/digits.safetensors}
on_bad_sample: skip
keep_samples: none
pair_by: id
metrics:
  - fid
  - kid: {subsets: 100, subset_size: 1000, seed: 2020}
  - fid: {as: fd_digits, extractor: digits, n: 50, optional: true}
  - fid: {as: fd_side, extractor: {name: pixels, side: 2}}
  - precision_recall: {k: 5, by: label}
  - class_balance: {labels: predicted, classes: [a, b], missing_below: 0.05}
baselines: {last: baselines/main.json}
gates:
  - fid <= 12
  - {value: fid, no_worse_than: last, margin: 5%, confidence: 0.95}
  - {value: "recall[label=3]", at_least: 0.4, judge: interval, level: warn}
report: {train_images: thumbnails}
"""


def keys(suite: Suite) -> list[str]:
    """The keys of a suite's metrics, in order."""
    return [entry.key for entry in suite.metrics]


def load(write: Write, text: str, *overrides: str) -> Suite:
    """The suite of a text."""
    return load_suite(str(write(text)), overrides)


# What a suite says


def test_everything_a_suite_may_say(write: Write) -> None:
    """Every section arrives where it belongs."""
    suite = load(write, FULL)
    assert (suite.name, suite.seed, suite.confidence, suite.pair_by) == ("full", 7, 0.9, "id")
    assert (suite.on_bad_sample, suite.keep_samples) == ("skip", "none")
    assert suite.generate.model_dump() == {
        "prompts": None,
        "adapter": "my_models:load",
        "checkpoint": None,
        "n": 100,
        "repeats": 2,
        "seed": 4,
        "batch_size": 8,
        "options": {},
    }
    assert suite.extractor.key == "pixels(side=4)"
    assert suite.train is not None
    assert suite.train.n == 10
    assert suite.report.train_images == "thumbnails"
    assert keys(suite) == [
        "fid",
        "kid",
        "fd_digits",
        "fd_side",
        "precision_recall",
        "class_balance",
    ]
    fd_digits, fd_side = suite.metrics[2:4]
    assert (fd_digits.metric, fd_digits.n, fd_digits.optional) == ("fid", 50, True)
    assert fd_digits.extractor is not None
    assert fd_digits.extractor.key == "digits"
    assert fd_side.extractor is not None
    assert fd_side.extractor.key == "pixels(side=2)"
    assert suite.metrics[4].by == "label"
    assert suite.metrics[4].options == {"k": 5, "ties": "<="}
    assert suite.metrics[5].options == {
        "labels": "predicted",
        "classes": ["a", "b"],
        "attributes": None,
        "target": None,
        "corrected": False,
        "missing_below": 0.05,
    }


def test_options_are_complete(write: Write) -> None:
    """A metric named alone has all its options at their defaults."""
    (entry,) = load(write, "version: 1\nmetrics: [kid]\n").metrics
    assert entry.options == {"subsets": 100, "subset_size": 1000, "seed": 2020}


def test_bare_names(write: Write) -> None:
    """`extractor: digits` is short for `{name: digits}`, for the suite and for one metric."""
    short = load(write, "version: 1\nextractor: digits\nmetrics: [fid: {extractor: pixels}]\n")
    long = load(
        write,
        "version: 1\nextractor: {name: digits}\nmetrics: [fid: {extractor: {name: pixels}}]\n",
    )
    assert short.document == long.document
    assert short.digest == long.digest


def test_baseline_is_short_for_baselines(write: Write) -> None:
    """`baseline: PATH` names one baseline, relative to the suite."""
    suite = load(write, "version: 1\nmetrics: [fid]\nbaseline: runs/main\n")
    ((name, path),) = suite.baselines.items()
    assert name == "baseline"
    assert Path(path).parts[-2:] == ("runs", "main")


def test_both_baseline_and_baselines(refused: Refused) -> None:
    """Two ways to say one thing are refused where they are said."""
    told = refused("version: 1\nmetrics: [fid]\nbaselines: {a: x}\nbaseline: y\n")
    assert re.search(r"suite\.yaml:4: .*either baseline or baselines", told)


def test_paths_are_relative_to_the_suite_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are those beside the suite file, wherever the command runs; absolute ones stay."""
    write(FULL, "deep/suite.yaml")
    monkeypatch.chdir(tmp_path)
    suite = load_suite("deep/suite.yaml")
    assert suite.samples.path is not None
    assert suite.reference is not None
    assert suite.reference.path is not None
    assert suite.train is not None
    deep = tmp_path / "deep"
    assert Path(suite.samples.path).resolve() == deep / "data/samples"
    assert Path(suite.reference.path).resolve() == deep / "data/train"
    assert suite.train.path == "/elsewhere/train"
    assert Path(suite.weights["digits"]).resolve() == deep / "weights/digits.safetensors"
    assert Path(suite.baselines["last"]).resolve() == deep / "baselines/main.json"
    assert suite.generate.adapter == "my_models:load"


def test_a_checkpoint_path_is_relative_too(write: Write, tmp_path: Path) -> None:
    """`generate: {checkpoint}` is a path like the others."""
    text = "version: 1\nmetrics: [fid]\ngenerate: {adapter: digits, checkpoint: step-1.pt}\n"
    assert load(write, text).generate.checkpoint == str(tmp_path / "step-1.pt")


# Where suites are found


@pytest.mark.parametrize("name", list(shipped_suites()))
def test_shipped_suites_load_by_name(name: str) -> None:
    """Every suite that ships loads by its name and bears it."""
    assert load_suite(name).name == name


def test_a_file_of_the_same_name_hides_no_shipped_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`geneval run digits` is the shipped suite, also beside a file that is called digits."""
    (tmp_path / "digits").write_text("not a suite")
    monkeypatch.chdir(tmp_path)
    assert load_suite("digits").name == "digits"


def test_metrics_with_commas() -> None:
    """`fid,kid` needs no file."""
    suite = load_suite(" fid, kid")
    assert keys(suite) == ["fid", "kid"]
    assert suite.name == "ad-hoc"
    assert load_suite("fid").digest == load_suite("fid").digest != suite.digest


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("fid,kidd", "unknown metric 'kidd'; did you mean 'kid'"),
        ("digit", "unknown suite or metric 'digit'; did you mean 'digits'"),
        ("kidd", "unknown suite or metric 'kidd'; did you mean 'kid'"),
        ("fid,", "unknown metric ''"),
        ("", "unknown suite or metric ''"),
        ("fid,kid,fid", "names a metric twice"),
        ("absent.yaml", "suite absent.yaml does not exist"),
        ("absent/suite.yml", "does not exist"),
        ("x" * 300 + ".yaml", ""),
        ("a\0b.yaml", ""),
    ],
)
def test_what_is_not_found(source: str, told: str) -> None:
    """A suite that is not there is a usage error with the nearest name."""
    with pytest.raises(UsageError) as caught:
        load_suite(source)
    assert told in str(caught.value)


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    """A folder called like a suite file is told as absent."""
    (tmp_path / "suite.yaml").mkdir()
    with pytest.raises(UsageError, match="does not exist"):
        load_suite(str(tmp_path / "suite.yaml"))


# What is refused, and where


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("metrics: [fid]\n", None, "`version: 1` is missing"),
        ("", None, "must be a mapping"),
        ("- fid\n", None, "must be a mapping"),
        ("version: 1\nmetrics: []\n", 1, "at least one metric"),
        ("version: 1\nname: x\n", 1, "at least one metric"),
        ("version: 2\nmetrics: [fid]\n", 1, "version = 2"),
        ('version: "1"\nmetrics: [fid]\n', 1, "version = '1'"),
        ("version: true\nmetrics: [fid]\n", 1, "version = True"),
        ("version: 1\nmetrics: fid\n", 2, "metrics is a list"),
        ("version: 1\nmetrics:\n", 2, "metrics is a list"),
        ("version: 1\nmetrics: {fid: {}}\n", 2, "metrics is a list"),
        ("version: 1\nmetrics:\n- fid\n- fidd\n", 4, "unknown metric 'fidd'; did you mean 'fid'"),
        ("version: 1\nmetrics:\n- kid: {subset: 5}\n", 3, "did you mean 'subsets'"),
        ("version: 1\nmetrics:\n- fid\n- kid: {subsets: '5'}\n", 4, "subsets = '5'"),
        ("version: 1\nmetrics:\n- fid\n- kid: {subsets: 1e3}\n", 4, "subsets = '1e3'"),
        ("version: 1\nmetrics:\n- fid\n- kid: 5\n", 4, "a metric is a name"),
        ("version: 1\nmetrics:\n- fid\n- {kid: {}, recall: {}}\n", 4, "a metric is a name"),
        ("version: 1\nmetrics:\n- fid\n- 5\n", 4, "a metric is a name"),
        ("version: 1\nmetrics:\n- fid\n-\n", 4, "a metric is a name"),
        ("version: 1\nmetrics:\n- fid\n- [kid]\n", 4, "a metric is a name"),
        ("version: 1\nmetrics:\n- fid\n- fid: {n: 5}\n", 4, "'fid' is given twice"),
        ("version: 1\nmetrics:\n- fid\n- kid: {as: fid}\n", 4, "'fid' is given twice"),
        ("version: 1\nmetrics:\n- fid\n- fid: {as: a.b}\n", 4, "a.b"),
        ("version: 1\nmetrics:\n- fid\n- fid: {as: 'a b'}\n", 4, "a b"),
        ("version: 1\nmetrics:\n- fid\n- kid: {as: 5}\n", 4, ""),
        ("version: 1\nmetrics:\n- fid\n- kid: {optional: 'yes'}\n", 4, "optional = 'yes'"),
        ("version: 1\nmetrics:\n- fid\n- kid: {optional: yes}\n", 4, "optional = 'yes'"),
        ("version: 1\nmetrics:\n- fid\n- kid: {n: 0}\n", 4, "n = 0"),
        ("version: 1\nmetrics:\n- fid\n- kid: {by: 5}\n", 4, "by = 5"),
        ("version: 1\nmetrics:\n- fid\n- kid: {extractor: 5}\n", 4, "an extractor is"),
        ("version: 1\nmetrics:\n- fid\n- kid: {metric: fid}\n", 4, "unknown option 'metric'"),
        ("version: 1\nmetrics:\n- fid\n- kid:\n", 4, "null but nothing is extended"),
        ("version: 1\nmetrics: [fid]\nseeed: 5\n", 3, "unknown key 'seeed'; did you mean 'seed'"),
        ("version: 1\nmetrics: [fid]\nwhere: {a: b}\n", 3, "unknown key 'where'"),
        ("version: 1\nmetrics: [fid]\nseed: 1e3\n", 3, "a number is written 0.001, not 1e-3"),
        ("version: 1\nmetrics: [fid]\nseed: 1.5\n", 3, "seed = 1.5"),
        ("version: 1\nmetrics: [fid]\nseed: true\n", 3, "seed = True"),
        ("version: 1\nmetrics: [fid]\nconfidence: 1.0\n", 3, "confidence = 1.0"),
        ("version: 1\nmetrics: [fid]\nconfidence: 0.5\n", 3, "confidence = 0.5"),
        ("version: 1\nmetrics: [fid]\nconfidence: 95%\n", 3, "confidence = '95%'"),
        ("version: 1\nmetrics: [fid]\nname: ../up\n", 3, "../up"),
        ("version: 1\nmetrics: [fid]\nname: .hidden\n", 3, ".hidden"),
        ("version: 1\nmetrics: [fid]\nsamples: {n: 0}\n", 3, "samples.n = 0"),
        ("version: 1\nmetrics: [fid]\nsamples:\n  n: 5\n  paths: x\n", 5, "did you mean 'path'"),
        ("version: 1\nmetrics: [fid]\nsamples: data\n", 3, "samples = 'data'"),
        ("version: 1\nmetrics: [fid]\nreference: {kind: image}\n", 3, "image"),
        ("version: 1\nmetrics: [fid]\ngenerate: {batchsize: 5}\n", 3, "did you mean 'batch_size'"),
        ("version: 1\nmetrics: [fid]\nreport: {train_images: yes}\n", 3, "train_images = 'yes'"),
        ("version: 1\nmetrics: [fid]\npair_by: name\n", 3, "pair_by = 'name'"),
        ("version: 1\nmetrics: [fid]\ngates: fid <= 3\n", 3, "gates = 'fid <= 3'"),
        ("version: 1\nmetrics: [fid]\ngates: {a: b}\n", 3, "gates"),
        ("version: 1\nmetrics: [fid]\ngates:\n", 3, "gates"),
        ("version: 1\nmetrics: [fid]\ngates:\n- fid <= 3\n- 5\n", 5, "5"),
        ("version: 1\nmetrics: [fid]\nbaselines: [a]\n", 3, "baselines"),
        ("version: 1\nmetrics: [fid]\nweights: {digits: 5}\n", 3, "weights.digits = 5"),
        ("version: 1\nmetrics: [fid]\nextractor: 5\n", 3, "an extractor is"),
        ("version: 1\nmetrics: [fid]\nextractor: {side: 4}\n", 3, "an extractor is"),
        ("version: 1\nmetrics: [fid]\nextends: nowhere\n", 3, "unknown suite 'nowhere'"),
        ("version: 1\nmetrics: [fid]\nextends: [digits]\n", 3, "cannot extend"),
        ("version: 1\nmetrics: [fid]\nmetrics: [kid]\n", 3, "'metrics' is given twice"),
    ],
)
def test_what_is_refused(refused: Refused, text: str, line: int | None, told: str) -> None:
    """Everything that cannot be meant is refused with its file, its line and what was meant."""
    sentence = refused(text)
    where = r"suite\.yaml\b" if line is None else rf"suite\.yaml:{line}: "
    assert re.search(where, sentence), sentence
    assert told in sentence


def test_a_key_that_is_no_text_is_not_told_as_given_twice(refused: Refused) -> None:
    """The sentence about `as: 5` is about what is wrong with it."""
    assert "twice" not in refused("version: 1\nmetrics: [{kid: {as: 5}}]\n")


# Extending


def test_extending_merges(write: Write, tmp_path: Path) -> None:
    """Mappings merge deeply, metrics by key, gates append, null removes."""
    write(BASE, "base.yaml")
    suite = load(
        write,
        """\
version: 1
name: child
extends: base.yaml
samples: {n: 20}
extractor: {side: 2}
metrics:
  - kid: {subsets: 7}
  - fd_other: null
  - precision_recall
gates:
  - kid <= 1
""",
    )
    assert (suite.name, suite.seed, suite.samples.n) == ("child", 3, 20)
    assert suite.samples.path == str(tmp_path / "base/samples")
    assert suite.extractor.key == "pixels(side=2)"
    assert keys(suite) == ["fid", "kid", "precision_recall"]
    assert suite.metrics[0].n == 5
    assert suite.metrics[1].options == {"subsets": 7, "subset_size": 100, "seed": 2020}
    assert suite.gates == ["fid <= 12", "kid <= 1"]


def test_extending_a_shipped_suite(write: Write) -> None:
    """A shipped suite is extended by its name."""
    shipped = load_suite("digits")
    suite = load(write, "version: 1\nname: mine\nextends: digits\ngates: [kid <= 1]\n")
    assert keys(suite) == keys(shipped)
    assert suite.gates == [*shipped.gates, "kid <= 1"]
    assert suite.digest != shipped.digest


def test_paths_belong_to_the_file_that_writes_them(write: Write, tmp_path: Path) -> None:
    """A path of an extended suite in another folder is relative to that suite."""
    write(BASE, "common/base.yaml")
    write("version: 1\nextends: ../common/base.yaml\nreference: {path: mine}\n", "own/suite.yaml")
    suite = load_suite(str(tmp_path / "own/suite.yaml"))
    assert suite.samples.path is not None
    assert suite.reference is not None
    assert suite.reference.path is not None
    assert Path(suite.samples.path).resolve() == tmp_path / "common/base/samples"
    assert Path(suite.reference.path).resolve() == tmp_path / "own/mine"


def test_removing_what_is_not_there(write: Write, refused: Refused) -> None:
    """`null` for a key that the extended suite does not have names the nearest."""
    write(BASE, "base.yaml")
    told = refused("version: 1\nextends: base.yaml\nmetrics:\n- fid\n- kidd: null\n")
    assert re.search(r"suite\.yaml:5: nothing to remove: .*did you mean 'kid'", told)


@pytest.mark.parametrize("files", [("suite.yaml",), ("b.yaml", "suite.yaml")])
def test_suites_that_extend_each_other(
    write: Write, refused: Refused, files: tuple[str, ...]
) -> None:
    """A circle of extensions is refused instead of followed."""
    write("version: 1\nextends: suite.yaml\n", "b.yaml")
    assert "cannot extend" in refused(f"version: 1\nextends: {files[0]}\nmetrics: [fid]\n")


def test_a_chain_of_equal_names_is_no_circle(write: Write, tmp_path: Path) -> None:
    """Three folders whose suites each extend `../suite.yaml` are a chain of different files."""
    write(BASE, "suite.yaml")
    write("version: 1\nextends: ../suite.yaml\nseed: 4\n", "a/suite.yaml")
    write("version: 1\nextends: ../suite.yaml\nname: inner\n", "a/b/suite.yaml")
    suite = load_suite(str(tmp_path / "a/b/suite.yaml"))
    assert (suite.name, suite.seed) == ("inner", 4)


@pytest.mark.parametrize("gates", ["5", "fid <= 3", "{a: b}", ""])
def test_gates_of_an_extension_are_a_list(write: Write, refused: Refused, gates: str) -> None:
    """A wrong `gates:` is refused in an extending suite as it is in any other."""
    write(BASE, "base.yaml")
    told = refused(f"version: 1\nextends: base.yaml\ngates: {gates}\n")
    assert re.search(r"suite\.yaml:3: .*gates", told), told


def test_lines_of_an_extension(write: Write, refused: Refused, tmp_path: Path) -> None:
    """An error is told at the line of the file it was written in, and of its own entry."""
    write(BASE, "base.yaml")
    start = "version: 1\nextends: base.yaml\nmetrics:\n- kid: {subsets: 3}\n"
    assert re.search(r"suite\.yaml:5: .*optional", refused(start + "- fid: {optional: 'yes'}\n"))
    assert re.search(r"suite\.yaml:5: .*did you mean", refused(start + "- mind: {block: 3}\n"))
    write(BASE.replace("subsets: 10", "subsets: ten"), "base.yaml")
    assert re.search(r"base\.yaml:9: .*subsets", refused("version: 1\nextends: base.yaml\n"))


def test_places_of_gates_in_an_extension(write: Write, tmp_path: Path) -> None:
    """Each gate knows its file and line, those of the extended suite first."""
    write(BASE, "base.yaml")
    suite = load(write, "version: 1\nextends: base.yaml\ngates:\n- kid <= 1\n- kid >= 0\n")
    assert suite.at("gates", 0) == f"{tmp_path}/base.yaml:12: "
    assert suite.at("gates", 1) == f"{tmp_path}/suite.yaml:4: "
    assert suite.at("gates", 2) == f"{tmp_path}/suite.yaml:5: "
    assert suite.at("metrics", "kid") == f"{tmp_path}/base.yaml:9: "
    assert suite.at("metrics", "absent") == ""


# --set


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("seed=9", lambda s: s.seed == 9),
        ("name=other", lambda s: s.name == "other"),
        ("metrics.kid.subsets=50", lambda s: s.metrics[1].options["subsets"] == 50),
        ("metrics.fid.by=label", lambda s: s.metrics[0].by == "label"),
        ("metrics.fid.n=50", lambda s: s.metrics[0].n == 50),
        ("metrics.fid.optional=true", lambda s: s.metrics[0].optional is True),
        ("metrics.fd_other.extractor=pixels", lambda s: s.metrics[2].extractor.key == "pixels"),
        (
            "metrics.fd_other.extractor={name: pixels, side: 2}",
            lambda s: s.metrics[2].extractor.key == "pixels(side=2)",
        ),
        ("extractor=digits", lambda s: s.extractor.key == "digits"),
        ("extractor.side=8", lambda s: s.extractor.key == "pixels(side=8)"),
        ("samples.n=7", lambda s: s.samples.n == 7),
        ("samples.path=/data/x y", lambda s: s.samples.path == "/data/x y"),
        ("train.path=/data/t", lambda s: s.train.path == "/data/t"),
        ("confidence=9e-1", lambda s: s.confidence == 0.9),
        ("description=a=b", lambda s: s.description == "a=b"),
        ('description=""', lambda s: s.description == ""),
        ('gates=["kid <= 1"]', lambda s: s.gates == ["kid <= 1"]),
        ("baselines.last=/runs/a", lambda s: s.baselines == {"last": "/runs/a"}),
    ],
)
def test_settings(write: Write, setting: str, read: Callable[[Suite], bool]) -> None:
    """`--set` reaches every single place, metrics by their key; 1e-3 is a number there."""
    assert read(load(write, BASE, setting))


def test_later_settings_win(write: Write) -> None:
    """Settings apply in the order given."""
    assert load(write, BASE, "seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("seed", "write key=value"),
        ("=5", "write key=value"),
        ("", "write key=value"),
        ("seeed=5", "did you mean 'seed'"),
        ("metrics.kidd.subsets=5", "unknown metric key 'kidd'; did you mean 'kid'"),
        ("metrics.kid.subset=5", "did you mean 'subsets'"),
        ("metrics.kid.subsets=many", "subsets = 'many'"),
        ("metrics.kid.subsets=1.5", "subsets = 1.5"),
        ("metrics.kid.subsets.x=1", "subsets"),
        ("metrics.kid=5", "metrics.kid"),
        ("metrics.kid=null", "metrics.kid"),
        ("metrics.new=5", "new"),
        ("metrics.kid.as=x", "as"),
        ("metrics=5", "metrics"),
        ("metrics=fid", "metrics"),
        ('metrics=["fid"]', "metrics"),
        ("metrics=[]", "metrics"),
        ("where.x=5", "where"),
        ("samples.n=1e3", "samples.n"),
        ("confidence=NaN", "confidence"),
        ("confidence=Infinity", "confidence"),
        ("seed=[", "--set"),
        ("seed=" + "9" * 5000, "--set"),
        ("seed=" + "[" * 3000, "--set"),
        ("seed=\x00", "--set"),
    ],
)
def test_settings_that_cannot_be(refused: Refused, setting: str, told: str) -> None:
    """A setting that reaches nothing, or does not fit, is a usage error."""
    assert told in refused(BASE, setting)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_no_option_is_nan(refused: Refused, value: str) -> None:
    """NaN as a limit inside a metric finds no fault anywhere: it is refused."""
    text = "version: 1\nmetrics: [class_balance]\n"
    assert "missing_below" in refused(text, f"metrics.class_balance.missing_below={value}")


def test_an_option_in_a_file_is_finite(refused: Refused) -> None:
    """A number too large to hold is infinity, and refused."""
    told = refused("version: 1\nmetrics:\n- class_balance: {missing_below: 1.0e999}\n")
    assert re.search(r"suite\.yaml:3: .*missing_below", told)


# The document


def leaves(content: Any) -> list[str]:
    """All text in a document, keys too."""
    if isinstance(content, dict):
        return [text for k, v in content.items() for text in [k, *leaves(v)]]
    if isinstance(content, list):
        return [text for item in content for text in leaves(item)]
    return [content] if isinstance(content, str) else []


def test_the_document_has_no_paths(write: Write, tmp_path: Path) -> None:
    """Where data lies is not what a suite is: no path is in the document or its digest."""
    suite = load(write, FULL)
    texts = leaves(suite.document)
    assert not [text for text in texts if str(tmp_path) in text or "elsewhere" in text]
    assert not {"path", "weights", "baselines", "checkpoint", "where"} & set(texts)
    moved = FULL.replace("data/", "other/").replace("/elsewhere", "/nowhere")
    moved = moved.replace("baselines/main", "b/main").replace("weights/", "w/")
    assert load(write, moved).digest == suite.digest


@pytest.mark.parametrize(
    "change",
    [
        ("seed: 7", "seed: 8"),
        ("k: 5", "k: 6"),
        ("side: 2", "side: 3"),
        ("fid <= 12", "fid <= 13"),
        ("confidence: 0.9\n", "confidence: 0.8\n"),
        ("pair_by: id\n", ""),
        ("n: 5000", "n: 5001"),
        ("by: label", "by: kind"),
    ],
)
def test_the_digest_tells_suites_apart(write: Write, change: tuple[str, str]) -> None:
    """Whatever changes what is measured or judged changes the digest."""
    assert change[0] in FULL
    assert load(write, FULL).digest != load(write, FULL.replace(*change)).digest


def test_the_document_is_json(write: Write) -> None:
    """The document is plain data that JSON holds without loss."""
    document = load(write, FULL).document
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize("source", [FULL, BASE, *shipped_suites()])
def test_what_is_written_loads_again(write: Write, source: str) -> None:
    """`written`, dumped as YAML, is a suite file of the same suite."""
    suite = load(write, source) if "\n" in source else load_suite(source)
    again = load(write, yaml.safe_dump(suite.written, sort_keys=False))
    assert again.document == suite.document
    assert again.digest == suite.digest


@pytest.mark.parametrize("name", list(all_metrics()))
def test_every_metric_is_written_and_loaded(write: Write, name: str) -> None:
    """An ad hoc suite of any metric can be written down and loaded again."""
    suite = load_suite(name)
    text = yaml.safe_dump({**suite.written, "name": "again"}, sort_keys=False)
    assert load(write, text).metrics == suite.metrics


def test_a_document_is_a_suite_again(write: Write) -> None:
    """A result's document makes the same suite, and takes overrides."""
    suite = load(write, FULL)
    again = overridden(json.loads(json.dumps(suite.document)), [])
    assert again.digest == suite.digest
    changed = overridden(suite.document, ["metrics.kid.subsets=5", "extractor.side=3"])
    assert changed.metrics[1].options["subsets"] == 5
    assert changed.extractor.key == "pixels(side=3)"
    assert changed.metrics[2:] == suite.metrics[2:]
    with pytest.raises(UsageError, match="did you mean 'kid'"):
        overridden(suite.document, ["metrics.kidd.subsets=5"])


# Fuzz

keys_of_suites = st.sampled_from([*Suite.model_fields, "extends", "baseline", "path", "n", "side"])
keys_of_metrics = st.sampled_from(["fid", "kid", "as", "by", "n", "subsets", "metric", "key", "x"])
words = st.sampled_from(["fid", "kid", "digits", "label", "5%", "1e-3", ".", "", "fid <= 12", "id"])
leaf = words | st.none() | st.booleans() | st.integers(-2, 3) | st.floats(0, 1)
content = st.recursive(
    leaf,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys_of_suites | keys_of_metrics, inner, max_size=3)
    ),
    max_leaves=8,
)
sections = st.dictionaries(keys_of_suites, content, max_size=3)
entries = st.dictionaries(keys_of_metrics, content, max_size=1) | content


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files of a fuzz test, with a suite to extend."""
    root = tmp_path_factory.mktemp("fuzz")
    (root / "base.yaml").write_text(BASE)
    return root


def load_or_refuse(path: Path, *overrides: str) -> None:
    """A suite, complete enough to have a digest and to be written, or a `UsageError`."""
    try:
        suite = load_suite(str(path), overrides)
    except UsageError as error:
        assert str(error)
    else:
        assert len(suite.digest) == 64
        assert suite.written["metrics"]


@QUICK
@given(sections, st.lists(entries, max_size=2), st.sampled_from([None, "base.yaml", "digits"]))
def test_any_suite_loads_or_is_refused(
    folder: Path, extra: dict[str, Any], metrics: list[Any], extends: str | None
) -> None:
    """Whatever a suite file holds, it is a suite or a usage error, never a crash."""
    suite = {"version": 1, "metrics": ["fid", *metrics], **extra}
    if extends:
        suite["extends"] = extends
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    load_or_refuse(folder / "suite.yaml")


@QUICK
@given(st.data())
def test_a_damaged_suite_loads_or_is_refused(folder: Path, data: st.DataObject) -> None:
    """A suite file cut, doubled or scribbled over anywhere is a suite or a usage error."""
    start = data.draw(st.integers(0, len(FULL)))
    end = data.draw(st.integers(start, min(len(FULL), start + 40)))
    scribble = data.draw(st.text(st.sampled_from("ab01:-,[]{}#&*!|>'\"%?\n <=.~"), max_size=6))
    (folder / "suite.yaml").write_text(FULL[:start] + scribble + FULL[end:])
    load_or_refuse(folder / "suite.yaml")


@QUICK
@given(
    st.just("metrics") | keys_of_suites,
    st.lists(keys_of_metrics, max_size=2),
    content | st.text(max_size=6),
)
def test_any_setting_applies_or_is_refused(
    folder: Path, section: str, inner: list[str], value: Any
) -> None:
    """Whatever `--set` is given, the outcome is a suite or a usage error."""
    text = value if isinstance(value, str) else json.dumps(value)
    load_or_refuse(folder / "base.yaml", f"{'.'.join([section, *inner])}={text}")


def test_a_metric_may_be_by_several_columns(write: Write) -> None:
    """A list of columns stands for their intersections, in one order; anything else is refused."""
    text = "version: 1\nmetrics:\n  - fid: {{by: {}}}\n"
    suite = load(write, text.format("[gender, age]"))
    assert suite.metrics[0].columns == ("age", "gender")
    assert load(write, text.format("[age]")).metrics[0].columns == ("age",)
    assert overridden(suite.document, ()).document == suite.document
    for wrong in ("3", "[]", "[age, 3]", "{age: 1}"):
        with pytest.raises(UsageError, match=r":3: metrics\.fid\.by = .*: a column, or a list"):
            load(write, text.format(wrong))


def test_groups_give_every_metric_by_a_column(write: Write) -> None:
    """Each metric of samples once more a column, unless it is grouped already or reads values."""
    text = "version: 1\nname: g\nsamples: {kind: texts}\ngroups: [lang, my-domain]\n"
    text += "metrics:\n  - bleu\n  - chrf: {as: c, by: lang}\n"
    text += "scores: [{column: rating, as: human, human: true}]\n"
    suite = load(write, text)
    by = {entry.key: (entry.by, entry.optional) for entry in suite.metrics}
    assert by == {
        "bleu": (None, False),
        "c": ("lang", False),
        "human": (None, False),
        "human_correlation": (None, False),
        "bleu_by_lang": ("lang", True),
        "human_by_lang": ("lang", True),
        "bleu_by_my-domain": ("my-domain", True),
        "human_by_my-domain": ("my-domain", True),
    }
    assert overridden(suite.document, ()).document == suite.document
