"""geneval.samples.open: from a path to the right kind of sample set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geneval.errors import UsageError
from geneval.ledger import Ledger
from geneval.samples.open import open_images

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)


def _store(kind: str, folder: Path) -> Path:
    path = folder / f"samples{kind}"
    if kind == ".npy":
        np.save(path, PIXELS)
    elif kind == ".npz":
        np.savez(path, PIXELS)
    else:
        path.mkdir()
        for row, image in enumerate(PIXELS):
            Image.fromarray(image).save(path / f"{row:06d}.png")
    return path


@pytest.mark.parametrize("kind", ["", ".npy", ".npz"])
def test_every_kind_holds_the_same_samples(tmp_path: Path, ledger: Ledger, kind: str) -> None:
    """A folder, a `.npy` and a `.npz` of the same images have the same ids and pixels."""
    samples = open_images(_store(kind, tmp_path), ledger)
    assert samples.ids == ("000000", "000001", "000002")
    assert np.array_equal(np.stack(samples.read(samples.ids).columns["image"]), PIXELS)


def test_the_alpha_rule_reaches_the_folder(tmp_path: Path, ledger: Ledger) -> None:
    """`alpha` decides how transparent images of a folder are read."""
    Image.new("RGBA", (1, 1), (10, 20, 30, 0)).save(tmp_path / "a.png")
    image = open_images(tmp_path, ledger, "black").read(("a",)).columns["image"][0]
    assert image.tolist() == [[[0, 0, 0]]]


def test_a_slip_of_the_pen_is_spotted(tmp_path: Path, ledger: Ledger) -> None:
    """A path that does not exist offers its nearest neighbour."""
    right = _store(".npz", tmp_path)
    with pytest.raises(UsageError, match=r"does not exist; did you mean") as caught:
        open_images(tmp_path / "sample.npz", ledger)
    assert str(right) in str(caught.value)


def test_a_missing_parent_is_said(tmp_path: Path, ledger: Ledger) -> None:
    """Where the folder around it is missing too, that is what the error says."""
    with pytest.raises(UsageError, match=r"neither does .*absent"):
        open_images(tmp_path / "absent" / "a.npz", ledger)


@pytest.mark.parametrize("name", ["a.rar", "a.7z", "a.png", "a.pt", "a"])
def test_other_files_are_a_usage_error(tmp_path: Path, ledger: Ledger, name: str) -> None:
    """A file that is no sample set is refused with the kinds there are."""
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"folder of images, a \.zip or \.tar of them, a \.npy"):
        open_images(tmp_path / name, ledger)


def test_an_empty_folder_is_a_usage_error(tmp_path: Path, ledger: Ledger) -> None:
    """DESIGN.md, exit codes: a missing path and an empty folder are both the caller's."""
    with pytest.raises(UsageError, match="holds no"):
        open_images(tmp_path, ledger)
