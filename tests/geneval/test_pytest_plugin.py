"""The pytest plugin, run by pytest itself: in this process, in workers, and on its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.pytester import SysModulesSnapshot

import geneval
import geneval.evaluator
from geneval.result import Result

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
SUITE = """
version: 1
name: short
samples: {kind: texts}
metrics: [length, distinct_n]
gates:
  - length <= 1000
  - length <= 1
  - {value: length, at_most: 1, level: warn}
  - {value: length, at_most: 1000, min_n: 999}
"""
GATES = [
    "length <= 1000",
    "length <= 1",
    "value: length, at_most: 1, level: warn",
    "value: length, at_most: 1000, min_n: 999",
    "metrics",
]
Session = Callable[..., pytest.RunResult]


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """pytest with this plugin and xdist alone, in a folder with a suite and two sets of texts."""
    # pytester drops what a session has imported, but some libraries cannot be imported twice
    monkeypatch.setattr(SysModulesSnapshot, "restore", lambda self: None)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    (pytester.path / "short.suite.yaml").write_text(SUITE)
    pytester.makeini("[pytest]")
    for name, words in (("a", "a sentence of some words"), ("b", "another one")):
        lines = [json.dumps({"hypothesis": words + " more" * (i % 3)}) for i in range(30)]
        (pytester.path / f"{name}.jsonl").write_text("\n".join(lines))
    samples = ["--geneval-samples", "a.jsonl"]

    def run(*arguments: str, given: list[str] = samples) -> pytest.RunResult:
        words = ["-p", "geneval.pytest_plugin", "-p", "xdist", *given, *arguments]
        return pytester.runpytest_inprocess(*words)

    yield run
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(pytester.path)):
            del sys.modules[name]


def names(xml: Path) -> dict[str, str]:
    """What became of every case of a JUnit file: the tag in it, or 'passed'."""
    found = {}
    for case in ET.parse(xml).iter("testcase"):
        tags = [one.tag for one in case if one.tag not in ("properties", "system-out")]
        found[f"{case.attrib['classname']}::{case.attrib['name']}"] = tags[0] if tags else "passed"
    return found


def test_a_suite_file_is_a_test_for_each_gate(session: Session, pytester: pytest.Pytester) -> None:
    """Names are suite::checkpoint::gate; a failed gate is a failure, an unjudged one an error."""
    told = session("--junitxml", "j.xml", "-v")
    told.assert_outcomes(passed=3, failed=1, errors=1, warnings=1)
    assert told.ret == pytest.ExitCode.TESTS_FAILED
    assert list(names(pytester.path / "j.xml").values()) == [
        *("passed", "failure", "passed", "error", "passed")
    ]
    told.stdout.fnmatch_lines([f"short.suite.yaml::a::{gate} *" for gate in GATES])
    told.stdout.fnmatch_lines(
        [
            "*ERROR at setup of short::a::value: length, at_most: 1000, min_n: 999*",
            "*n = 30 is below the gate's min_n of 999*",
            "*short::a::length <= 1*",
            "FAIL: length is *; the gate allows at most 1*",
            "interval: [[]*",
            "n: *30*",
            "signature: length|*",
        ]
    )
    assert "Traceback" not in told.stdout.str()


def test_the_summary_has_a_row_for_every_gate(session: Session) -> None:
    """The table names status, suite, subject, gate, value, interval and n; a warning stands out."""
    told = session("--geneval-samples", "second=b.jsonl").stdout.str()
    _, _, table = told.partition(" geneval ===")
    rows = [line.split() for line in table.splitlines()[1:]]
    found = [(*row[1:3], row[0]) for row in rows[1 : 1 + 2 * len(GATES)]]
    assert rows[0] == ["status", "suite", "subject", "gate", "value", "interval", "n"]
    assert [subject for _, subject, _ in found] == ["a"] * len(GATES) + ["second"] * len(GATES)
    for subject in ("a", "second"):
        statuses = sorted(status for _, its, status in found if its == subject)
        assert statuses == ["ERROR", "FAIL", "PASS", "PASS", "WARN"]
    assert [row[-4:] for row in rows if row[3:6] == ["length", "<=", "1000"]] == [
        ["6", "[5.703,", "6.297]", "30"],  # 6 ± 1.96 · sqrt(20/29/30)
        ["3", "[2.703,", "3.297]", "30"],
    ]
    assert "GateWarning" in told


def test_collection_evaluates_nothing(session: Session, pytester: pytest.Pytester) -> None:
    """Listing the gates reads the suite alone, also where its metrics and samples are unknown."""
    suite = SUITE.replace("distinct_n", "unheard_of")
    (pytester.path / "short.suite.yaml").write_text(suite)
    told = session("--collect-only", "-q", given=["--geneval-samples", "gone.jsonl"])
    assert told.ret == 0
    assert told.outlines[: len(GATES)] == [f"short.suite.yaml::gone::{gate}" for gate in GATES]


def test_selection_by_keyword_name_and_last_failed(
    session: Session, pytester: pytest.Pytester
) -> None:
    """-k, a node's name, and --lf choose gates as they choose tests."""
    session("-k", "metrics").assert_outcomes(passed=1, deselected=4)
    session("short.suite.yaml::a::length <= 1").assert_outcomes(failed=1)
    session().assert_outcomes(passed=3, failed=1, errors=1, warnings=1)
    session("--lf", "-p", "cacheprovider").assert_outcomes(failed=1, errors=1)


