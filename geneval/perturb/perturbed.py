"""A sample set that went through perturbations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geneval.errors import UsageError
from geneval.perturb.perturbation import Applied
from geneval.resample import Context
from geneval.samples.sampleset import TEXT, Batch, FieldType, SampleSet, Wrapped, require
from geneval.signature import Digest, digest
from geneval.source import source_of
from geneval.value import Ids

# Where a perturbation goes that names no field: what was written, else what a model is asked.
_FIELDS = {"image": ("image",), "text": ("hypothesis", "prompt", "source"), "latent": ("latent",)}
_TYPES: Mapping[str, tuple[FieldType, ...]] = {
    "image": ("image",),
    "text": ("text", "texts"),
    "latent": ("latent",),
}


class Perturbed(Wrapped):
    """`base` with perturbations put to it in turn: to images, texts or latents.

    What is random in them follows from `seed`, the sample's id, the perturbation's name and how
    often it came before, and from nothing else. Raises `UsageError` for a field that the base does
    not have or that holds something else.
    """

    def __init__(self, base: SampleSet, steps: Sequence[Applied], seed: int = 0) -> None:
        super().__init__(base)
        self.seed = seed
        self.steps: dict[str, list[tuple[str, Applied]]] = {}  # by field, each with its stream
        count: dict[str, int] = {}
        for step in steps:
            before = count.setdefault(step.name, 0)
            count[step.name] += 1
            own = self.steps.setdefault(_field(base, step), [])
            own.append((f"{step.name}\0{before}", step))

    @property
    def name(self) -> str:
        """The base's name with what was done to it."""
        done = ", ".join(str(step) for own in self.steps.values() for _, step in own)
        return f"{self.base.name} after {done}"

    def content(self) -> Sequence[Digest]:
        """What each sample was, and what was done to it by which code."""
        done = {
            field: [[step.name, dict(step.options), source_of(step.spec.change)] for _, step in own]
            for field, own in self.steps.items()
        }
        before = zip(self.ids, self.base.content(), strict=True)
        return [
            digest({"of": one, "id": sample, "seed": self.seed, "done": done})
            for sample, one in before
        ]

    def column(self, name: str) -> Sequence[Any]:
        """A field of the base, perturbed where it is to be."""
        return self._perturbed(name, self.ids, self.base.column(name))

    def read(self, ids: Ids) -> Batch:
        """The samples of the base, perturbed."""
        batch = self.base.read(ids)
        columns = {
            name: self._perturbed(name, batch.ids, cells) for name, cells in batch.columns.items()
        }
        return Batch(batch.ids, columns, batch.bad)

    def _perturbed(self, name: str, ids: Ids, cells: Sequence[Any]) -> Sequence[Any]:
        """One column; the text that stands for a record follows what it was taken from."""
        if name == TEXT:
            name = "hypothesis" if "hypothesis" in self.base.fields else "references"
        own = self.steps.get(name, [])
        for stream, step in own:
            rngs = (Context(self.seed).generator(f"{stream}\0{sample}") for sample in ids)
            cells = [_change(step, cell, rng) for cell, rng in zip(cells, rngs, strict=True)]
        return cells


def _change(step: Applied, cell: Any, rng: Any) -> Any:
    """A cell perturbed: one of a list after the other, and what is missing not at all."""
    if isinstance(cell, list):
        return [_change(step, one, rng) for one in cell]
    return cell if cell is None else step(cell, rng)


def _field(base: SampleSet, step: Applied) -> str:
    """The field that a perturbation is put to."""
    kind = step.spec.kind
    known = _FIELDS[kind]
    name = step.field or next((one for one in known if one in base.fields), known[0])
    require(base, name)
    if name == TEXT or base.fields[name] not in _TYPES[kind]:
        raise UsageError(
            f"perturbation {step.name} is one of {kind}s, and {name} of {base.name} "
            f"is of type {base.fields[name]}"
        )
    return name
