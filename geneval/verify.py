"""Published numbers recomputed: fetch the data, run the metrics, compare, remember the outcome.

What was found is written to `verified/NAME.json` in the cache and judged by the claims of this
version whenever it is read, so that a record never says more than the table of claims does.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import math
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geneval import __version__
from geneval.download import BLOCK, blocks_of
from geneval.engine.progress import Progress, stage
from geneval.errors import ExitCode, UsageError
from geneval.evaluator import open_job
from geneval.extractors.weights import is_offline
from geneval.ledger import Ledger, atomic_write
from geneval.published import Claim, DataFile, Publication, Status
from geneval.result import Result
from geneval.run import execute
from geneval.suite import load_suite


@dataclass(frozen=True)
class Found:
    """What was found of one value here: a number, or a problem."""

    number: float | None
    problem: str = ""


@dataclass(frozen=True)
class Record:
    """One run of a publication: when, by what, and what was found by address."""

    when: str
    version: str
    device: str
    found: dict[str, Found]

    def status(self, claim: Claim) -> Status | None:
        """What the run says of a claim; None where it did not look."""
        found = self.found.get(claim.address)
        return claim.status(found.number) if found else None


@dataclass(frozen=True)
class Run:
    """A publication and its record, or the reason why there is none."""

    publication: Publication
    record: Record | None
    reason: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """0 when all claims hold, 1 when one differs, 3 when one could not be computed."""
        said = {self.record and self.record.status(one) for one in self.publication.claims}
        if said - {"ok", "differs"}:
            return ExitCode.ERROR
        return ExitCode.FAILED if "differs" in said else ExitCode.PASSED

    @property
    def document(self) -> dict[str, Any]:
        """The same for programs; a claim that no run looked at has the status `not run`."""
        record, one = self.record, self.publication
        claims = []
        for claim in one.claims:
            found = record.found.get(claim.address) if record else None
            said = claim.status(found.number) if found else "not run"
            ours = {"ours": found.number if found else None, "status": said}
            claims.append({**vars(claim), **ours})
        about = ("when", "version", "device")
        run = {name: getattr(record, name) for name in about} if record else None
        reason = self.reason or None
        return {"name": one.name, "what": one.what, "run": run, "reason": reason, "claims": claims}


def verify(
    publication: Publication, ledger: Ledger, folder: Path, device: str, progress: Progress
) -> Record:
    """Recompute the claims of a publication from its files in a folder, fetched where absent.

    Raises `UsageError` where a file or the weights cannot be had, `SampleError` for a broken file.
    """
    samples, reference = publication.sides(bring(publication, folder, progress))
    suite = load_suite(publication.metrics, publication.settings)
    job = open_job(suite, ledger, samples=samples, reference=reference, device=device)
    result = execute(job, progress=progress).result
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    found = {claim.address: _found(result, claim.address) for claim in publication.claims}
    record = Record(now.isoformat().replace("+00:00", "Z"), __version__, device, found)
    _remember(publication, ledger, record)
    return record


def last_run(publication: Publication, ledger: Ledger) -> Record | None:
    """What the last run on this machine found, or None where there was none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        known = json.loads(_place(publication, ledger).read_bytes())
        found = {address: Found(**one) for address, one in known["found"].items()}
        return Record(known["when"], known["version"], known["device"], found)
    return None


def bring(publication: Publication, folder: Path, progress: Progress) -> list[Path]:
    """The files of a publication in a folder, each as published; raises `UsageError`."""
    absent = [file for file in publication.files if not (folder / file.name).is_file()]
    if absent and is_offline():
        told = " and ".join(file.url for file in absent)
        raise UsageError(
            f"this is offline and {folder} has not all of the data: fetch {told} on another "
            "machine and put it there"
        )
    for file in publication.files:
        path = folder / file.name
        if file in absent:
            _fetch(file, path, progress)
        else:
            _require_published(file, path, f"delete {path}, and it is fetched again")
    return [folder / file.name for file in publication.files]


def _fetch(file: DataFile, path: Path, progress: Progress) -> None:
    """Download a file; it appears under its name only when it is whole and the published one."""
    partial = path.with_name(f"{path.name}.partial.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        length, blocks = blocks_of(file.url)
        with (
            stage(progress, f"fetching {file.name}, MiB", math.ceil(length / BLOCK)),
            partial.open("wb") as to,
        ):
            for block in blocks:
                to.write(block)
                progress.advance(1)
        _require_published(file, partial, "nothing was kept")
        partial.replace(path)
    except OSError as error:
        raise UsageError(
            f"{file.name} cannot be fetched from {file.url}: {error}; run again, or put the file "
            f"into {path.parent}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _require_published(file: DataFile, path: Path, remedy: str) -> None:
    if not file.md5:
        return
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "md5").hexdigest()
    if digest != file.md5:
        raise UsageError(
            f"{file.name} is not the published file (md5 {digest}, published is {file.md5}): "
            f"{remedy}"
        )


def _found(result: Result, address: str) -> Found:
    try:
        value = result[address]
    except KeyError as error:
        return Found(None, str(error.args[0]))
    return Found(value.number, value.problem or "")


def _remember(publication: Publication, ledger: Ledger, record: Record) -> None:
    """Keep the record; a cache that cannot be written costs the next listing, no more."""
    found = {address: vars(one) for address, one in record.found.items()}
    with contextlib.suppress(OSError):
        data = json.dumps({**vars(record), "found": found}, allow_nan=False)
        atomic_write(_place(publication, ledger), data.encode())


def _place(publication: Publication, ledger: Ledger) -> Path:
    return ledger.root / "verified" / f"{publication.name}.json"
