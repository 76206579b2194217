"""Making a result a baseline: who, when, why, and when not.

CI makes none unless it is told to, and a partial run is none. While a gate against the baseline
named `anchor` is not passed no result becomes any baseline: 5 % worse a promotion would add up.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from geneval.baseline import Note, write_baseline
from geneval.errors import UsageError
from geneval.result import Result
from geneval.verdict import Status, load_judgement

ANCHOR = "anchor"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def promote(
    result: Result,
    reason: str,
    *,
    name: str,
    directory: Path,
    force: bool = False,
    allow_ci: bool = False,
) -> Path:
    """Make a result the baseline of that name in a folder; raises `UsageError` with the reason not.

    `force` overrules the anchor's gates and nothing else; the reason is then marked as forced.
    """
    path = directory / f"{name}.json"
    if not _NAME.fullmatch(name):
        raise UsageError(f"--name {name!r}: write letters, digits, . _ or -")
    if not reason.strip():
        raise UsageError("--reason says nothing; say why this becomes the baseline")
    if os.environ.get("CI", "").lower() in ("true", "1") and not allow_ci:
        raise UsageError("CI makes no baseline; --allow-ci says that this one may")
    if result.document.partial is not None:
        raise UsageError(f"a partial run (--limit {result.document.partial}) is no baseline")
    if force:
        reason = f"{reason} (forced)"
    elif not (name == ANCHOR and not path.exists()):
        broken = [f"{text}: {sentence}" for text, sentence in _against_anchor(result)]
        if broken:
            told = f"not while the anchor's gate is not passed ({broken[0]})"
            raise UsageError(f"{told}; judge it again, or --force")
    day = datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    note = Note(name, _author(), day, reason.strip(), result.document.digest)
    return write_baseline(result, note, directory)


def _against_anchor(result: Result) -> Iterator[tuple[str, str]]:
    """The result's gates against the anchor that are not passed, as rule and sentence."""
    if not result.document.suite.document.get("gates"):
        return
    if result.directory is None:
        raise UsageError("a result without a run directory has no verdicts; keep one with out=")
    judgement = load_judgement(result.directory)
    if judgement.result != result.document.digest:
        raise UsageError(f"the verdicts in {result.directory} are of another result; judge it")
    for verdict in judgement.verdicts:
        if verdict.gate.baseline == ANCHOR and verdict.status is not Status.PASS:
            yield verdict.gate.text, verdict.sentence


def _author() -> str:
    """Who does it: git's user, else the machine's."""
    who, mail = (_git_config(name) for name in ("user.name", "user.email"))
    return f"{who} <{mail}>" if who and mail else who or os.environ.get("USER", "unknown")


def _git_config(name: str) -> str:
    """A setting of git's, or '' where there is no git or no such setting."""
    git = shutil.which("git")
    if git is None:
        return ""
    told = subprocess.run([git, "config", name], capture_output=True, text=True, check=False)  # noqa: S603
    return told.stdout.strip()
