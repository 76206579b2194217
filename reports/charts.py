"""Charts as static SVG, drawn by Altair when a report is written.

Axes take the page's text colour. Marks use the four Okabe-Ito colours that reach a contrast of 3:1
on white and on near-black, told apart by more than colour (labels, order, shape).
"""

from __future__ import annotations

import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from geneval.value import DetailTable

if TYPE_CHECKING:
    import altair as alt

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_LOOK_ALIKES = str.maketrans({"\\": "∖", '"': "″", "'": "’", "`": "‘"})
_ELEMENTS = {"svg", "g", "path", "rect", "line", "text", "tspan", "circle", "defs", "clipPath"}
_WIDTH = 560  # of a chart that has the page for itself
_HALF = 320  # of one that shares it
_FONT = "Arial, Liberation Sans, sans-serif"  # of the widths that text is measured with


def chart_of(table: DetailTable) -> str:
    """SVG of a detail table that asks to be drawn, or ''."""
    if table.chart is None:
        return ""
    import altair as alt

    names = [_plain(name) for name in table.columns]
    rows = [
        dict(zip(names, cells, strict=True)) for cells in zip(*table.columns.values(), strict=True)
    ]
    order = [_plain(str(row[names[0]])) for row in rows]
    long = [
        {"x": x if table.chart == "bars" else row[names[0]], "series": name, "y": row[name]}
        for x, row in zip(order, rows, strict=True)
        for name in names[1:]
    ]
    series = _series(names[1:])
    if table.chart == "bars":
        shares = _shares(long, names[1:])
        chart = (
            alt.Chart(alt.Data(values=shares))
            .mark_bar()
            .encode(
                x=alt.X("x:N", sort=order, title=names[0], axis=alt.Axis(labelAngle=_angle(order))),
                xOffset=alt.XOffset("series:N", sort=names[1:]),
                y=alt.Y("y:Q", title="share of samples", axis=alt.Axis(format="%")),
                color=series,
            )
        )
    else:
        chart = (
            alt.Chart(alt.Data(values=long))
            .mark_line(point=True)
            .encode(x=alt.X("x:Q", title=names[0]), y=alt.Y("y:Q", title=None), color=series)
        )
    return _svg(chart.properties(width=_WIDTH, height=180))


def intervals(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """SVG of values with their intervals, one line each: `name`, `number`, `low`, `high`."""
    import altair as alt

    title = _plain(title)
    drawn = [{**r, "name": _plain(r["name"])} for r in rows if r["number"] is not None]
    if not drawn:
        return ""
    y = alt.Y("name:N", sort=[row["name"] for row in drawn], title=None)
    x = alt.X("number:Q", title=title, scale=alt.Scale(zero=False))
    base = alt.Chart(alt.Data(values=drawn))
    points = base.mark_point(filled=True, size=60, color=COLOURS[0]).encode(x=x, y=y)
    bars = base.mark_rule(strokeWidth=2, color=COLOURS[0]).encode(
        x=alt.X("low:Q", title=title), x2="high:Q", y=y
    )
    return _svg((bars + points).properties(width=_HALF, height=26 * len(drawn)))


def trend(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """SVG of a value over training steps with a band for its interval: `step`, `number`, …"""
    import altair as alt

    title = _plain(title)
    drawn = [{name: r[name] for name in ("step", "number", "low", "high")} for r in rows]
    base = alt.Chart(alt.Data(values=drawn))
    x = alt.X("step:Q", title="step", scale=alt.Scale(nice=False, padding=12))
    line = base.mark_line(color=COLOURS[0], point={"filled": True, "size": 50}).encode(
        x=x, y=alt.Y("number:Q", title=title)
    )
    band = base.mark_area(color=COLOURS[0], opacity=0.2).encode(
        x=x, y=alt.Y("low:Q", title=title), y2="high:Q"
    )
    return _svg((band + line).properties(width=_HALF, height=140))


def _plain(text: str) -> str:
    """Text that may become part of a chart.

    Characters that XML forbids would end the renderer, and titles become string literals of Vega
    expressions, so quotes and backslashes are exchanged for their look-alikes.
    """
    kept = "".join(c if _drawable(c) else "\ufffd" for c in text)
    return kept.translate(_LOOK_ALIKES)


def _drawable(c: str) -> bool:
    return c >= " " and unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp", "Cn")


def _series(names: Sequence[str]) -> alt.Color:
    import altair as alt

    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    scale = alt.Scale(domain=list(names), range=colours)
    legend = alt.Legend(orient="top", title=None) if len(names) > 1 else None
    return alt.Color("series:N", scale=scale, legend=legend)


def _shares(long: list[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Counts as shares of their series, so that sets of different size can be compared."""
    totals = {name: sum(row["y"] for row in long if row["series"] == name) for name in names}
    return [{**row, "y": row["y"] / (totals[row["series"]] or 1)} for row in long]


def _angle(labels: Sequence[Any]) -> int:
    return 0 if max((len(str(label)) for label in labels), default=0) <= 8 else -40


def _svg(chart: alt.Chart | alt.LayerChart) -> str:
    """Themed SVG with nothing in it but shapes and text."""
    import vl_convert

    axis = dict.fromkeys(("labelColor", "titleColor", "tickColor", "domainColor"), "currentColor")
    themed = (
        chart.configure(background="transparent", font=_FONT, padding=10)
        .configure_axis(**axis, gridColor="#8884", labelFontSize=11, titleFontWeight="normal")
        .configure_legend(labelColor="currentColor", labelFontSize=11)
        .configure_view(stroke=None)
    )
    svg: str = vl_convert.vegalite_to_svg(themed.to_dict())
    for element in ET.fromstring(svg).iter():  # noqa: S314 (made here, and checked here)
        name = element.tag.rpartition("}")[2]
        if name not in _ELEMENTS or any(key.lower().startswith("on") for key in element.attrib):
            raise ValueError(f"chart contains the element {name}")
    return svg.replace("<svg ", '<svg role="img" ', 1)
