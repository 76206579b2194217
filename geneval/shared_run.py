"""An evaluation that several processes of one session share, and how its values are told.

Whoever asks first runs the suite and leaves the place of the run directory; the others read it.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geneval.checkpoint import step_of
from geneval.errors import GenevalError
from geneval.evaluator import open_job
from geneval.ledger import Ledger, default_root
from geneval.once import once
from geneval.reports.write import RUN_WRITERS
from geneval.result import Result, Subject
from geneval.run import execute, resolve_device
from geneval.signature import digest
from geneval.suite import load_suite
from geneval.value import TARGETS, Value, shown
from geneval.verdict import Judgement, Verdict, load_judgement


@dataclass(frozen=True)
class Asked:
    """An evaluation as it is asked for: `given` are words of `open_job`, `name` is the subject's.

    With `out` the run directory is kept below it, with reports.
    """

    suite: str
    overrides: tuple[str, ...]
    given: Mapping[str, Any]
    name: str | None = None
    out: str | None = None

    @property
    def key(self) -> str:
        """What tells it from others of the session."""
        return digest(asdict(self))


@dataclass(frozen=True)
class Evaluated:
    """The result of a subject and its judgement, or the problem that left it without."""

    result: Result | None = None
    judgement: Judgement | None = None
    problem: str = ""


def shared(folder: Path, asked: Asked) -> Evaluated:
    """An evaluation that this process makes, or another one that shares the folder."""
    told = once(folder, asked.key, lambda: json.dumps(_evaluate(folder, asked)).encode())
    found = json.loads(told)
    if "problem" in found:
        return Evaluated(problem=found["problem"])
    directory = Path(found["directory"])
    return Evaluated(Result.load(directory), load_judgement(directory))


def _evaluate(folder: Path, asked: Asked) -> dict[str, str]:
    """Run a suite; gives the run directory, or the problem. The reports are made if it is kept."""
    name, out = asked.name, asked.out
    named = Subject(name, "samples", step=step_of(name)) if name else None
    try:
        job = open_job(
            load_suite(asked.suite, asked.overrides),
            Ledger(default_root()),
            **asked.given,
            device=resolve_device("auto"),
            subject=named,
            origin={"command": "pytest"},
        )
        outcome = execute(job, Path(out or folder / "runs"), RUN_WRITERS if out else ())
    except GenevalError as error:
        return {"problem": str(error)}
    except Exception as error:
        told = f"unexpected {type(error).__name__}: {error}"
        return {"problem": f"{told}\n{traceback.format_exc()}"}
    return {"directory": str(outcome.directory)}


def failed_metrics(result: Result, judgement: Judgement) -> str:
    """The sentences on metrics that failed without a gate, or ''."""
    reasons = {measured.key: measured.reason for measured in result.document.metrics}
    return "\n".join(f"{key} failed: {reasons[key]}" for key in judgement.failed_metrics)


def explained(verdict: Verdict, value: Value | None, result: Result) -> str:
    """The verdict's sentence with what the number is and what its reader must know."""
    lines = [f"{verdict.status.value}: {verdict.sentence}"]
    lines += [] if value is None else described(value)
    lines += [f"caution: {told}" for told in result.document.cautions]
    report = result.directory / "report.html" if result.directory else None
    return "\n".join([*lines, *([f"report: {report}"] if report and report.is_file() else [])])


def described(value: Value) -> list[str]:
    """Value, interval, n and signature, a line each."""
    number = f"no number: {value.problem}" if value.number is None else shown(value.number)
    lines = [f"{value.address}: {number} {value.spec.unit}".rstrip()]
    if value.interval:
        low, high = shown(value.interval.low), shown(value.interval.high)
        about = f"{value.interval.level:.0%}, {TARGETS[value.interval.target]}"
        lines.append(f"interval: [{low}, {high}] ({about}; {value.interval.method})")
    elif value.no_interval:
        lines.append(f"interval: none, {value.no_interval}")
    counts = (f"{role} {'?' if n is None else n}" for role, n in value.n.items())
    return [*lines, f"n: {', '.join(counts)}", f"signature: {value.signature.line()}"]


def plain(value: Value | None) -> dict[str, str | float | int]:
    """A value as builtins: what else would end a session of pytest-xdist."""
    if value is None:
        return {}
    facts: dict[str, str | float | int] = {"address": value.address}
    facts |= {"problem": str(value.problem)} if value.number is None else {}
    facts |= {} if value.number is None else {"value": float(value.number)}
    if value.interval:
        facts |= {"low": float(value.interval.low), "high": float(value.interval.high)}
    counted = next((n for n in value.n.values() if n is not None), None)
    facts |= {} if counted is None else {"n": int(counted)}
    return {**facts, "signature": value.signature.line()}
