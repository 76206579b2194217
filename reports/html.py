"""HTML pages that open from disk, load nothing and let nothing in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from geneval import __version__
from geneval.ledger import atomic_write
from geneval.reports.comparedoc import ComparisonView
from geneval.reports.rundoc import GLYPHS, RunView, run_view
from geneval.value import Cell, shown

REPORT = "report.html"
MOST_BYTES = 50 * 2**20  # a page above this opens badly in any browser


def write_html(directory: Path) -> None:
    """report.html of a run directory."""
    atomic_write(directory / REPORT, render_run(run_view(directory)).encode())


def render_run(view: RunView) -> str:
    """The page of one run."""
    return _render("run.html.j2", {"view": view})


def render_comparison(view: ComparisonView) -> str:
    """The page of a comparison."""
    return _render("comparison.html.j2", {"view": view})


def _render(template: str, content: Mapping[str, Any]) -> str:
    style, script = _asset("style.css"), _asset("script.js")
    page = (
        _environment()
        .get_template(template)
        .render(
            **content,
            style=Markup(style),  # noqa: S704 (our own files)
            script=Markup(script),  # noqa: S704
            policy=_policy(style, script),
            version=__version__,
            glyphs=GLYPHS,
        )
    )
    if len(page) > MOST_BYTES:
        raise ValueError(f"the page would have {len(page):,} bytes; show fewer samples")
    return page


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded or run but the page's own style and script, named by their hashes."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (files("geneval.reports") / "assets" / name).read_text(encoding="utf-8")


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*columns.values(), strict=True))


def _cell(cell: Cell) -> Cell:
    """A cell of a detail table: fractions with four digits, as values have them."""
    if cell is None:
        return ""
    return shown(cell) if isinstance(cell, float) and not cell.is_integer() else cell


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geneval.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["rows"] = _rows
    environment.filters["cell"] = _cell
    return environment
