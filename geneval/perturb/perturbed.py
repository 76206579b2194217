"""A sample set whose images went through a perturbation."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geneval.samples.sampleset import Batch, SampleSet, Wrapped
from geneval.signature import Digest, digest
from geneval.source import source_of
from geneval.value import Ids

Pixels = NDArray[np.uint8]


def jpeg(image: Pixels, quality: int) -> Pixels:
    """An image uint8 [h, w, 3] saved as JPEG (quality 1 to 95, 4:2:0) and read again."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


PERTURBATIONS: Mapping[str, Callable[..., Pixels]] = {"jpeg": jpeg}


class Perturbed(Wrapped):
    """`base` with every image put through a perturbation by name, with its parameters."""

    def __init__(self, base: SampleSet, perturbation: str, parameters: Mapping[str, Any]) -> None:
        super().__init__(base)
        self.perturbation = perturbation
        self.parameters = parameters

    @property
    def name(self) -> str:
        """The base's name with what was done to it."""
        told = ", ".join(f"{name} {value}" for name, value in self.parameters.items())
        return f"{self.base.name} after {self.perturbation} ({told})"

    def content(self) -> Sequence[Digest]:
        """What each image was, and what was done to it by which code."""
        done = {"perturbation": self.perturbation, "parameters": dict(self.parameters)}
        code = source_of(PERTURBATIONS[self.perturbation])
        return [digest({"of": one, "code": code, **done}) for one in self.base.content()]

    def read(self, ids: Ids) -> Batch:
        """The samples of the base with their images perturbed."""
        batch = self.base.read(ids)
        change = PERTURBATIONS[self.perturbation]
        images = [change(image, **self.parameters) for image in batch.columns["image"]]
        return Batch(batch.ids, {**batch.columns, "image": images}, batch.bad)
