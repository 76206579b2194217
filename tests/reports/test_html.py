"""The pages: complete in themselves, closed to what samples and suites contain."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from geneval.reports import html as pages
from geneval.reports.rundoc import run_view
from geneval.result import Result
from geneval.value import TARGETS, shown
from geneval.verdict import load_judgement

Parsed = Callable[[str], Any]

BUDGET = 2 * 2**20  # reference/reports-gates-scale.md, section 1: aim below 2 MB
PAYLOADS = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
)


class Texts:
    """The text of every kind of page, harmless and hostile, each made when first asked for."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request

    def __getitem__(self, kind: str) -> str:
        """The text of one kind."""
        path = {
            "run": lambda: self._request.getfixturevalue("step_runs")["collapsed"] / "report.html",
            "comparison": lambda: self._request.getfixturevalue("comparison_page"),
            "hostile run": lambda: self._request.getfixturevalue("hostile_runs")[0] / "report.html",
            "hostile comparison": lambda: self._request.getfixturevalue("hostile_comparison"),
        }[kind]()
        return str(path.read_text(encoding="utf-8"))


@pytest.fixture
def texts(request: pytest.FixtureRequest) -> Texts:
    """The pages by kind."""
    return Texts(request)


KINDS = ("run", "comparison", "hostile run", "hostile comparison")


@pytest.mark.parametrize("kind", KINDS)
def test_page_loads_nothing(texts: Texts, parsed: Parsed, kind: str) -> None:
    """No address outside the page: images are data, links lead inside or to neighbouring files."""
    page = parsed(texts[kind])
    pictures = page.all("img")
    assert pictures
    assert all(one.attributes["src"].startswith("data:image/") for one in pictures)
    for one in page.all("a"):
        assert not re.match(r"(?i)[a-z][a-z0-9+.-]*:|//", one.attributes["href"])
    for tag in ("link", "iframe", "object", "embed", "base", "form", "video", "audio", "use"):
        assert page.all(tag) == []
    assert not re.search(r"(?i)(src|href)\s*=\s*[\"']?\s*(https?:)?//", texts[kind])
    (style,) = page.all("style")
    assert "url(" not in style.text
    assert "@import" not in style.text


@pytest.mark.parametrize("kind", KINDS)
def test_policy_names_the_style_and_the_script(texts: Texts, parsed: Parsed, kind: str) -> None:
    """One style, one script, both named by their hashes in a policy that allows nothing else."""
    page = parsed(texts[kind])
    (style,), (script,) = page.all("style"), page.all("script")
    assert script.attributes == {}

    def hashed(text: str) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    (policy,) = [m for m in page.all("meta") if "http-equiv" in m.attributes]
    assert policy.attributes["http-equiv"] == "Content-Security-Policy"
    assert policy.attributes["content"].split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src '{hashed(style.text)}'",
        f"script-src '{hashed(script.text)}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    head = texts[kind][: texts[kind].index("<style")]
    assert "Content-Security-Policy" in head  # a policy counts for what comes after it


def everything(page: Any) -> list[Any]:
    """All elements of a page."""
    return [found for one in page.inside for found in (one, *everything(one))]


@pytest.mark.parametrize("kind", KINDS)
def test_no_inline_style_and_no_handler(texts: Texts, parsed: Parsed, kind: str) -> None:
    """No element has a style attribute, an event handler or an address that runs code."""
    elements = everything(parsed(texts[kind]))
    assert len(elements) > 100
    for one in elements:
        for name, value in one.attributes.items():
            assert name != "style", one
            assert not name.startswith("on"), one
            assert not value.strip().lower().startswith("javascript:") or name in ("alt", "title")


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_well_formed(texts: Texts, parsed: Parsed, kind: str) -> None:
    """Elements nest properly, ids are unique, and every inner link leads to one of them."""
    elements = everything(parsed(texts[kind]))
    ids = [one.attributes["id"] for one in elements if "id" in one.attributes]
    assert len(set(ids)) == len(ids)
    targets = [one.attributes["href"] for one in elements if one.tag == "a"]
    inner = [target[1:] for target in targets if target.startswith("#")]
    assert inner
    assert set(inner) <= set(ids)
    assert [one.attributes["lang"] for one in elements if one.tag == "html"] == ["en"]
    assert all("alt" in one.attributes for one in elements if one.tag == "img")


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_small(texts: Texts, kind: str) -> None:
    """A page stays below 2 MB."""
    assert len(texts[kind].encode()) < BUDGET


