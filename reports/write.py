"""The writers that turn a run directory or a comparison into pages."""

from __future__ import annotations

import json
from pathlib import Path

from geneval.compare import Comparison, to_json
from geneval.ledger import atomic_write
from geneval.reports import html, markdown
from geneval.reports.comparedoc import comparison_view
from geneval.reports.html import write_html
from geneval.reports.junit import write_junit
from geneval.reports.markdown import write_markdown

COMPARISON = "comparison.json"
RUN_WRITERS = (write_html, write_markdown, write_junit)


def write_comparison(comparison: Comparison, directory: Path) -> Path:
    """comparison.json, report.html and summary.md in a folder; returns the page."""
    content = json.dumps(to_json(comparison), indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write(directory / COMPARISON, content.encode() + b"\n")
    view = comparison_view(comparison, directory)
    atomic_write(directory / html.REPORT, html.render_comparison(view).encode())
    atomic_write(directory / markdown.SUMMARY, markdown.render_comparison(view).encode())
    return directory / html.REPORT
