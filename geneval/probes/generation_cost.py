"""`generation-cost`: what the batch cost in which a sample was made, noted when it was made.

Rows: seconds from handing the batch to the checkpoint until its samples were there, samples in the
batch, and the most bytes that had been held by then (on the GPU where there is one, if more than by
the process). Samples that come from the ledger bring the cost of their making, on the machine that
made them, whose processor is part of the identity.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from geneval.extractors.extractor import Layer, extractor
from geneval.machine import processor
from geneval.samples.sampleset import COST, Batch
from geneval.signature import Scalar


class GenerationCost:
    """The columns that a checkpoint's samples bring, as a layer."""

    labels = None
    notes: tuple[str, ...] = ()
    layers: Mapping[str, Layer] = {"cost": Layer("cost", len(COST), COST)}

    def __init__(self, device: str) -> None:
        self.device = device

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The processor; other ones are not comparable."""
        return {"ext": "generation-cost", "processor": processor(self.device)}

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """Seconds, samples and bytes [b, 3]."""
        return {"cost": np.array([batch.columns[name] for name in COST], dtype=np.float32).T}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is out of place."""
        return ""


@extractor("generation-cost")
def generation_cost(*, device: str = "cpu") -> GenerationCost:
    """Seconds and memory of the batch a sample was generated in."""
    return GenerationCost(device)
