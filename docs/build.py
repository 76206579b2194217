"""Write what the documents take from the program: the JSON Schema and the picture of a report.

    python docs/build.py                 # the schema; the picture too where Chromium is found

The picture shows the report of the demonstration's collapsed checkpoint.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from geneval.engine.progress import Silent
from geneval.examples.digits.demo import run_demo
from geneval.result import result_schema

DOCS = Path(__file__).parent


def write_schema() -> None:
    """docs/result.schema.json."""
    text = json.dumps(result_schema(), indent=1, ensure_ascii=False, sort_keys=True)
    (DOCS / "result.schema.json").write_text(text + "\n", encoding="utf-8")


def write_picture(browser: str) -> None:
    """docs/report.png: the top of the collapsed checkpoint's report, 1,200 pixels wide."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run_demo(Path(folder), Silent())
        (page_file,) = Path(folder).glob("digits/collapsed/*/report.html")
        chromium = playwright.chromium.launch(
            executable_path=browser,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = chromium.new_page(viewport={"width": 1200, "height": 1320})
        page.goto(page_file.as_uri())
        page.screenshot(path=DOCS / "report.png")
        chromium.close()


def main() -> None:
    """Write both."""
    write_schema()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser:
        write_picture(browser)
    else:
        print("no Chromium found: docs/report.png stays as it is")


if __name__ == "__main__":
    main()
