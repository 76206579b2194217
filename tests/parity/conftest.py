"""Agreement with other tools: every comparison is asserted, and kept for docs/parity.md.

    pytest tests/parity --parity-table docs/parity.md        # make parity

A test calls `parity(peer=…, what=…, ours=…, theirs=…, rel=5e-4)`. Comparisons of one thing with one
peer share a row: the numbers of the first, how many there were, their largest difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from geneval.evaluator import open_job
from geneval.ledger import Ledger
from geneval.result import Result
from geneval.run import execute
from geneval.suite import load_suite

Floats = NDArray[np.float64]
Pictures = Callable[[int, int], list[NDArray[np.uint8]]]
N = 24  # images a side
SUBSETS, SIZE = 5, 16  # of KID, end to end
LEAST = 1e-11  # smaller differences are printed alike: the last bits vary between machines
START, END = "<!-- parity -->\n", "<!-- /parity -->"
HEADER = (
    "| peer | compared | geneval | peer's | cases | largest difference | tolerance |",
    "|---|---|---|---|---|---|---|",
)


@dataclass
class Row:
    """One line of the table."""

    ours: str
    theirs: str
    tolerance: str
    limit: float
    cases: int
    worst: float

    def difference(self) -> str:
        """The power of ten above the largest difference, or the tolerance; of equal numbers 0."""
        above = 10.0 ** (math.floor(math.log10(max(self.worst, LEAST))) + 1)
        if self.limit == 0:
            return "0"
        return f"< {short(above)}" if above < self.limit else f"≤ {short(self.limit)}"


class Parity:
    """Asserts that geneval and a peer agree, and keeps the rows."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}

    def __call__(self, *, peer: str, what: str, ours: Any, theirs: Any, **tolerance: float) -> None:
        """Numbers or arrays agree within one tolerance.

        `rel` of the peer's number, `abs`, `exact=True`, or `count_of=n`: shares of n whose counts
        are equal.
        """
        ((kind, limit),) = tolerance.items()
        shown = {
            "rel": f"{short(limit)} relative",
            "abs": f"{short(limit)} absolute",
            "exact": "equal",
            "count_of": "equal counts",
        }[kind]
        mine, other = (np.asarray(side, dtype=np.float64) for side in (ours, theirs))
        assert mine.shape == other.shape, what
        if kind == "count_of":
            mine, other = counts(mine, limit), counts(other, limit)
        apart = np.abs(mine - other)
        if kind == "rel":
            with np.errstate(divide="ignore", invalid="ignore"):
                apart = np.where(mine == other, 0.0, apart / np.abs(other))
        worst = float(apart.max())
        allowed = limit if kind in ("rel", "abs") else 0.0
        assert worst <= allowed, f"{what}: {mine} here, {other} of {peer}: {worst:.3g} apart"
        pair = (text(side, kind, limit) for side in (mine, other))
        row = self.rows.setdefault((peer, what), Row(*pair, shown, allowed, 0, 0.0))
        assert row.tolerance == shown, what
        row.cases, row.worst = row.cases + 1, max(row.worst, worst)

    def write(self, path: Path) -> None:
        """Replace the table between the page's markers."""
        before, rest = path.read_text(encoding="utf-8").split(START)
        _, after = rest.split(END)
        lines = [*HEADER]
        for (peer, what), row in sorted(self.rows.items()):
            lines.append(
                f"| {peer} {version(peer)} | {what} | {row.ours} | {row.theirs} | {row.cases} "
                f"| {row.difference()} | {row.tolerance} |"
            )
        path.write_text(before + START + "\n".join(lines) + "\n" + END + after, encoding="utf-8")


def counts(shares: Floats, n: float) -> Floats:
    """Shares of n as whole numbers; torch-fidelity divides in float32."""
    whole = np.round(shares * n)
    assert (np.abs(shares * n - whole) <= n * 2.0**-23).all(), f"{shares} are not shares of {n}"
    return whole


def text(values: Floats, kind: str, limit: float) -> str:
    """Three digits of a number, what a count is of, or the shape of an array."""
    if values.ndim:
        return " × ".join(str(size) for size in values.shape)
    if kind == "count_of":
        return f"{values:.0f}/{limit}"
    nothing = limit if kind == "abs" else LEAST
    return "0" if abs(values) <= nothing else f"{values:.3g}"


def short(limit: float) -> str:
    """5e-4, not 5e-04."""
    return f"{limit:.0e}".replace("e-0", "e-")


ROWS = pytest.StashKey[Parity]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that writes the page."""
    parser.addoption("--parity-table", type=Path, help="write the table into this page")


def pytest_configure(config: pytest.Config) -> None:
    """Rows are kept in one process."""
    if config.getoption("parity_table", None) and config.getoption("numprocesses", None):
        raise pytest.UsageError("--parity-table writes the rows of one process: leave out -n")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the page when everything passed."""
    page = session.config.getoption("parity_table", None)
    if page is not None and exitstatus == pytest.ExitCode.OK:
        session.config.stash[ROWS].write(page)


@pytest.fixture(scope="session")
def parity(pytestconfig: pytest.Config) -> Parity:
    """Asserts and keeps comparisons."""
    return pytestconfig.stash.setdefault(ROWS, Parity())


# ----------------------------------------------------------------------- the same files for all


def folder(root: Path, drawn: list[NDArray[np.uint8]]) -> Path:
    """A folder of PNG, JPEG and WebP files in modes RGB, L, RGBA and P."""
    root.mkdir()
    for i, pixels in enumerate(drawn):
        image = Image.fromarray(pixels)
        if i % 6 == 1:
            image = image.convert("L")
        if i % 6 == 3:
            image.putalpha(Image.fromarray(pixels[..., 0]))
        if i % 6 == 5:
            image = image.convert("P")
        lossy = i % 4 == 2 and image.mode in ("RGB", "L")
        webp = i % 8 == 4 and image.mode == "RGB"
        image.save(root / f"{i:03d}{'.jpg' if lossy else '.webp' if webp else '.png'}")
    return root


@pytest.fixture(scope="session")
def folders(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Generated and reference images."""
    place = tmp_path_factory.mktemp("images")
    generated, reference = (
        folder(place / name, pictures(seed, N))
        for seed, name in enumerate(("generated", "reference"), start=1)
    )
    return generated, reference


Measured = Callable[..., Result]


@pytest.fixture(scope="session")
def measured(
    folders: tuple[Path, Path], inception_twin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Measured:
    """`geneval run image-quality --samples A --reference B` with local weights and a preset."""

    def measure(preset: str, *settings: str) -> Result:
        changes = [
            f"extractor={{name: inception-v3, preset: {preset}}}",
            f"weights.inception-v3={inception_twin}",
            f"metrics.kid.subsets={SUBSETS}",
            f"metrics.kid.subset_size={SIZE}",
            *settings,
        ]
        ledger = Ledger(tmp_path_factory.mktemp("ledger"))
        suite = load_suite("image-quality", changes)
        return execute(open_job(suite, ledger, samples=folders[0], reference=folders[1])).result

    return measure
