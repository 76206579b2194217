"""Requests to a checkpoint: what each generated sample is asked for.

Everything a request holds follows from the run's seed and its own id, so that no batch, worker or
neighbour changes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geneval.samples.sampleset import Batch, FieldType, rows_of
from geneval.signature import Digest, digest
from geneval.value import Ids


class RequestSet:
    """Requests: an id, a seed each, a label where the model has classes, a latent where it has."""

    requested_labels = True
    conventions: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    name = "requests"

    def __init__(
        self,
        n: int,
        seed: int,
        classes: Sequence[str] | None = None,
        repeats: int = 1,
        latent: Sequence[int] | None = None,
    ) -> None:
        self.seed = seed
        self._latent = None if latent is None else tuple(latent)
        self.ids: Ids = tuple(
            f"{i:08d}" + (f"-r{r:04d}" if repeats > 1 else "")
            for i in range(n)
            for r in range(repeats)
        )
        self._rows = rows_of(self.ids)
        self._seeds = [request_seed(seed, sample) for sample in self.ids]
        self._labels = (
            [str(classes[row // repeats % len(classes)]) for row in range(len(self.ids))]
            if classes
            else None
        )

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """Seed, label where there are classes, latent where the model takes one."""
        fields: dict[str, FieldType] = {"seed": "seed"}
        fields |= {"label": "label"} if self._labels else {}
        return fields | ({"latent": "latent"} if self._latent else {})

    def content(self) -> Sequence[Digest]:
        """What was asked."""
        labels: Sequence[str | None] = self._labels or [None] * len(self._seeds)
        return [
            digest({"seed": seed, "label": label, "latent": self._latent})
            for seed, label in zip(self._seeds, labels, strict=True)
        ]

    def locate(self, sample: str) -> str:
        """The request's id."""
        return f"request {sample}"

    def column(self, name: str) -> Sequence[Any]:
        """Seeds, labels or latents."""
        if name == "label" and self._labels:
            return self._labels
        if name == "seed":
            return self._seeds
        if name == "latent" and self._latent:
            return [latent_of(seed, self._latent) for seed in self._seeds]
        raise KeyError(name)

    def read(self, ids: Ids) -> Batch:
        """The requests of these ids."""
        rows = [self._rows[sample] for sample in ids]
        columns: dict[str, Sequence[Any]] = {"seed": [self._seeds[row] for row in rows]}
        if self._labels:
            columns["label"] = [self._labels[row] for row in rows]
        if self._latent:
            columns["latent"] = [latent_of(seed, self._latent) for seed in columns["seed"]]
        return Batch(ids, columns)


def request_seed(seed: int, sample: str) -> int:
    """The seed of one request: 63 bits of sha256(seed, id); the id carries the repeat."""
    material = hashlib.sha256(f"{seed}\0{sample}".encode()).digest()
    return int.from_bytes(material[:8], "big") >> 1


def latent_of(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The latent of a request: float32, standard normal, from NumPy's PCG64 at the seed."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
