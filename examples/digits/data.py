"""scikit-learn's handwritten digits (Alpaydin and Kaynak 1998): 1,797 images of 8x8 grey pixels.

Split once and for all into 1,197 for training and 600 held out, stratified by class.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HELD_OUT = 600
SPLIT_SEED = 0


@dataclass(frozen=True, eq=False)
class Split:
    """Grey images uint8 [n, 8, 8] and their classes int64 [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def save(self, path: Path) -> Path:
        """Write as `arr_0` and `arr_1` of an npz, the layout in which samples are exchanged."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, self.images, self.labels)
        return path


def load_split() -> tuple[Split, Split]:
    """The training digits and the held-out digits."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    train, held_out = train_test_split(
        np.arange(len(images)), test_size=HELD_OUT, stratify=labels, random_state=SPLIT_SEED
    )
    train, held_out = np.sort(train), np.sort(held_out)
    return Split(images[train], labels[train]), Split(images[held_out], labels[held_out])
