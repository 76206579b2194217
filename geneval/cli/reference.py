"""`geneval reference`: build, show and exchange the statistics of a reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geneval.cli import exchange
from geneval.cli.arguments import Cache, Device, Sets

app = typer.Typer(
    help="Build, show, import or export the moments of a reference.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("import")(exchange.import_)
app.command("export")(exchange.export)


@app.command()
def build(
    images: Annotated[Path, typer.Argument(help="A folder, .zip, .tar, .npy or .npz of images.")],
    out: Annotated[Path, typer.Option(help="The .npz to write.")],
    set_: Sets = None,
    device: Device = "auto",
    cache: Cache = None,
) -> None:
    """Write the moments of images, in the form that other tools read: mu and sigma in an npz.

    geneval reference build data/train --out train.npz --set extractor=inception-v3
    """
    from geneval.cli.progress import progress
    from geneval.cli.running import fetch
    from geneval.ledger import Ledger, default_root
    from geneval.reference import build_reference, fetched_extractor
    from geneval.run import resolve_device
    from geneval.samples.open import open_images
    from geneval.suite import load_suite

    exchange.require_npz(out)
    suite, place = load_suite("fid", set_ or []), resolve_device(device)
    ledger = Ledger(cache or default_root())
    samples = open_images(images, ledger)
    extractor = fetched_extractor(suite, place, fetch)
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
    from geneval.reference import stored_moments

    known = stored_moments(path)
    n = next(iter(known.layers.values())).n
    rows = [("samples", "unknown" if n is None else f"{n:,}"), ("fingerprint", known.fingerprint)]
    rows += [(role, f"{width} wide") for role, width in known.widths.items()]
    rows += [(name, str(made)) for name, made in known.made_by.items()]
    print("\n".join(columns(rows)))
