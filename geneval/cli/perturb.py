"""`geneval perturb`: samples disturbed on purpose, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli.arguments import Cache


def command(
    samples: Annotated[Path, typer.Argument(help="Images or texts, as geneval run takes them.")],
    apply: Annotated[
        list[str], typer.Option(help="NAME or NAME:option=value,…; may be repeated, in order.")
    ],
    out: Annotated[Path, typer.Option(help="A new folder for images, a .jsonl for texts.")],
    seed: Annotated[int, typer.Option(help="What is drawn follows from it and the ids.")] = 0,
    prompts: Annotated[
        bool, typer.Option("--prompts", help="The texts are prompts, nothing is written yet.")
    ] = False,
    cache: Cache = None,
) -> None:
    """Write samples perturbed, under the same ids, so that both sets can be compared in pairs.

    geneval perturb out/ --apply jpeg:quality=50 --out out-jpeg/

    geneval perturb prompts.jsonl --prompts --apply keyboard_typos:severity=2 --out typos.jsonl
    """
    from geneval.ledger import Ledger, default_root
    from geneval.perturb.perturbation import parsed
    from geneval.perturb.writing import write_perturbed

    steps = [parsed(text) for text in apply]
    own, ledger = "prompt" if prompts else "hypothesis", Ledger(cache or default_root())
    n, changed = write_perturbed(samples, steps, out, ledger, seed, own)
    print(f"{n:,} samples, {changed:,} changed: {out}")
