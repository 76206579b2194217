"""Run directories and comparisons to make pages of, and a parser that takes pages apart.

test_browser.py needs Chromium. Where it is not installed the file is not collected, since a browser
test that quietly passed without a browser would prove nothing; test_html.py checks the same facts
(one style, one script, their hashes in the policy, no handler, no address outside, every anchor
leads somewhere) in the text of the pages, so they are never unchecked.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geneval.compare import compare
from geneval.evaluator import open_job
from geneval.examples.digits.data import Split
from geneval.examples.digits.demo import EXPECTED
from geneval.ledger import Ledger
from geneval.reports.write import RUN_WRITERS, write_comparison
from geneval.result import Result, Subject
from geneval.run import execute
from geneval.suite import load_suite

collect_ignore = ["test_browser.py"] if shutil.which("chromium") is None else []

# As ids of samples they are paths: the slash of `</script>` makes a folder.
PAYLOADS = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "{{7*7}}{% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt; &amp; \u202e \x9b31m",
)
VOID = {"meta", "img", "br", "link", "input", "hr", "base", "wbr"}


@dataclass
class Element:
    """One element of a page with the text below it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, tag: str, **wanted: str) -> list[Element]:
        """Every element of that tag below this one whose attributes contain the wanted words."""
        found = []
        for one in self.inside:
            words = {name.rstrip("_"): word for name, word in wanted.items()}
            if one.tag == tag and all(
                word in one.attributes.get(name, "").split() for name, word in words.items()
            ):
                found.append(one)
            found += one.all(tag, **wanted)
        return found


class Page(HTMLParser):
    """A page as a tree of elements; text is what a reader sees, with references resolved."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("page", {})
        self._open = [self.root]
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        one = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].inside.append(one)
        if tag not in VOID:
            self._open.append(one)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of SVG that closes itself."""
        self._open[-1].inside.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must be of that tag."""
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Text belongs to every element that is open."""
        for one in self._open:
            one.text += data


@pytest.fixture(scope="session")
def parsed() -> Callable[[str], Element]:
    """The tree of a page; badly nested elements are an error."""
    return lambda text: Page(text).root


@pytest.fixture(scope="session")
def step_runs(
    run_checkpoints: Callable[..., dict[str, Path]],
    digit_files: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Run directories of the demonstration's four checkpoints under its own suite."""
    suite = load_suite("digits", ["generate.n=500"])
    place, train = tmp_path_factory.mktemp("reports"), digit_files[0]
    return run_checkpoints(place, suite, *EXPECTED, train=train)


@pytest.fixture(scope="session")
def comparison_page(step_runs: dict[str, Path]) -> Path:
    """The page of the comparison of all four."""
    found = compare([Result.load(run) for run in step_runs.values()], "step-004000")
    return write_comparison(found, step_runs["collapsed"].parents[1] / "comparison")


@pytest.fixture(scope="session")
def hostile_runs(
    digits: tuple[Split, Split], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Two runs with payloads as ids, class names, paths, names, description and command."""
    place = tmp_path_factory.mktemp("hostile") / "<b onclick=alert(1)>{{7*7}}"
    folders = [place / "a" / 'set "><img src=x onerror=alert(1)>', place / "reference"]
    for folder, split in zip(folders, digits, strict=True):
        _hostile_folder(folder, split)
    address = f"grouped.recall[label={json.dumps(PAYLOADS[0])}]"
    (place / "hostile.yaml").write_text(
        json.dumps(  # JSON is YAML
            {
                "version": 1,
                "name": "hostile",
                "description": " ".join(PAYLOADS),
                "on_bad_sample": "skip",
                "metrics": [
                    {"precision_recall": {}},
                    {"precision_recall": {"as": "grouped", "by": "label"}},
                    {"class_balance": {}},
                    {"kid": {}},
                ],
                "gates": [{"value": address, "at_least": 2.0}, {"value": "kid", "at_most": 1.0}],
            }
        )
    )
    directories = []
    for i in range(2):
        job = open_job(
            load_suite(str(place / "hostile.yaml"), [f"seed={i}"]),
            Ledger(place / "cache"),
            samples=folders[0],
            reference=folders[1],
            subject=Subject(f"{PAYLOADS[i]} {PAYLOADS[2]}", "samples"),
            origin={"command": f"geneval run '{' '.join(PAYLOADS)}'"},
        )
        directory = execute(job, place / "runs", RUN_WRITERS).directory
        assert directory is not None
        directories.append(directory)
    return directories


def _hostile_folder(folder: Path, split: Split) -> None:
    """Images whose ids and labels are payloads; one of them is broken."""
    records: list[dict[str, Any]] = []
    for i in range(20 * len(PAYLOADS)):
        payload = PAYLOADS[i % len(PAYLOADS)]
        path = folder / f"{payload}{i // len(PAYLOADS):02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(split.images[i])).save(path)
        file = path.relative_to(folder).as_posix()
        records.append({"file_name": file, "label": payload})
    (folder / f"{PAYLOADS[0]}00.png").write_bytes(b"no image")
    lines = [json.dumps(record) for record in records]
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="session")
def hostile_comparison(hostile_runs: list[Path]) -> Path:
    """The page that compares them."""
    found = compare([Result.load(run) for run in hostile_runs])
    return write_comparison(found, hostile_runs[0].parents[3] / "comparison")
