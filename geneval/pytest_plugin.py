"""pytest plugin: suites as tests, results in tests.

A file `NAME.suite.yaml` collects as one test for each of its gates, `suite::checkpoint::gate`, and
one, `metrics`, which is an error when a metric without a gate could not be measured. A gate that
fails is a failure; what could not be evaluated is an error, as it happens in the test's setup.
Samples are those of the suite, or come with `--geneval-samples` and its like. Each checkpoint is
evaluated once, also where several processes of pytest-xdist run its gates.

The fixture `geneval_run(suite, samples=…)` gives a `Result`, `geneval_baseline` the one that
`--geneval-baseline` names; `assert result["fid"] <= 12` tells value, interval, n and signature.

Nothing heavy is imported before a suite is evaluated.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from geneval.errors import GenevalError, UsageError

if TYPE_CHECKING:
    from geneval.result import Result
    from geneval.shared_run import Evaluated
    from geneval.verdict import Verdict

SUFFIX = ".suite.yaml"
METRICS = "metrics"  # name of the test of what no gate looks at
PROPERTY = "geneval_"  # prefix of what tests leave in `user_properties`
_SHARED = "geneval_shared"  # of what pytest-xdist tells its workers
_FOLDER = pytest.StashKey[Path]()
_KNOWN = pytest.StashKey[dict[str, "Evaluated"]]()
_CURRENT = pytest.StashKey[pytest.Item | None]()


class GateWarning(pytest.PytestWarning):
    """A gate of `level: warn` does not hold."""


@dataclass(frozen=True)
class Subject:
    """What is to be evaluated: `given` are the words of `open_job` for it, `name` a chosen one."""

    label: str
    given: Mapping[str, str]
    name: str | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options that say what suites evaluate."""
    group = parser.getgroup("geneval", "evaluation of generative models")
    for name, metavar, told in (
        ("samples", "PATH|NAME=PATH", "evaluate these samples under the suites; may be repeated"),
        ("checkpoint", "PATH|NAME=PATH", "evaluate this checkpoint; may be repeated"),
        ("set", "KEY=VALUE", "override a key of the suites; may be repeated"),
    ):
        option = f"--geneval-{name}"
        group.addoption(option, action="append", default=[], metavar=metavar, help=told)
    for name, metavar, told in (
        ("adapter", "NAME", "how to load checkpoints: a registered name or module:function"),
        ("reference", "PATH", "the reference of suites and of geneval_run"),
        ("baseline", "PATH", "a run directory or result.json, for the fixture geneval_baseline"),
        ("out", "PATH", "keep run directories with their reports below this folder"),
    ):
        group.addoption(f"--geneval-{name}", metavar=metavar, help=told)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder in which the processes of this session share evaluations."""
    told = getattr(config, "workerinput", {}).get(_SHARED)
    here = Path(tempfile.gettempdir()) / f"geneval-pytest-{uuid.uuid4().hex}"
    config.stash[_FOLDER] = Path(told) if told else here
    config.stash[_KNOWN] = {}
    config.stash[_CURRENT] = None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the folder."""
    node.workerinput[_SHARED] = str(node.config.stash[_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder, once all workers are done."""
    if _FOLDER in config.stash and not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
    """A suite file collects."""
    if not file_path.name.endswith(SUFFIX):
        return None
    return SuiteFile.from_parent(parent, path=file_path)


class SuiteFile(pytest.File):
    """A suite: a collector of each subject that is evaluated under it."""

    def collect(self) -> Iterator[SubjectNode]:
        """One node for each subject, named after it; the suite is read, not checked."""
        from geneval import suite_file

        overrides = self.config.getoption("geneval_set")
        try:
            content, _ = suite_file.read(str(self.path), overrides)
        except GenevalError as error:
            raise self.CollectError(str(error)) from None
        for subject in subjects(self.config, content):
            yield SubjectNode.from_parent(
                self, name=subject.label, subject=subject, content=content
            )


class SubjectNode(pytest.Collector):
    """One subject under one suite, with a test for each gate."""

    def __init__(self, *, subject: Subject, content: Mapping[str, Any], **more: Any) -> None:
        super().__init__(**more)
        self.subject = subject
        self.suite = str(content.get("name", ""))
        gates = content.get("gates")
        self.gates = gates if isinstance(gates, list) else []  # the evaluation refuses the rest

    def collect(self) -> Iterator[GateItem]:
        """The gates in the suite's order, then what no gate looks at."""
        from geneval.gate import written

        for place, raw in enumerate(self.gates):
            name = written(raw) if isinstance(raw, str | dict) else repr(raw)
            yield GateItem.from_parent(self, name=name, place=place)
        yield GateItem.from_parent(self, name=METRICS, place=None)

    def evaluated(self) -> Evaluated:
        """The evaluation that all gates of this node share, in whichever process they run."""
        from geneval.shared_run import Asked, shared

        config = self.config
        asked = Asked(
            suite=str(self.path),
            overrides=tuple(config.getoption("geneval_set")),
            given=self.subject.given,
            name=self.subject.name,
            out=_place(config, "out"),
        )
        known = config.stash[_KNOWN]
        if asked.key not in known:
            known[asked.key] = shared(config.stash[_FOLDER], asked)
        return known[asked.key]


class GateItem(pytest.Item):
    """One gate of a suite, or (without `place`) the metrics that no gate looks at."""

    def __init__(self, *, place: int | None, **more: Any) -> None:
        super().__init__(**more)
        self.place = place
        self.failure = ""

    def setup(self) -> None:
        """Evaluate; whatever could not be judged ends here, which pytest counts as an error."""
        from geneval.shared_run import explained, failed_metrics, plain

        node = self.parent
        assert isinstance(node, SubjectNode)
        said = {"suite": node.suite, "subject": node.name, "gate": self.name}
        found = node.evaluated()
        if found.result is None or found.judgement is None:
            self._leave({**said, "status": "ERROR"})
            pytest.fail(found.problem, pytrace=False)
        if self.place is None:
            failed = failed_metrics(found.result, found.judgement)
            self._leave({**said, "status": "ERROR" if failed else "PASS"})
            if failed:
                pytest.fail(failed, pytrace=False)
            return
        verdict = found.judgement.verdicts[self.place]
        value = found.result.by_address.get(verdict.gate.address)
        self._leave({**said, "status": verdict.status.value, **plain(value)})
        self._settle(verdict, explained(verdict, value, found.result))

    def _settle(self, verdict: Verdict, told: str) -> None:
        if verdict.status.value in ("ERROR", "INCONCLUSIVE"):
            pytest.fail(told, pytrace=False)
        if verdict.status.value == "WARN":
            self.warn(GateWarning(f"{self.name}: {verdict.sentence}"))
        if verdict.status.value == "FAIL":
            self.failure = told

    def runtest(self) -> None:
        """Fail if the gate did."""
        if self.failure:
            pytest.fail(self.failure, pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The heading of a failure."""
        assert isinstance(self.parent, SubjectNode)
        return self.path, 0, f"{self.parent.suite}::{self.parent.name}::{self.name}"

    def _leave(self, facts: Mapping[str, object]) -> None:
        self.user_properties += [(PROPERTY + name, fact) for name, fact in facts.items()]


def subjects(config: pytest.Config, content: Mapping[str, Any]) -> list[Subject]:
    """What is to be evaluated under a suite: what the options name, else the suite's own."""
    common = {
        name: text
        for name, text in (
            ("adapter", config.getoption("geneval_adapter")),
            ("reference", _place(config, "reference")),
        )
        if text
    }
    found = []
    for kind in ("samples", "checkpoint"):
        for text in config.getoption(f"geneval_{kind}"):
            name, path = _named(config, text)
            label = name or _label(kind, path)
            found.append(Subject(label, {**common, kind: str(path)}, name))
    if not found:
        found.append(Subject(_own_label(content), common))
    labels = [subject.label for subject in found]
    if len(set(labels)) < len(labels):
        raise pytest.UsageError(f"{', '.join(labels)}: a name is given twice; write NAME=PATH")
    return found


def _own_label(content: Mapping[str, Any]) -> str:
    """The name of what a suite itself says is to be evaluated."""
    samples = _section(content, "samples").get("path")
    checkpoint = _section(content, "generate").get("checkpoint")
    kind, own = ("samples", samples) if samples else ("checkpoint", checkpoint)
    return _label(kind, Path(own)) if isinstance(own, str) else "samples"


def _section(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _label(kind: str, path: Path) -> str:
    """A subject's name in the names of tests."""
    from geneval.checkpoint import name_of

    if kind == "checkpoint":
        return name_of(path)
    return (path.name if path.is_dir() else path.stem) or kind


def _named(config: pytest.Config, text: str) -> tuple[str | None, Path]:
    """`NAME=PATH` or `PATH`, relative to where pytest was called."""
    here = config.invocation_params.dir
    name, parted, path = text.partition("=")
    if not parted or (here / text).exists():
        return None, here / text
    if not name or not path:
        raise pytest.UsageError(f"{text}: write PATH or NAME=PATH")
    return name, here / path


def _place(config: pytest.Config, option: str) -> str | None:
    """The path of an option, relative to where pytest was called."""
    given = config.getoption(f"geneval_{option}")
    return str(config.invocation_params.dir / given) if given else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note which test is running, for what its fixtures evaluate."""
    item.config.stash[_CURRENT] = item


@pytest.fixture(scope="session")
def geneval_run(pytestconfig: pytest.Config) -> Callable[..., Result]:
    """Evaluate: `geneval_run(suite, samples=…, reference=…, …) -> Result`, as `geneval.evaluate`.

    `--geneval-reference` and `--geneval-out` stand in for `reference` and `out` where these are not
    given. The values also stand in the test's `user_properties` and the terminal summary.
    """

    def run(suite: Any, **given: Any) -> Result:
        from geneval.evaluator import evaluate
        from geneval.shared_run import plain

        defaults = {name: _place(pytestconfig, name) for name in ("reference", "out")}
        result = evaluate(suite, **{**defaults, **given})
        item = pytestconfig.stash[_CURRENT]
        head = f"{result.document.suite.name}::{result.name}"
        told = [plain(value) for value in result.values()]
        if item is not None:
            item.user_properties += [
                (f"{PROPERTY}value[{head}::{one['address']}]", one.get("value", one.get("problem")))
                for one in told
            ]
        return result

    return run


@pytest.fixture(scope="session")
def geneval_baseline(pytestconfig: pytest.Config) -> Result:
    """The result that `--geneval-baseline` names; without one a test that asks for it errs."""
    from geneval.result import Result

    place = _place(pytestconfig, "baseline")
    if place is None:
        raise UsageError("no baseline: give --geneval-baseline RUN, the directory of a run to keep")
    return Result.load(Path(place))


def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
) -> list[str] | None:
    """What a value is that an assertion compared with a number."""
    from sys import modules

    if "geneval.value" not in modules:
        return None
    from geneval.shared_run import described
    from geneval.value import Value, shown

    value, number = (left, right) if isinstance(left, Value) else (right, left)
    if not isinstance(value, Value) or isinstance(number, Value) or value.number is None:
        return None
    beside = float(number) if isinstance(number, int | float) else None
    sides = [f"{value.address}: {shown(value.number, beside)}", repr(number)]
    if value is right:
        sides.reverse()
    return [f" {op} ".join(sides), *described(value)[1:]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A table of every gate and of every value that tests evaluated."""
    reports = {
        (report.nodeid, report.when): dict(report.user_properties)
        for kind in ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
        for report in terminalreporter.getreports(kind)
        if getattr(report, "when", None) in ("setup", "call")
    }
    rows = [row for facts in reports.values() for row in _rows(facts)]
    if not rows:
        return
    from geneval.cli.console import columns

    terminalreporter.section("geneval")
    rows.sort(key=lambda row: row[1:4])  # what ran in parallel comes back in any order
    for line in columns([("status", "suite", "subject", "gate", "value", "interval", "n"), *rows]):
        terminalreporter.write_line(line)


def _rows(facts: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """The rows of the table that a test's properties make."""
    if f"{PROPERTY}gate" in facts:
        known = {name.removeprefix(PROPERTY): fact for name, fact in facts.items()}
        number = f"{known['value']:.4g}" if "value" in known else "—"
        interval = f"[{known['low']:.4g}, {known['high']:.4g}]" if "low" in known else ""
        words = (known["status"], known["suite"], known["subject"], known["gate"])
        yield (*words, number, interval, str(known.get("n", "")))
    for name, fact in facts.items():
        if name.startswith(f"{PROPERTY}value["):
            suite, subject, address = name[len(PROPERTY) + 6 : -1].split("::", 2)
            told = f"{fact:.4g}" if isinstance(fact, float) else str(fact)
            yield ("", suite, subject, address, told, "", "")