@pytest.mark.parametrize("kind", ["hostile run", "hostile comparison"])
def test_payloads_never_appear_raw(texts: Texts, parsed: Parsed, kind: str) -> None:
    """Payloads in ids, class names, names, paths and descriptions are text and nothing else."""
    text = texts[kind]
    for payload in PAYLOADS:
        assert payload not in text
        assert payload in html.unescape(text)  # so it was shown
    page = parsed(text)
    assert len(page.all("script")) == 1
    allowed = {"src", "alt", "title", "class"}
    assert all(set(one.attributes) <= allowed for one in page.all("img"))


def test_templates_in_names_are_not_evaluated(texts: Texts, parsed: Parsed) -> None:
    """`{{7*7}}` in ids, labels and descriptions stays as it was written."""
    shown_text = parsed(texts["hostile run"]).text
    assert "{{7*7}}{% raw %}" in shown_text
    (description,) = parsed(texts["hostile run"]).all("p", class_="description")
    assert "{{7*7}}" in description.text


def test_hostile_ids_labels_and_paths_are_told(
    texts: Texts, parsed: Parsed, hostile_runs: list[Path]
) -> None:
    """What was escaped is still readable: name, label groups, captions, path and command."""
    page = parsed(texts["hostile run"])
    (title,) = page.all("h1")
    assert title.text == f"{PAYLOADS[0]} {PAYLOADS[2]}"
    result = Result.load(hostile_runs[0])
    addresses = {one.text for one in page.all("p", class_="name")}
    assert addresses == {value.address for value in result.values()}
    tips = {one.attributes["title"] for one in page.all("img")}
    assert any(PAYLOADS[1] in tip for tip in tips)
    (provenance,) = page.all("section", id="provenance")
    assert str(result.document.provenance["sets"]["generated"]) in provenance.text


def test_command_to_reproduce_is_the_command(texts: Texts, parsed: Parsed) -> None:
    """The command stands in the page as it was typed."""
    for kind in ("run", "hostile run"):
        (command,) = parsed(texts[kind]).all("pre")
        assert command.text.startswith("geneval run ")
    assert PAYLOADS[0] in parsed(texts["hostile run"]).all("pre")[0].text


def test_every_value_has_signature_interval_target_and_n(
    texts: Texts, parsed: Parsed, step_runs: dict[str, Path]
) -> None:
    """Each value's card shows number, interval with level and target, n, direction, signature."""
    page = parsed(texts["run"])
    result = Result.load(step_runs["collapsed"])
    values = list(result.values())
    assert len(values) == 27  # suites/digits.yaml's eleven metrics have so many outputs
    signatures = [one.text for one in page.all("p", class_="signature")]
    for value in values:
        (card,) = [
            one
            for one in page.all("div", class_="number")
            if one.attributes["id"] == f"value-{value.address}"
        ]
        assert value.number is not None
        assert shown(value.number) in card.text
        n = " / ".join(f"{count:,}" for count in value.n.values() if count is not None)
        assert f"n {n}" in card.text
        if value.interval is None:
            assert value.no_interval
            assert value.no_interval in card.text
        else:
            assert f"[{shown(value.interval.low)}, {shown(value.interval.high)}]" in card.text
            assert TARGETS[value.interval.target] in card.text
            assert f"{value.interval.level:.0%} {value.interval.method}" in card.text
        assert f"{value.address}{value.signature.line()}" in signatures


def test_banner_and_gates_are_the_judgement(
    texts: Texts, parsed: Parsed, step_runs: dict[str, Path]
) -> None:
    """The banner has the one word, glyph and sentence; each gate has status, rule and finding."""
    page = parsed(texts["run"])
    judgement = load_judgement(step_runs["collapsed"])
    (banner,) = page.all("header")
    assert banner.attributes["class"].split() == ["banner", judgement.status.value.lower()]
    assert f"{judgement.status.value} {judgement.sentence}" in " ".join(banner.text.split())
    (gates,) = page.all("section", id="gates")
    rows = [[cell.text for cell in row.all("td")] for row in gates.all("tr")][1:]
    assert [(row[1], row[2]) for row in rows] == [
        (verdict.gate.text, verdict.sentence) for verdict in judgement.verdicts
    ]
    for row, verdict in zip(rows, judgement.verdicts, strict=True):
        assert verdict.status.value in row[0]
        assert row[0].split()[0] in "✓✗!?⚠"  # never colour alone


