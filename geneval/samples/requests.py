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
    """Requests: an id and a seed each, and a label, a latent, a prompt where there are such.

    With `prompts` there are `repeats` requests of each of the first n.
    """

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
        prompts: Sequence[str] | None = None,
    ) -> None:
        self.seed = seed
        n = n if prompts is None else min(n, len(prompts))
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
        self._prompts = (
            [prompts[row // repeats] for row in range(len(self.ids))] if prompts else None
        )

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """Seed, label where there are classes, prompt, latent where the model takes one."""
        fields: dict[str, FieldType] = {"seed": "seed"}
        fields |= {"prompt": "text"} if self._prompts else {}
        fields |= {"label": "label"} if self._labels else {}
        return fields | ({"latent": "latent"} if self._latent else {})

    def content(self) -> Sequence[Digest]:
        """What was asked."""
        nothing: Sequence[str | None] = [None] * len(self._seeds)
        labels, prompts = self._labels or nothing, self._prompts or nothing
        return [
            digest({"seed": seed, "label": label, "latent": self._latent, "prompt": prompt})
            for seed, label, prompt in zip(self._seeds, labels, prompts, strict=True)
        ]

    def locate(self, sample: str) -> str:
        """The request's id."""
        return f"request {sample}"

    def column(self, name: str) -> Sequence[Any]:
        """Seeds, labels, prompts or latents."""
        if name == "prompt" and self._prompts:
            return self._prompts
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
        if self._prompts:
            columns["prompt"] = [self._prompts[row] for row in rows]
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