def test_two_workers_share_one_evaluation(
    session: Session, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under -n 2 every gate is reported as without, of one run directory a subject."""
    given = ["--geneval-samples", "a.jsonl", "--geneval-samples", "b.jsonl"]
    given += ["--geneval-out", "kept", "--junitxml", "j.xml"]
    told = session("-n", "2", "--dist", "load", given=given)
    told.assert_outcomes(passed=6, failed=2, errors=2, warnings=2)
    assert len(names(pytester.path / "j.xml")) == 2 * len(GATES)
    for subject in "ab":
        (directory,) = (pytester.path / "kept" / "short" / subject).iterdir()
        assert (directory / "report.html").is_file()
        assert Result.load(directory).name == subject
    told.stdout.fnmatch_lines(["report: *kept*report.html", "status  suite  subject  gate*"])


def test_properties_are_plain(session: Session, pytester: pytest.Pytester) -> None:
    """What tests leave are builtins: a number of NumPy would end a session with workers."""
    pytester.makeconftest(
        "import builtins\n"
        "def pytest_runtest_logreport(report):\n"
        "    for name, fact in report.user_properties:\n"
        "        assert type(fact) in (str, int, float), (name, type(fact))\n"
        "        if name == 'geneval_value' and report.when == 'call': print('VALUE', fact)\n"
    )
    told = session("-s", "-k", "1000 and not min_n")
    told.assert_outcomes(passed=1, deselected=4)
    value = float(told.stdout.str().split("VALUE ")[1].split()[0])
    assert value == 6  # five words, and none to two more


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "nothing to evaluate: give --samples PATH"),
        (["--geneval-samples", "gone.jsonl"], "gone.jsonl"),
        (["--geneval-samples", "a.jsonl", "--geneval-set", "seed=x"], "seed = 'x'"),
        (["--geneval-samples", "a.jsonl", "--geneval-set", "gates=[lenth <= 1]"], "did you mean"),
        (["--geneval-samples", "a.jsonl", "--geneval-set", "metrics.length.oops=1"], "oops"),
        (["--geneval-samples", "a.jsonl", "--geneval-set", "gates=5"], "gates = 5"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_of_every_gate(
    session: Session, given: list[str], said: str
) -> None:
    """No gate passes, or vanishes, when nothing was evaluated; each says why."""
    told = session(given=given)
    outcomes = told.parseoutcomes()
    assert told.ret == pytest.ExitCode.TESTS_FAILED
    assert set(outcomes) == {"errors"}
    assert outcomes["errors"] == {"gates=[lenth <= 1]": 2, "gates=5": 1}.get(
        given[-1] if given else "", len(GATES)
    )
    assert said in told.stdout.str()


def test_a_metric_that_fails_without_a_gate_is_an_error(
    session: Session, pytester: pytest.Pytester
) -> None:
    """The test `metrics` speaks for metrics that nobody gates."""
    (pytester.path / "short.suite.yaml").write_text(
        SUITE.split("gates:")[0].replace("distinct_n", "kid: {extractor: char-ngrams}")
        + "reference: {path: b.jsonl, fields: {references: hypothesis}}\ngates: [length <= 1000]\n"
    )
    told = session()
    told.assert_outcomes(passed=1, errors=1)
    told.stdout.fnmatch_lines(["*ERROR at setup of short::a::metrics*", "kid failed: *"])


@pytest.mark.parametrize("text", ["- 1", "version: 1\ngates: no\n", "extends: nothing\n"])
def test_a_broken_suite_is_an_error_of_collection(
    session: Session, pytester: pytest.Pytester, text: str
) -> None:
    """A file that is no suite ends the session, told in a sentence and without traceback."""
    (pytester.path / "short.suite.yaml").write_text(text)
    told = session()
    assert told.ret == pytest.ExitCode.INTERRUPTED
    assert "short.suite.yaml" in told.stdout.str()
    assert "Traceback" not in told.stdout.str()


def test_a_name_given_twice_is_wrong_usage(session: Session, pytester: pytest.Pytester) -> None:
    """Two subjects of one name could not be told apart."""
    (pytester.path / "more").mkdir()
    (pytester.path / "more" / "a.jsonl").write_bytes((pytester.path / "a.jsonl").read_bytes())
    told = session("--geneval-samples", "more/a.jsonl")
    assert told.ret != 0
    assert "write NAME=PATH" in told.stdout.str() + told.stderr.str()
    session("--geneval-samples", "c=more/a.jsonl", "-k", "metrics").assert_outcomes(
        passed=2, deselected=8
    )


def test_assertions_tell_value_interval_n_and_signature(
    session: Session, pytester: pytest.Pytester
) -> None:
    """`assert result["…"] <= 12` fails with all that the number is; the values are listed."""
    pytester.makepyfile(
        """
        def test_short(geneval_run):
            result = geneval_run("length", samples="a.jsonl")
            assert result["length"] <= 1000
            assert 5 >= result["length"]
        """
    )
    told = session("test_assertions_tell_value_interval_n_and_signature.py")
    told.assert_outcomes(failed=1)
    told.stdout.fnmatch_lines(
        [
            "E *assert 5 >= length: 6*",
            "E *interval: [[]* (95%, of the population; *",
            "E *n: generated 30*",
            "E *signature: length|*",
            "*ad-hoc*a*length*6*",
        ]
    )


def test_the_baseline_is_a_result_or_an_error(session: Session, pytester: pytest.Pytester) -> None:
    """`geneval_baseline` is what the option names; without one the test errs and says how."""
    geneval.evaluate("length", samples=str(pytester.path / "b.jsonl"), out=pytester.path / "runs")
    (run,) = pytester.path.glob("runs/*/*/*")
    pytester.makepyfile(
        """
        def test_longer(geneval_run, geneval_baseline):
            result = geneval_run("length", samples="a.jsonl")
            ours, theirs = result["length"], geneval_baseline["length"]
            assert ours > theirs.number
        """
    )
    page = "test_the_baseline_is_a_result_or_an_error.py"
    session(page, "--geneval-baseline", str(run)).assert_outcomes(passed=1)
    told = session(page)
    told.assert_outcomes(errors=1)
    assert "give --geneval-baseline RUN" in told.stdout.str()
    session(page, "--geneval-baseline", "gone").assert_outcomes(errors=1)


def test_without_suites_the_plugin_does_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded by its entry point it imports neither NumPy nor torch, and prints and writes nothing.

    The entry point is the one of pyproject.toml, in a distribution made for this test.
    """
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    about = pytester.path / "site" / "made-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: made\nVersion: 1\n")
    points = "".join(f"{name} = {place}\n" for name, place in declared["pytest11"].items())
    (about / "entry_points.txt").write_text(f"[pytest11]\n{points}")
    pytester.makepyfile(
        """
        import sys
        def test_light(request):
            assert request.config.pluginmanager.get_plugin("geneval").SUFFIX == ".suite.yaml"
            assert not {"numpy", "torch", "yaml", "pydantic", "typer"} & set(sys.modules)
        """
    )
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{about.parent}")
    monkeypatch.setenv("TMPDIR", str(pytester.mkdir("temporary")))
    command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "-n", "2"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "1 passed" in told.stdout
    assert "geneval ===" not in told.stdout
    assert list((pytester.path / "temporary").glob("geneval*")) == []
