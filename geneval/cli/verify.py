"""`geneval verify`: published numbers, recomputed from the published data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geneval.cli.arguments import Cache, Device, Json

if TYPE_CHECKING:
    from geneval.ledger import Ledger
    from geneval.published import Publication
    from geneval.verify import Run


def command(
    name: Annotated[str | None, typer.Argument(help="One of them: cifar10. Else all.")] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Print the claims, and what the last run said of them.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Where the data lies or goes; else the cache's data.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
    json_: Json = False,
    device: Device = "auto",
    cache: Cache = None,
) -> None:
    """Recompute published numbers from their data, and compare.

    Fetches data and weights that are absent. Exits with 0 when all numbers agree within their
    tolerances, 1 when one differs, 3 when one could not be computed.

    geneval verify cifar10

    geneval verify --list
    """
    import json
    import os

    from geneval.cli.console import columns
    from geneval.errors import UsageError, unknown
    from geneval.ledger import Ledger, default_root
    from geneval.published import PUBLICATIONS
    from geneval.run import resolve_device
    from geneval.verify import Run, last_run

    if name is not None and name not in PUBLICATIONS:
        raise UsageError(unknown("publication", name, PUBLICATIONS))
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    chosen = [one for key, one in PUBLICATIONS.items() if name in (None, key)]
    ledger, place = Ledger(cache or default_root()), resolve_device(device)
    folder = data or ledger.root / "data"
    if list_:
        runs = [Run(one, last_run(one, ledger)) for one in chosen]
    else:
        runs = [_verified(one, ledger, folder, place) for one in chosen]
    if json_:
        print(json.dumps([run.document for run in runs], allow_nan=False))
    else:
        print("\n".join(columns(row for run in runs for row in _rows(run, list_))))
    if not list_:
        raise typer.Exit(max(run.exit_code for run in runs))


def _verified(publication: Publication, ledger: Ledger, folder: Path, device: str) -> Run:
    """One publication; what keeps it from being run keeps no other."""
    from geneval.cli.console import say
    from geneval.cli.progress import progress
    from geneval.errors import GenevalError
    from geneval.verify import Run, verify

    say(f"{publication.name}: {publication.what}")
    try:
        return Run(publication, verify(publication, ledger, folder, device, progress()))
    except GenevalError as error:
        say(f"geneval: {publication.name} could not be run: {error}")
        return Run(publication, None, str(error))


def _rows(run: Run, listing: bool) -> list[tuple[str, ...]]:
    """A line a claim: what became of it, ours, the published number, and its source."""
    rows: list[tuple[str, ...]] = []
    for claim in run.publication.claims:
        found = run.record.found.get(claim.address) if run.record else None
        word: str = claim.status(found.number) if found else "not run"
        if listing:
            word += f" on {run.record.when}" if run.record and found else " here"
        ours = f"{found.number:.7g}" if found and found.number is not None else "—"
        told = found.problem if found and found.problem else claim.source
        named = f"{run.publication.name} {claim.address}"
        rows.append((word, named, f"ours {ours}", f"published {claim.text}", told))
    return rows
