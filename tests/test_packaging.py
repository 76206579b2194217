"""What is installed is what stands in the tree."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "geneval": "geneval",
    "metrics": "geneval/metrics",
    "reports": "geneval/reports",
    "suites": "geneval/suites",
    "examples": "geneval/examples",
}
KINDS = {".py", ".yaml", ".j2", ".css", ".js", ".safetensors", ".typed"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tracked files so that nothing stale gets in."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(out), str(source)]
    subprocess.run(command, check=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    """No sub-package is forgotten in pyproject.toml, no template or weight left behind."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {n for n in archive.namelist() if n.startswith("geneval/")}
    expected = {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in KINDS and "__pycache__" not in path.parts
    }
    assert {name for name in packed if Path(name).suffix in KINDS} == expected


def test_the_wheel_claims_one_name_only(wheel: Path) -> None:
    """Nothing but `geneval` lands in site-packages."""
    with zipfile.ZipFile(wheel) as archive:
        roots = {name.split("/")[0] for name in archive.namelist()}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"geneval"}


def test_shipped_weights_are_small() -> None:
    """Extractor and demonstration checkpoints stay below 3 MB together."""
    files = [p for name in FOLDERS for p in (ROOT / name).rglob("*.safetensors")]
    total = sum(path.stat().st_size for path in files)
    assert len(files) == 5
    assert total < 3 * 2**20


def test_version_is_said_once() -> None:
    """The package and its metadata agree."""
    import tomllib

    import geneval

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == geneval.__version__
