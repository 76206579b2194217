"""Charts: static shapes and text, whatever the names in them are."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any, Literal

import pytest

from geneval.reports.charts import COLOURS, chart_of, intervals, trend
from geneval.value import DetailTable

SHAPES = {"svg", "g", "path", "rect", "line", "text", "tspan", "circle", "defs", "clipPath"}
HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "{{7*7}}",
    "a\\b",
    'a\\"+alert(1)+"',
    "datum.x",
    "a.b[0]",
    "]]>",
    "&lt;&amp;",
    "\u202eleft",
    "two\nlines",
    "\x9b31m",
    "",
    "漢字 😀 é",
    "x" * 300,
]


def bars(names: list[str], columns: tuple[str, str] = ("generated", "reference")) -> str:
    """The chart of a table of counts by name."""
    counts = {columns[0]: list(range(1, len(names) + 1)), columns[1]: [5] * len(names)}
    return chart_of(DetailTable("classes", {"class": names, **counts}, "bars"))


def row(name: str, number: float | None, step: int = 0) -> dict[str, Any]:
    """One value with an interval of ±1."""
    low, high = (None, None) if number is None else (number - 1, number + 1)
    return {"name": name, "step": step, "number": number, "low": low, "high": high}


def text_of(svg: str) -> str:
    """All text of a chart that a reader sees."""
    return " ".join(
        "".join(one.itertext()) for one in ET.fromstring(svg).iter() if "}text" in one.tag
    )


def assert_inert(svg: str) -> None:
    """Nothing but shapes and text: no script, handler, style or address."""
    for one in ET.fromstring(svg).iter():
        assert one.tag.rpartition("}")[2] in SHAPES
        for name, value in one.attrib.items():
            assert not name.lower().startswith("on")
            assert name.rpartition("}")[2] not in ("href", "style", "src")
            assert "url(" not in value or re.fullmatch(r"url\(#\w+\)", value)
    assert svg.startswith('<svg role="img" ')


def test_table_that_asks_for_no_chart_gets_none() -> None:
    """Only tables with a chart are drawn."""
    assert chart_of(DetailTable("plain", {"a": [1], "b": [2]})) == ""


@pytest.mark.parametrize("kind", ["bars", "line"])
def test_chart_shows_every_name_and_is_inert(kind: Literal["bars", "line"]) -> None:
    """Axes and legend name the columns; the SVG has shapes and text and nothing else."""
    table = DetailTable("t", {"k": [1, 2, 3], "generated": [4, 5, 6], "reference": [6, 5, 4]}, kind)
    svg = chart_of(table)
    assert_inert(svg)
    for name in ("generated", "reference", "k"):
        assert name in text_of(svg)
    assert "currentColor" in svg  # axes take the page's text colour
    assert "aria-label" in svg


def test_bars_are_shares_of_their_set() -> None:
    """Counts of sets of different size are drawn as shares, so that equal shares are equal bars."""
    table = DetailTable("t", {"c": ["a", "b"], "few": [1, 3], "many": [100, 300]}, "bars")
    labels = re.findall(r'aria-label="([^"]*)" role="graphics-symbol"', chart_of(table))
    shares = [re.search(r"share of samples: ([\d.]+)%", label) for label in labels]
    assert sorted(float(found[1]) for found in shares if found) == [25.0, 25.0, 75.0, 75.0]


def test_classes_keep_their_order() -> None:
    """Bars stand in the order of the table, not of the alphabet."""
    svg = bars(["9", "10", "2"])
    places = [svg.index(f">{name}<") for name in ("9", "10", "2")]
    assert places == sorted(places)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_class_name(name: str) -> None:
    """A class may be called anything: the chart is drawn, and the name is inert text in it."""
    svg = bars([name, "harmless"])
    assert_inert(svg)
    assert "harmless" in text_of(svg)


@pytest.mark.parametrize("name", HOSTILE[:11])
def test_hostile_column_name(name: str) -> None:
    """A column may be called anything as well."""
    for kind in ("bars", "line"):
        columns = {name: [1, 2], f"{name} 2": [3, 4], "third": [5, 6]}
        assert_inert(chart_of(DetailTable("t", columns, kind)))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_address_and_checkpoint(name: str) -> None:
    """Addresses (which carry group names) and checkpoint names may be anything."""
    rows = [row(name, 1.0, 1), row("b", 2.0, 2), row("c", 3.0, 3)]
    assert_inert(intervals(rows, f"recall[label={name!r}]"))
    assert_inert(trend(rows, f'recall[label="{name}"]'))


@pytest.mark.parametrize("name", ["\\x1b[31m", "\\x00", "\\ufffe", "\\u2028"])
def test_characters_that_xml_forbids(name: str) -> None:
    """Control characters in a class name neither kill the process nor leave broken XML.

    In a process of its own: the renderer aborts on them.
    """
    code = (
        "import sys, xml.etree.ElementTree as ET\n"
        "from geneval.reports.charts import chart_of, intervals\n"
        "from geneval.value import DetailTable\n"
        f"name = 'a{name}b'\n"
        "table = DetailTable('t', {'class': [name, 'c'], 'generated': [1, 2]}, 'bars')\n"
        "row = {'name': name, 'number': 1.0, 'low': 0.0, 'high': 2.0}\n"
        "for svg in (chart_of(table), intervals([row], name)):\n    ET.fromstring(svg)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr[-500:]


def test_intervals_leave_out_what_has_no_number() -> None:
    """Entries without a number are not drawn; with none at all there is no chart."""
    svg = intervals([row("first", 1.0), row("gone", None), row("last", 2.0)], "fid")
    assert "first" in text_of(svg)
    assert "last" in text_of(svg)
    assert "gone" not in svg
    assert intervals([row("gone", None)], "fid") == ""
    assert intervals([], "fid") == ""


def test_trend_is_drawn_over_steps() -> None:
    """A trend has a point for each step and the value's name on its axis."""
    svg = trend([row("a", 3.0, 100), row("b", 2.0, 200), row("c", 1.5, 400)], "fid.debiased")
    assert_inert(svg)
    assert "fid.debiased" in text_of(svg)
    assert "step" in text_of(svg)
    points = re.findall(r'aria-label="[^"]*step: (\d+)[^"]*" role="graphics-symbol"', svg)
    assert {"100", "200", "400"} <= set(points)


def test_rendering_is_reproducible() -> None:
    """The same table gives the same bytes."""
    assert bars(["a", "b"]) == bars(["a", "b"])


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("background", ["#ffffff", "#0f1317"])  # --paper in style.css
@pytest.mark.parametrize("colour", COLOURS)
def test_marks_reach_a_contrast_of_three_to_one(colour: str, background: str) -> None:
    """Every mark can be seen on the light and on the dark page (WCAG 1.4.11)."""
    light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3
