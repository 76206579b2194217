"""`geneval reference import` and `export`: moments from and for other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from geneval.cli.arguments import Sets


class Form(StrEnum):
    """The forms of `geneval.samples.statistics.FORMS`."""

    PYTORCH_FID = "pytorch-fid"
    ADM = "adm"


def import_(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Another tool's .npz of moments.")],
    out: Annotated[Path, typer.Option(help="The .npz to write.")],
    n: Annotated[
        int | None, typer.Option(min=2, help="How many samples they are of; else unknown.")
    ] = None,
    set_: Sets = None,
) -> None:
    """Take over another tool's moments, as made by the extractor you name.

    Later runs with other weights or another resize rule are then refused. Reads mu and sigma (TTUR,
    pytorch-fid, clean-fid), and mu_s and sigma_s (ADM).

    geneval reference import stats.npz --out ref.npz --n 50000 --set extractor=inception-v3
    """
    from geneval.cli.console import say
    from geneval.cli.reference import show
    from geneval.cli.running import fetch
    from geneval.reference import fetched_extractor, import_reference, stored_moments
    from geneval.suite import load_suite

    require_npz(out)
    beside_images = stored_moments(path).beside_images
    extractor = fetched_extractor(load_suite("fid", set_ or []), "cpu", fetch)
    import_reference(path, extractor, out, n)
    if beside_images:
        say(f"the images in {path} stay there: metrics that need them take {path} as reference")
    show(out)


def export(
    path: Annotated[Path, typer.Argument(metavar="REF", help="An .npz of moments.")],
    out: Annotated[Path, typer.Option(help="The .npz to write.")],
    form: Annotated[
        Form, typer.Option(help="pytorch-fid: mu and sigma; adm: also mu_s and sigma_s.")
    ] = Form.PYTORCH_FID,
) -> None:
    """Write moments as other tools read them: the arrays alone, float64.

    pytorch-fid, clean-fid and TTUR read mu and sigma. ADM's evaluator also wants images as arr_0.

    geneval reference export ref.npz --out stats.npz
    """
    from geneval.reference import stored_moments
    from geneval.samples.statistics import export_statistics

    require_npz(out)
    export_statistics(out, stored_moments(path), form.value)
    print(out)


def require_npz(out: Path) -> None:
    """Raise `UsageError` for a file to write that is not named as one of moments."""
    from geneval.errors import UsageError

    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: moments are written as .npz")
