"""What all encoders of texts share: an embedding per text, and the likeness of a record's texts.

A record's `features` are those of its one text (`written`). `similarity` is the cosine of the
hypothesis and the reference that is most like it, in −1..1. In a batch each different text is
embedded once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.extractors.extractor import Layer
from geneval.samples.sampleset import TEXT, Batch
from geneval.signature import Scalar

Rows = NDArray[np.float32]
PAIRED = ("hypothesis", "references")  # the fields that are compared


class TextEncoder(ABC):
    """An encoder of texts; a subclass says who it is, how wide, and embeds different texts."""

    labels = None
    notes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, Scalar]:
        """Declared fields for the signature."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers of an embedding."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Rows:
        """Embeddings float32 [n, width] of different texts."""

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Embeddings of the text of a record, and the likeness of hypothesis and references."""
        return {
            "features": Layer("features", self.width, (TEXT,)),
            "similarity": Layer("similarity", 1, PAIRED),
        }

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, Rows]:
        """The layers of a batch that are asked for."""
        made = {}
        if "features" in layers:
            made["features"] = self.of_texts(batch.columns[TEXT])
        if "similarity" in layers:
            made["similarity"] = self._similarity(*(batch.columns[name] for name in PAIRED))
        return made

    def of_texts(self, texts: Sequence[str]) -> Rows:
        """Embeddings [n, width], each different text embedded once."""
        different = list(dict.fromkeys(texts))
        row = {text: i for i, text in enumerate(different)}
        rows: Rows = self.embed(different)[[row[text] for text in texts]]
        return rows

    def caution(self, unlikeness: Rows) -> str:
        """Nothing is known of which texts are out of place."""
        return ""

    def _similarity(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str | None]]
    ) -> Rows:
        """The best cosine of each hypothesis with its references, [n, 1]."""
        wanted = [[text for text in texts if text is not None] for texts in references]
        given = [
            text for made, texts in zip(hypotheses, wanted, strict=True) for text in (made, *texts)
        ]
        x = unit(self.of_texts(given))
        best, start = np.empty((len(hypotheses), 1), dtype=np.float32), 0
        for row, texts in enumerate(wanted):
            end = start + 1 + len(texts)
            best[row] = (x[start + 1 : end] @ x[start]).max()
            start = end
        return best.clip(-1, 1)


def unit(x: NDArray[Any]) -> NDArray[np.float64]:
    """Rows divided by their lengths, in float64; NaN for rows without a direction."""
    rows = x.astype(np.float64)
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found
