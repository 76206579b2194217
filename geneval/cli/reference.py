"""`geneval reference`: build and show the statistics of a reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli.arguments import Cache, Device, Sets

app = typer.Typer(
    help="Build or show the moments of a reference.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def build(
    images: Annotated[Path, typer.Argument(help="A folder, .npy or .npz of images.")],
    out: Annotated[Path, typer.Option(help="The .npz to write.")],
    set_: Sets = None,
    device: Device = "auto",
    cache: Cache = None,
) -> None:
    """Write the moments of images, in the form that other tools read: mu and sigma in an npz.

    geneval reference build data/train --out train.npz --set extractor=inception-v3
    """
    from geneval.cli.console import progress
    from geneval.errors import UsageError
    from geneval.ledger import Ledger, default_root
    from geneval.reference import build_reference
    from geneval.run import built_extractor, resolve_device
    from geneval.samples.open import open_images
    from geneval.suite import load_suite

    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: moments are written as .npz")
    suite, place = load_suite("fid", set_ or []), resolve_device(device)
    ledger = Ledger(cache or default_root())
    samples = open_images(images, ledger)
    extractor = built_extractor(suite, suite.extractor, place)
    build_reference(samples, extractor, out, ledger, place, progress())
    show(out)


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="An .npz of moments.")],
) -> None:
    """Show what a file of moments holds.

    geneval reference show train.npz
    """
    from geneval.cli.console import columns
    from geneval.errors import UsageError
    from geneval.samples.statistics import is_statistics, read_statistics

    if not path.is_file():
        raise UsageError(f"{path} does not exist")
    if not is_statistics(path):
        raise UsageError(f"{path} holds no moments: an npz with mu and sigma does")
    known = read_statistics(path)
    n = next(iter(known.layers.values())).n
    rows = [("samples", "unknown" if n is None else f"{n:,}"), ("fingerprint", known.fingerprint)]
    rows += [(role, f"{width} wide") for role, width in known.widths.items()]
    rows += [(name, str(made)) for name, made in known.made_by.items()]
    print("\n".join(columns(rows)))
