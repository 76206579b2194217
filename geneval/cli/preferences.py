"""`geneval preferences`: systems ranked by pairwise preferences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli.arguments import Json


def command(
    file: Annotated[Path, typer.Argument(help="Comparisons: .jsonl, .csv or .parquet.")],
    field: Annotated[
        list[str] | None, typer.Option(help="Which column holds a field: a=model_a.")
    ] = None,
    k: Annotated[float, typer.Option(help="The K of Elo.")] = 4.0,
    resamples: Annotated[int, typer.Option(help="For intervals; 100 or more.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for preferences.json and preferences.md.")
    ] = None,
    json_: Json = False,
) -> None:
    """Rank systems by comparisons with the columns a, b, winner, and perhaps item and rater.

    winner is a, b, tie or a system's name. Win rates, Elo and Bradley-Terry strengths, ranks with
    ties, agreement of raters; all with intervals.

    geneval preferences votes.jsonl --field a=model_a --field b=model_b --out ranking
    """
    import json

    from geneval.cli.console import columns, printable
    from geneval.errors import UsageError
    from geneval.preferences import rank, to_json
    from geneval.reports.preferences import HEAD, rows, sentences, write_preferences

    unnamed = [one for one in field or () if not all(one.partition("=")[::2])]
    if unnamed:
        raise UsageError(f"--field {unnamed[0]}: write FIELD=COLUMN")
    fields = dict(one.split("=", 1) for one in field or ())
    ranking = rank(file, fields=fields, k=k, resamples=resamples, seed=seed)
    page = write_preferences(ranking, out) if out else None
    if json_:
        print(json.dumps(to_json(ranking), ensure_ascii=False))
        return
    told = [printable(sentence) for sentence in sentences(ranking)]
    print("\n".join([*columns([HEAD, *rows(ranking)], "  "), "", *told]))
    if page:
        print(f"report: {page}")