def test_failed_metrics_stand_in_a_block_of_their_own(
    texts: Texts, parsed: Parsed, hostile_runs: list[Path]
) -> None:
    """A metric that failed is listed with its reason before the values; others need no block."""
    page = parsed(texts["hostile run"])
    (block,) = page.all("section", id="failed")
    document = Result.load(hostile_runs[0]).document
    (failed,) = [measured for measured in document.metrics if measured.status == "failed"]
    assert failed.key == "kid"
    assert f"kid failed: {failed.reason}" in block.text
    assert texts["hostile run"].index('id="failed"') < texts["hostile run"].index('id="values"')
    assert parsed(texts["run"]).all("section", id="failed") == []


def test_cautions_name_bad_samples(texts: Texts, parsed: Parsed) -> None:
    """What was left out stands among the cautions at the top, hostile file name and all."""
    (cautions,) = parsed(texts["hostile run"]).all("section", class_="cautions")
    assert "generated: 1 bad samples were left out" in cautions.text
    assert f"{PAYLOADS[0]}00" in cautions.text


def test_not_evaluated_lists_the_rest(
    texts: Texts, parsed: Parsed, hostile_runs: list[Path]
) -> None:
    """The block names every metric that the suite left out, or says that it left out none."""
    (block,) = parsed(texts["hostile run"]).all("section", id="not-evaluated")
    left = Result.load(hostile_runs[0]).document.not_evaluated
    assert left
    for chapter, names in left.items():
        assert f"{chapter}: {', '.join(names)}" in block.text
    whole = dataclasses.replace(run_view(hostile_runs[0]), not_evaluated={})
    (none,) = parsed(pages.render_run(whole)).all("section", id="not-evaluated")
    assert "The suite uses every metric" in none.text


def test_every_chart_has_its_data_beside_it(texts: Texts, parsed: Parsed) -> None:
    """A chart is an image for assistive technology and has a table with the same numbers."""
    charts = parsed(texts["run"]).all("figure", class_="chart")
    assert charts
    for figure in charts:
        assert [svg.attributes["role"] for svg in figure.all("svg")] == ["img"]
        assert figure.all("table")
        assert figure.all("figcaption")[0].text


def test_a_table_without_chart_stands_by_itself(texts: Texts, parsed: Parsed) -> None:
    """Each class's share with interval and verdict, fractions with four digits."""
    details = parsed(texts["run"]).all("details")
    (found,) = [one for one in details if one.all("summary")[0].text == "Class shares"]
    rows = [[cell.text for cell in row.all("td")] for row in found.all("tr")][1:]
    assert [row[0] for row in rows] == [*"0123456789"]
    assert [row[0] for row in rows if row[5] == "missing"] == ["0", "4", "7"]
    assert all(len(cell) <= 9 for row in rows for cell in row)


def test_training_images_are_not_in_the_page(
    texts: Texts, parsed: Parsed, step_runs: dict[str, Path], digits: Any
) -> None:
    """No picture of the page shows a training image, and no grid is called so."""
    page = parsed(texts["run"])
    (samples,) = page.all("section", id="samples")
    assert [one.text for one in samples.all("figcaption")] == ["Generated", "Reference"]
    index = json.loads((step_runs["collapsed"] / "media/index.json").read_bytes())
    assert {entry["role"] for entry in index} == {"generated", "reference"}
    train = {image.tobytes() for image in digits[0].images}
    pictures = [one.attributes["src"].partition("base64,")[2] for one in page.all("img")]
    assert len(pictures) > 100
    for picture in pictures:
        grey = Image.open(io.BytesIO(base64.b64decode(picture))).convert("L")
        assert grey.tobytes() not in train
    (provenance,) = page.all("section", id="provenance")
    assert "train" in [row.all("td")[0].text for row in provenance.all("tr")[1:]]


