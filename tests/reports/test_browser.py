"""The pages in a real browser: nothing loaded, nothing refused, usable by hand and by keyboard.

Collected only where Chromium is installed; conftest.py says what is checked without it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from geneval.result import Result
from geneval.verdict import load_judgement

NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 900}


@dataclass
class Opened:
    """A page in the browser with everything it complained of or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield found
        found.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Any]:
    """Opens a file as a person would, by double click."""
    contexts = []

    def opening(
        path: Path,
        viewport: dict[str, int] | None = None,
        scheme: Literal["light", "dark"] = "light",
    ) -> Opened:
        context = browser.new_context(
            viewport=viewport or WIDE, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        one = Opened(page)
        page.on("console", lambda message: one.complaints.append(message.text))
        page.on("pageerror", lambda error: one.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (one.complaints.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: one.requests.append(request.url))
        page.add_init_script(
            "window.violations = []; addEventListener('securitypolicyviolation', "
            "(event) => violations.push(event.violatedDirective))"
        )
        page.goto(path.resolve().as_uri())
        return one

    yield opening
    for context in contexts:
        context.close()


@pytest.fixture(params=["run", "comparison"])
def plain(request: pytest.FixtureRequest) -> Path:
    """The page of a run and that of a comparison."""
    if request.param == "comparison":
        return Path(request.getfixturevalue("comparison_page"))
    return Path(request.getfixturevalue("step_runs")["collapsed"] / "report.html")


@pytest.fixture(params=["run", "comparison", "hostile run", "hostile comparison"])
def file(request: pytest.FixtureRequest) -> Path:
    """The same, and pages with payloads wherever a name can stand."""
    value = {
        "run": lambda: request.getfixturevalue("step_runs")["collapsed"] / "report.html",
        "comparison": lambda: request.getfixturevalue("comparison_page"),
        "hostile run": lambda: request.getfixturevalue("hostile_runs")[0] / "report.html",
        "hostile comparison": lambda: request.getfixturevalue("hostile_comparison"),
    }[request.param]()
    return Path(value)


def test_page_opens_from_disk_in_silence(opened: Any, file: Path) -> None:
    """No message, error, dialog or policy violation, and no request but for the file itself."""
    one = opened(file)
    one.page.wait_for_load_state("load")
    assert one.complaints == []
    assert one.page.evaluate("violations") == []
    asked = [url for url in one.requests if not url.startswith("data:")]
    assert asked == [one.page.url]
    assert one.page.url.startswith("file://")
    assert all(one.page.locator("img").evaluate_all("all => all.map(i => i.naturalWidth > 0)"))


def test_policy_is_in_force(opened: Any, step_runs: dict[str, Path]) -> None:
    """A script or a handler that slipped in would not run: the browser refuses it."""
    one = opened(step_runs["collapsed"] / "report.html")
    failures: list[str | None] = []
    one.page.on("requestfailed", lambda request: failures.append(request.failure))
    one.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.broken = 1";
            document.body.append(script);
            const image = document.createElement("img");
            image.setAttribute("onerror", "window.broken = 2");
            image.src = "data:image/png;base64,none";
            document.body.append(image);
            const outside = document.createElement("img");
            outside.src = "https://example.org/x.png";
            document.body.append(outside);
        }"""
    )
    one.page.wait_for_timeout(200)
    assert one.page.evaluate("window.broken") is None
    assert {"script-src-elem", "script-src-attr", "img-src"} <= set(one.page.evaluate("violations"))
    assert failures == ["csp"]  # the picture from outside was never asked for


def numbers(page: Page, column: int) -> list[float]:
    """What a column of the values table is sorted by, in the order shown; NaN where empty."""
    cells = page.locator(f"#values tbody tr td:nth-child({column})")
    return [
        float(text) if text else float("nan")
        for text in cells.evaluate_all("all => all.map(cell => cell.dataset.sort)")
    ]


def words(page: Page, column: int) -> list[str]:
    """The texts of a column of the values table."""
    return page.locator(f"#values tbody tr td:nth-child({column})").all_inner_texts()


def test_columns_sort_by_click(opened: Any, step_runs: dict[str, Path]) -> None:
    """A click sorts by number, a second one the other way round; words sort as words."""
    page = opened(step_runs["collapsed"] / "report.html").page
    written = [value.address for value in Result.load(step_runs["collapsed"]).values()]
    assert words(page, 1) == written
    head = page.locator("#values th").nth(1)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert numbers(page, 2) == sorted(numbers(page, 2))
    assert len(set(numbers(page, 2))) > 5
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert numbers(page, 2) == sorted(numbers(page, 2), reverse=True)
    first = page.locator("#values th").nth(0)
    first.locator("button").click()
    assert head.get_attribute("aria-sort") is None
    assert first.get_attribute("aria-sort") == "ascending"
    assert words(page, 1) == sorted(words(page, 1), key=str.lower)
    assert sorted(words(page, 1)) == sorted(written)


def test_values_without_a_number_sort_last(opened: Any, hostile_runs: list[Path]) -> None:
    """Problems stand at the end, whichever way the numbers run."""
    page = opened(hostile_runs[0] / "report.html").page
    button = page.locator("#values th").nth(1).locator("button")
    for reverse in (False, True):
        button.click()
        found = numbers(page, 2)
        known = [number for number in found if number == number]
        assert 0 < len(known) < len(found)
        assert found[: len(known)] == sorted(known, reverse=reverse)


def test_columns_with_thousands_sort_as_numbers(opened: Any, comparison_page: Path) -> None:
    """A step of 4,000 comes after one of 250."""
    page = opened(comparison_page).page
    page.locator("#checkpoints th").nth(1).locator("button").click()
    steps = page.locator("#checkpoints tbody tr td:nth-child(2)").all_inner_texts()
    assert [step for step in steps if step] == ["250", "1,000", "4,000"]


def test_columns_sort_by_keyboard(opened: Any, step_runs: dict[str, Path]) -> None:
    """Headings are reached with Tab, show their focus, and sort with Enter and with Space."""
    page = opened(step_runs["collapsed"] / "report.html").page
    for _ in range(60):
        page.keyboard.press("Tab")
        place = page.evaluate(
            "() => [document.activeElement.tagName, document.activeElement.textContent]"
        )
        if place == ["BUTTON", "Number"]:
            break
    assert place == ["BUTTON", "Number"]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    head = page.locator("#values th").nth(1)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert numbers(page, 2) == sorted(numbers(page, 2))
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert numbers(page, 2) == sorted(numbers(page, 2), reverse=True)


def test_narrow_screen_has_no_sideways_scroll(opened: Any, file: Path) -> None:
    """At 390 px nothing is wider than the screen; wide tables scroll within themselves."""
    page = opened(file, NARROW).page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    wide = page.evaluate(
        """() => {
            const inside = (one) => one.closest(".scroll") !== null;
            const all = [...document.querySelectorAll("body *")].filter((one) => !inside(one));
            return all.filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
                .map((one) => one.tagName + "." + one.className).slice(0, 5);
        }"""
    )
    assert wide == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= NARROW["width"]


def luminance(colour: str) -> float:
    """Relative luminance of rgb(…), WCAG 2.2."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_light_and_dark(
    opened: Any, plain: Path, scheme: Literal["light", "dark"]
) -> None:
    """The page follows the system, and all its text has a contrast of 4.5:1 (WCAG 1.4.3)."""
    page = opened(plain, WIDE, scheme).page
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(paper) > 0.5) is (scheme == "light")
    pairs = page.evaluate(
        """() => {
            const behind = (one) => {
                for (; one; one = one.parentElement) {
                    const colour = getComputedStyle(one).backgroundColor;
                    if (!/, 0\\)$/.test(colour)) return colour;
                }
            };
            const found = {};
            for (const one of document.querySelectorAll("body *")) {
                const texts = [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
                if (!texts || one.closest("script, style")) continue;
                const style = getComputedStyle(one);
                const ink = one.closest("svg") ? style.fill : style.color;
                found[ink + " on " + behind(one)] = one.tagName + "." + one.className;
            }
            return found;
        }"""
    )
    assert len(pairs) >= 4
    for pair, place in pairs.items():
        ink, _, ground = pair.partition(" on ")
        light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{pair} in {place}"


