"""Write what the documents take from the program: the schema, README's first run and its picture.

    python docs/build.py                 # the picture only where Chromium is found

The first run is of the demonstration's last checkpoint; the picture shows the report of the
collapsed one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from geneval.engine.progress import Silent
from geneval.examples.digits.demo import run_demo
from geneval.result import result_schema

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
FIRST_RUN = (
    "geneval run digits --checkpoint examples/digits/step-004000.safetensors "
    "--reference runs/digits/data/held-out.npz"
)


def write_schema() -> None:
    """docs/result.schema.json."""
    text = json.dumps(result_schema(), indent=1, ensure_ascii=False, sort_keys=True)
    (DOCS / "result.schema.json").write_text(text + "\n", encoding="utf-8")


def write_first_run(folder: Path) -> None:
    """README's first run: the command and what it prints, in a folder with the demonstration."""
    (folder / "examples").symlink_to(DOCS.parent / "examples")
    printed = subprocess.run(
        [sys.executable, "-m", *FIRST_RUN.split()],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lines = ["    $ " + FIRST_RUN.replace(" --reference", " \\\n        --reference")]
    lines += [f"    {line}" for line in printed.splitlines()]
    marked = re.compile(r"(<!-- first run -->\n).*?(<!-- /first run -->)", re.DOTALL)
    block = "\n" + "\n".join(lines) + "\n\n"
    text = marked.sub(lambda m: m[1] + block + m[2], README.read_text(encoding="utf-8"))
    README.write_text(text, encoding="utf-8")


def write_picture(folder: Path, browser: str) -> None:
    """docs/report.png: the top of the collapsed checkpoint's report, 1,200 pixels wide."""
    from playwright.sync_api import sync_playwright

    (page_file,) = folder.glob("runs/digits/collapsed/*/report.html")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = chromium.new_page(viewport={"width": 1200, "height": 1630})
        page.goto(page_file.as_uri())
        page.screenshot(path=DOCS / "report.png")
        chromium.close()


def main() -> None:
    """Write all three."""
    write_schema()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_demo(folder / "runs", Silent())
        write_first_run(folder)
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if browser:
            write_picture(folder, browser)
        else:
            print("no Chromium found: docs/report.png stays as it is")


if __name__ == "__main__":
    main()