def test_comparison_shows_entries_values_and_differences(
    texts: Texts, parsed: Parsed, step_runs: dict[str, Path]
) -> None:
    """Each checkpoint is linked, judged and shown; values have ranks, differences intervals."""
    page = parsed(texts["comparison"])
    (checkpoints,) = page.all("section", id="checkpoints")
    rows = [[cell.text for cell in row.all("td")] for row in checkpoints.all("tr")[1:]]
    assert [row[0] for row in rows] == list(step_runs)
    assert [row[1] for row in rows] == ["250", "1,000", "4,000", ""]
    for row, directory in zip(rows, step_runs.values(), strict=True):
        assert load_judgement(directory).status.value in row[2]
    (values,) = page.all("section", id="values")
    best = Result.load(step_runs["step-004000"])["fid.debiased"]
    (row,) = [r for r in values.all("tr")[1:] if r.all("td")[0].text == "fid.debiased"]
    cell = row.all("td")[1 + list(step_runs).index("step-004000")]
    assert best.number is not None
    assert f"{shown(best.number)} #1" in cell.text
    (differences,) = page.all("section", id="differences")
    (row,) = [r for r in differences.all("tr")[1:] if r.all("td")[0].text == "fid.debiased"]
    cells = [cell.text for cell in row.all("td")[1:]]
    assert len(cells) == 3  # none for the entry compared with
    assert all("▼ worse" in cell and "[" in cell for cell in cells)


def test_links_of_a_comparison_lead_to_the_reports(
    texts: Texts, parsed: Parsed, comparison_page: Path
) -> None:
    """Every checkpoint's link is the relative path of its report."""
    targets = [one.attributes["href"] for one in parsed(texts["comparison"]).all("a")]
    outer = [target for target in targets if not target.startswith("#")]
    assert len(outer) == 4
    assert all((comparison_page.parent / target).resolve().is_file() for target in outer)


def test_page_with_nothing_to_show(
    step_runs: dict[str, Path], tmp_path: Path, parsed: Parsed
) -> None:
    """Without gates, pictures, cautions and command a page is still a page."""
    bare = Path(shutil.copytree(step_runs["collapsed"], tmp_path / "bare"))
    shutil.rmtree(bare / "media")
    view = dataclasses.replace(run_view(bare), gates=(), cautions=(), command="", judged=False)
    page = parsed(pages.render_run(view))
    assert page.all("img") == []
    assert page.all("section", id="gates") == []
    assert page.all("section", id="samples") == []
    assert "not judged" in page.all("header")[0].text


def test_page_that_would_be_too_large_is_refused(
    step_runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the cap no page is written: a browser could not open it."""
    monkeypatch.setattr(pages, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="show fewer samples"):
        pages.render_run(run_view(step_runs["collapsed"]))


def test_rendering_is_reproducible(step_runs: dict[str, Path]) -> None:
    """The same run directory gives the same bytes."""
    first, second = (pages.render_run(run_view(step_runs["collapsed"])) for _ in range(2))
    assert first == second == (step_runs["collapsed"] / "report.html").read_text()


def test_the_floor_stands_in_table_and_card(
    texts: Texts, parsed: Parsed, step_runs: dict[str, Path]
) -> None:
    """Each value with a floor shows it with its count and JPEG mark, or that there is none."""
    page = parsed(texts["run"])
    (section,) = page.all("section", id="values")
    rows = {row.all("td")[0].text: row.all("td")[5].text for row in section.all("tr")[1:]}
    found = list(Result.load(step_runs["collapsed"]).values())
    assert any(value.floor for value in found)
    for value in found:
        told = rows[value.address]
        (card,) = [
            one
            for one in page.all("div", class_="number")
            if one.attributes["id"] == f"value-{value.address}"
        ]
        if value.floor is None:
            assert told == ""
        elif value.floor.number is None:
            assert told == "none"
            assert value.floor.problem in card.text
        else:
            assert f"{shown(value.floor.number)} (n {value.floor.n})" in told
            assert f"JPEG 50: {shown(value.floor.jpeg or 0.0)}" in told
            assert str(value.floor) in card.text