def test_links_lead_somewhere(opened: Any, step_runs: dict[str, Path]) -> None:
    """A click on a value goes to its card, also where its address has groups."""
    page = opened(step_runs["collapsed"] / "report.html").page
    for address in ("fid.debiased", "precision_recall.recall"):
        page.locator("#values td a", has_text=re.compile(f"^{re.escape(address)}$")).click()
        target = page.evaluate("document.querySelector(':target').id")
        assert target == f"value-{address}"
        top = page.evaluate("document.querySelector(':target').getBoundingClientRect().top")
        assert 0 <= top <= WIDE["height"]


def test_links_to_grouped_values_lead_somewhere(opened: Any, hostile_runs: list[Path]) -> None:
    """Addresses with quotes, brackets and markup in their groups are reached as well."""
    page = opened(hostile_runs[0] / "report.html").page
    links = page.locator("#values td a")
    for i in range(links.count()):
        address = links.nth(i).inner_text()
        links.nth(i).click()
        target = page.evaluate("document.querySelector(':target')?.id")
        assert target == f"value-{address}"


def test_comparison_leads_to_the_reports(
    opened: Any, comparison_page: Path, step_runs: dict[str, Path]
) -> None:
    """From the comparison one click opens a checkpoint's own report."""
    page = opened(comparison_page).page
    page.locator("#checkpoints a", has_text="step-001000").click()
    page.wait_for_load_state("load")
    assert page.locator("h1").inner_text() == "step-001000"
    status = load_judgement(step_runs["step-001000"]).status.value
    assert status in page.locator(".verdict").inner_text()


def test_printing_shows_what_was_folded(opened: Any, step_runs: dict[str, Path]) -> None:
    """Before printing every folded part is opened, and the navigation is left out."""
    page = opened(step_runs["collapsed"] / "report.html").page
    folded = page.locator("details:not([open])")
    assert folded.count() > 3
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folded.count() == 0
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()


def test_command_can_be_copied(opened: Any, step_runs: dict[str, Path]) -> None:
    """The button copies the command, or where that is not allowed selects it."""
    page = opened(step_runs["collapsed"] / "report.html").page
    command = page.locator(".command code").inner_text()
    page.locator("button.copy").click()
    page.wait_for_timeout(200)
    copied = page.locator("button.copy").inner_text() == "Copied"
    selected = page.evaluate("getSelection().toString()")
    assert copied or selected == command


def test_without_scripts_everything_is_there(browser: Browser, plain: Path) -> None:
    """With scripts turned off the page shows the same text."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(plain.resolve().as_uri())
    text = page.locator("main").inner_text()
    assert "Values" in text
    assert page.locator("#values tbody tr").count() > 2
    context.close()
