"""The layers of the design: each module imports only from layers above its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "geneval": ROOT / "geneval",
    "geneval.metrics": ROOT / "metrics",
    "geneval.reports": ROOT / "reports",
    "geneval.suites": ROOT / "suites",
    "geneval.examples": ROOT / "examples",
}
LAYERS = [
    ["geneval.errors"],
    [
        "geneval.value",
        "geneval.data",
        "geneval.items",
        "geneval.signature",
        "geneval.resample",
        "geneval.linalg",
        "geneval.tiles",
        "geneval.neighbours",
        "geneval.kernels",
        "geneval.links",
        "geneval.pairs",
        "geneval.ranks",
        "geneval.frechet",
        "geneval.shares",
        "geneval.confusion",
        "geneval.ledger",
        "geneval.machine",
        "geneval.once",
        "geneval.options",
        "geneval.plugins",
        "geneval.source",
        "geneval.rates",
        "geneval.sweeps",
        "geneval.bibliography",
        "geneval.download",
        "geneval.strict_yaml",
    ],
    ["geneval.metric", "geneval.parts", "geneval.sides", "geneval.text", "geneval.metrics"],
    [
        "geneval.samples",
        "geneval.imports",
        "geneval.judgements",
        "geneval.perturb",
        "geneval.checkpoint",
    ],
    ["geneval.extractors", "geneval.probes", "geneval.language_models"],
    ["geneval.engine", "geneval.result"],
    ["geneval.suite_file", "geneval.suite", "geneval.plan", "geneval.suites"],
    [
        "geneval.baseline",
        "geneval.difference",
        "geneval.flips",
        "geneval.compare",
        "geneval.replicates",
        "geneval.tiers",
        "geneval.preferences",
        "geneval.gate",
        "geneval.verdict",
        "geneval.promote",
        "geneval.rejudge",
        "geneval.foresight",
    ],
    [
        "geneval.equip",
        "geneval.floor",
        "geneval.measure",
        "geneval.rundir",
        "geneval.run",
        "geneval.rescore",
        "geneval.sensitivity",
        "geneval.reference",
    ],
    ["geneval.reports"],
    [
        "geneval.evaluator",
        "geneval.doctor",
        "geneval.first_suite",
        "geneval.hub",
        "geneval.shared_run",
        "geneval.cite",
        "geneval.published",
        "geneval.verify",
    ],
    ["geneval.examples"],
    ["geneval.cli", "geneval.__main__", "geneval.pytest_plugin"],
]
# The package's face: `geneval.__version__` may be read anywhere, `geneval.metrics` be listed.
FACE = "geneval"


def modules() -> dict[str, Path]:
    """Every module of the project by its installed name."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join([package, *(part for part in parts if part != "__init__")])
            found[name] = path
    return found


MODULES = modules()


def layer(name: str) -> int:
    """The layer of a module, by the longest listed prefix."""
    best = max(
        (
            (len(prefix), number)
            for number, prefixes in enumerate(LAYERS, 1)
            for prefix in prefixes
            if name == prefix or name.startswith(prefix + ".")
        ),
        default=None,
    )
    assert best is not None, f"{name} is in no layer: add it to LAYERS and to docs/design.md"
    return best[1]


def imports(path: Path) -> set[str]:
    """Every module of the project that a file imports, wherever in the file it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & MODULES.keys()) or {node.module}
    return {name for name in found if name.split(".")[0] == "geneval"}


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {FACE}))
def test_imports_point_upwards(name: str) -> None:
    """No module imports from a layer below its own."""
    for imported in imports(MODULES[name]) - {FACE}:
        assert layer(imported) <= layer(name), f"{name} imports {imported}"


@pytest.mark.parametrize("name", sorted(n for n in MODULES if n.startswith("geneval.metrics.")))
def test_metrics_are_pure(name: str) -> None:
    """A metric imports layers 1 to 3 only, and no tensor or file library."""
    for imported in imports(MODULES[name]) - {FACE}:
        assert layer(imported) <= 3
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    top = {
        alias.name.split(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert top <= {"numpy", "math"}


@pytest.mark.parametrize("name", sorted(n for n in MODULES if n.startswith("geneval.reports")))
def test_reports_read_documents_only(name: str) -> None:
    """A report is made of result, compare, preferences and verdict documents and of files."""
    documents = ("result", "compare", "flips", "preferences", "verdict")
    allowed = ("value", "errors", "ledger", "reports", *documents)
    for imported in imports(MODULES[name]) - {FACE}:
        assert imported.split(".")[1] in allowed, f"{name} imports {imported}"


def test_every_layered_name_exists() -> None:
    """The table of layers names no module that is gone."""
    listed = {name for names in LAYERS for name in names}
    assert listed <= MODULES.keys()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_bare_root_folders(name: str) -> None:
    """No code imports `metrics`, `suites`, `reports` or `examples` but through `geneval`."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            assert node.level == 0
        assert not {n.split(".")[0] for n in names} & {"metrics", "suites", "reports", "examples"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "geneval" / "cli").glob("*.py")), ids=lambda p: p.stem
)
def test_commands_are_thin(path: Path) -> None:
    """A file of the command line stays below a hundred lines; a command itself below seventy."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines < 110
