"""`geneval run`: evaluate samples or checkpoints under a suite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from geneval.cli import completion
from geneval.cli.arguments import Cache, Device, Format, Json, Out, Precision, Sets, Verify, Workers

Suite = Annotated[
    str,
    typer.Argument(
        help="A suite's name or file, or metrics: fid,kid",
        autocompletion=completion.metrics_and_suites,
    ),
]


def command(
    suite: Suite,
    samples: Annotated[
        Path | None,
        typer.Option(help="A folder, an archive (.zip, .tar), an array (.npy, .npz) or records."),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that generates; may be repeated.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="How to load it: a registered name or module:function.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="What a checkpoint is asked: lines or records.")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="Reference images or texts.")] = None,
    train: Annotated[Path | None, typer.Option(help="Training images or texts.")] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(help="Which column holds a field: prompt=caption; may be repeated."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Give every metric by this column too: lang; may be repeated."),
    ] = None,
    set_: Sets = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many samples; never gated or compared.")
    ] = None,
    out: Out = Path("runs"),
    device: Device = "auto",
    precision: Precision = None,
    seed: Annotated[int | None, typer.Option(help="The run's seed.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
    json_: Json = False,
    format_: Format = None,
    allow_pt: Annotated[
        bool, typer.Option("--allow-pt", help="Read .pt checkpoints (weights only).")
    ] = False,
    workers: Workers = 0,
    verify: Verify = False,
    cache: Cache = None,
) -> None:
    """Evaluate samples or checkpoints under a suite.

    Measures, judges the suite's gates and writes reports.

    geneval run fid,kid --samples out/ --reference data/

    geneval run my.suite.yaml --checkpoint step-1000.safetensors --adapter my_models:load
    """
    from geneval.cli.formats import chosen
    from geneval.cli.running import Invocation, run_all

    overrides = [*(set_ or []), *([] if seed is None else [f"seed={seed}"])]
    overrides += [] if precision is None else [f"precision={precision}"]
    overrides += [] if prompts is None else [f"generate.prompts={json.dumps(str(prompts))}"]
    overrides += [f"samples.fields.{named}" for named in field or []]
    overrides += [f"groups={json.dumps(by)}"] if by else []
    given = {"reference": reference, "train": train, "adapter": adapter, "allow_pt": allow_pt}
    invocation = Invocation(suite, overrides, given, out, device, limit, workers, offline)
    paths: list[Path | None] = [*checkpoint] if checkpoint else [None]
    subjects = [{"checkpoint": path, "samples": samples} for path in paths]
    form = chosen(format_, json_)
    run_all(invocation, subjects, cache=cache, verify=verify, dry_run=dry_run, form=form)
