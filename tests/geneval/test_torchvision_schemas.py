"""geneval.extractors.torchvision_schemas: torchvision imports beside whichever torch there is."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

from geneval.extractors.torchvision_schemas import can_import_torchvision, declare_schemas

PROGRAM = """
from geneval.extractors.torchvision_schemas import declare_schemas
needed = declare_schemas()
import torchvision, torchmetrics, torch_fidelity
from torchmetrics.image.fid import FrechetInceptionDistance
from torchvision.transforms.functional import resize
assert declare_schemas() == needed
print(torchvision.__version__, torchmetrics.__version__, torch_fidelity.__version__)
"""


def test_torchvision_and_its_users_import_in_a_fresh_process() -> None:
    """After declare_schemas() torchvision, torchmetrics and torch_fidelity import."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    packages = ("torchvision", "torchmetrics", "torch-fidelity")
    found = [one.split("+")[0] for one in done.stdout.split()]
    assert found == [version(package).split("+")[0] for package in packages]


def test_declaring_twice_is_harmless() -> None:
    """A second call neither fails nor changes its mind."""
    assert declare_schemas() == declare_schemas()


def test_the_doctor_is_told_the_version() -> None:
    """Where torchvision imports, its version is what is said."""
    said, works = can_import_torchvision()
    assert works
    assert said.startswith(version("torchvision").split("+")[0])
