"""`geneval list` and `geneval show`: what there is to use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from geneval.extractors.extractor import all_extractors
from geneval.metric import all_metrics
from geneval.perturb.perturbation import all_perturbations
from geneval.suite import load_suite
from geneval.suite_file import shipped_suites

Command = Callable[..., CompletedProcess[str]]

LISTED = {
    "metrics": lambda: list(all_metrics()),
    "suites": lambda: list(shipped_suites()),
    "extractors": lambda: list(all_extractors()),
    "perturbations": lambda: list(all_perturbations()),
}


@pytest.mark.parametrize("kind", LISTED)
def test_list_as_text(command: Command, kind: str) -> None:
    """One line each, the name first, what it is last, in aligned columns."""
    told = command("list", kind)
    assert (told.returncode, told.stderr) == (0, "")
    lines = told.stdout.splitlines()
    assert [line.split()[0] for line in lines] == LISTED[kind]()
    rows = json.loads(command("list", kind, "--json").stdout)
    starts = {line.rindex(row["what"]) for line, row in zip(lines, rows, strict=True)}
    assert len(starts) == 1


@pytest.mark.parametrize("kind", LISTED)
def test_list_as_json(command: Command, kind: str) -> None:
    """The same as one JSON document: name, what it belongs to, what it is."""
    told = command("list", kind, "--json")
    assert (told.returncode, told.stderr) == (0, "")
    rows = json.loads(told.stdout)
    assert [row["name"] for row in rows] == LISTED[kind]()
    for row in rows:
        assert set(row) == {"name", "of", "what"}
        assert row["what"]


def test_listed_metrics_say_their_chapter(command: Command) -> None:
    """Chapters are the folders that metrics live in."""
    rows = json.loads(command("list", "metrics", "--json").stdout)
    assert {row["name"]: row["of"] for row in rows} == {
        name: spec.chapter for name, spec in all_metrics().items()
    }


@pytest.mark.parametrize("name", sorted(all_metrics()))
def test_show_metric(command: Command, name: str) -> None:
    """A metric is shown with its definition, every output with direction and range, its options."""
    told = command("show", "metric", name)
    assert (told.returncode, told.stderr) == (0, "")
    spec = all_metrics()[name]
    assert told.stdout.startswith(f"{name} (version {spec.version}, {spec.chapter})\n")
    assert spec.documentation in told.stdout
    outputs, _, options = told.stdout.partition("\nOutputs\n")[2].partition("\nOptions\n")
    for output in spec.outputs:
        (line,) = [one for one in outputs.splitlines() if one.startswith(f"  {output.name}: ")]
        assert output.direction in line
        assert output.compared_by in line
        for end in output.range:
            assert ("∞" if end is None else f"{end:g}") in line
    for option in spec.options:
        assert f"  {option.name}: " in options
        assert repr(option.default) in options


@pytest.mark.parametrize("name", sorted(all_perturbations()))
def test_show_perturbation(command: Command, name: str) -> None:
    """A perturbation is shown with what it does, its options, and these at every severity."""
    told = command("show", "perturbation", name)
    assert (told.returncode, told.stderr) == (0, "")
    spec = all_perturbations()[name]
    assert told.stdout.startswith(f"{name} ({spec.kind})\n\n{spec.documentation}\n")
    options, _, severities = told.stdout.partition("\nOptions\n")[2].partition("\nSeverities (")
    for option in spec.options:
        assert f"  {option.name}: " in options
        assert repr(option.default) in options
    assert ("severity" in options) == bool(spec.severity)
    assert (spec.source or bool(spec.severity) * "this project's own") in severities
    rows = [line.split() for line in severities.splitlines()[2:]]
    assert rows == [[option, *map(str, cells)] for option, cells in spec.severity.items()]


@pytest.mark.parametrize("name", sorted(shipped_suites()))
def test_shown_suite_is_the_suite(command: Command, name: str, tmp_path: Path) -> None:
    """What `show suite` prints can be saved and is then the same suite."""
    told = command("show", "suite", name)
    assert (told.returncode, told.stderr) == (0, "")
    (tmp_path / "again.yaml").write_text(told.stdout)
    assert load_suite(str(tmp_path / "again.yaml")).document == load_suite(name).document


def test_show_suite_of_metrics_and_options(command: Command, tmp_path: Path) -> None:
    """Keys, extractors and options of a suite survive being shown."""
    (tmp_path / "mine.yaml").write_text(
        "version: 1\nname: mine\nreference: {kind: images}\n"
        "metrics:\n  - fid: {as: raw, extractor: {name: pixels, side: 4}, optional: true}\n"
        "  - kid: {subsets: 7, by: label, n: 50}\ngates:\n  - raw <= 3\n"
    )
    told = command("show", "suite", "mine.yaml")
    (tmp_path / "again.yaml").write_text(told.stdout)
    assert load_suite("again.yaml").document == load_suite("mine.yaml").document


def test_hostile_description_is_spelled_out(command: Command, tmp_path: Path) -> None:
    """Escapes and bidi controls of a suite file cannot steer the terminal that shows it."""
    (tmp_path / "evil.yaml").write_text(
        'version: 1\nname: evil\ndescription: "\\e[2J \\u202e reversed \\x9b31m"\nmetrics: [fid]\n'
    )
    told = command("show", "suite", "evil.yaml")
    assert told.returncode == 0
    assert not {"\x1b", "\u202e", "\x9b"} & set(told.stdout)
    assert "reversed" in told.stdout


def test_wrong_kind_is_wrong_usage(command: Command) -> None:
    """Something else than metrics, suites, extractors or perturbations cannot be listed."""
    told = command("list", "models")
    assert (told.returncode, told.stdout) == (2, "")
    assert "models" in told.stderr
    for kind in LISTED:
        assert kind in told.stderr
