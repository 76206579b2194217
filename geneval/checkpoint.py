"""Checkpoints that generate: requests in, samples out, each request with a seed of its own.

An adapter is a function `load(path, device) -> Generator`, named `module:function` or registered as
an entry point of the group `geneval.adapters`; typed keyword-only parameters of it are options that
a suite may set (`generate: {options: …}`). It decides what the path means; geneval decides what is
asked, so that batch size and number of workers change a sample by rounding at most.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from geneval.errors import CheckpointError, GenevalError, SampleError, UsageError, unknown
from geneval.ledger import file_digest, walk
from geneval.machine import peak_memory
from geneval.options import checked
from geneval.plugins import named_function
from geneval.samples.arrays import from_memory
from geneval.samples.requests import RequestSet, request_seed
from geneval.samples.sampleset import COST, TEXT, WRITTEN, Batch, FieldType, SampleSet
from geneval.samples.texts import REFERENCES, TextSet
from geneval.signature import Digest, digest
from geneval.source import source_of
from geneval.value import Ids

if TYPE_CHECKING:
    import torch

PICKLED = (".pkl", ".pickle")
_STEP = "step|checkpoint|ckpt|iter"  # words with the step after them
TORCH_FILES = (".pt", ".pth", ".bin", ".ckpt")


@dataclass(frozen=True)
class Generator:
    """What an adapter returns.

    `generate(batch)` gets `batch.columns` with `seed` (an integer a request, below 2^63); when
    `classes` are given, `label` (a class name a request); when the suite has prompts, `prompt`
    (a text a request); when the shape of a `latent` is given,
    `latent` (a float32 array of that shape a request, standard normal, drawn from its seed). It
    returns images in the order of the requests: a tensor [b, c, h, w] or an array [b, h, w, c],
    uint8 or floats in 0..1.

    Under a suite of texts `batch.columns` are those of the prompts' records (`prompt`, `source`,
    `turns`, …, never the references) and `seed`; it returns a text a request, or a mapping with
    `hypothesis` and what else is to stand in the record, such as `finish_reason`.

    `forward(latents, batch)`, where there is one, is the same map from latents, a float tensor
    [b, *latent], to images, a float tensor [b, c, h, w] in 0..1 that carries the gradient.
    """

    generate: Callable[[Batch], Any]
    classes: Sequence[str] | None = None
    latent: Sequence[int] | None = None
    forward: Callable[[torch.Tensor, Batch], torch.Tensor] | None = None


Adapter = Callable[..., Generator]


class Checkpoint(Protocol):
    """A model that generates. `step` orders checkpoints, `seed` tells replicates apart."""

    @property
    def name(self) -> str:
        """Name in paths and reports."""

    @property
    def step(self) -> int | None:
        """Training step, if known."""

    @property
    def seed(self) -> int | None:
        """Training seed, if known."""

    @property
    def digest(self) -> Digest:
        """Identity of weights and adapter source."""

    def inputs(self, n: int, seed: int, prompts: Sequence[str] | None = None) -> SampleSet:
        """n requests, or as many as there are prompts if they are fewer."""

    def raw(self, inputs: Batch) -> Any:
        """What the adapter gives for requests, as it gives it: floats stay floats."""

    @property
    def has_gradient(self) -> bool:
        """Whether `forward` is there to be called."""

    def forward(self, latents: torch.Tensor, inputs: Batch) -> torch.Tensor:
        """Images of requests with these latents in place of their own, with their gradient."""

    def generate(self, inputs: Batch) -> Batch:
        """One image for every request, with what its batch cost."""

    def write(self, inputs: Batch) -> list[dict[str, Any]]:
        """What is written at every request: a record with `hypothesis` and its batch's cost."""


class AdaptedCheckpoint:
    """A checkpoint behind an adapter, loaded when first used (and anew in every process)."""

    def __init__(
        self,
        path: Path,
        adapter: str,
        device: str = "cpu",
        repeats: int = 1,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.adapter = adapter
        self.device = device
        self.repeats = repeats
        self.options = checked(f"adapter {adapter}", _adapter(adapter), options or {})
        self.name = name_of(path)
        self.step = step_of(self.name)
        self.seed = _number("seed", self.name)
        own = {"options": self.options} if self.options else {}
        self.digest = digest({"weights": _path_digest(path), "adapter": _identity(adapter), **own})
        self._generator: Generator | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_generator": None}

    @property
    def generator(self) -> Generator:
        """What the adapter makes of the path; raises `CheckpointError` when it cannot."""
        if self._generator is None:
            load = _adapter(self.adapter)
            try:
                loaded: object = load(self.path, self.device, **self.options)
            except GenevalError:
                raise
            except Exception as error:  # the adapter is the user's code: any type can come out
                raise CheckpointError(
                    f"adapter {self.adapter} cannot load {self.path}: "
                    f"{type(error).__name__}: {error}"
                ) from error
            if not isinstance(loaded, Generator):
                kind = type(loaded).__name__
                raise CheckpointError(
                    f"adapter {self.adapter} returned a {kind}, not a geneval.Generator"
                )
            self._generator = loaded
        return self._generator

    def inputs(self, n: int, seed: int, prompts: Sequence[str] | None = None) -> SampleSet:
        """n requests, classes in turn; `repeats` of them for each request id or prompt."""
        made = self.generator
        return RequestSet(n, seed, made.classes, self.repeats, made.latent, prompts)

    def raw(self, inputs: Batch) -> Any:
        """What the adapter gives for requests; raises `CheckpointError` when it fails."""
        with self._blamed():
            made = self.generator.generate(inputs)
        if made is None:
            raise CheckpointError(f"{self.name}: the adapter's generate returned None")
        return made

    @property
    def has_gradient(self) -> bool:
        """Whether the adapter gives images with their gradient."""
        return self.generator.forward is not None

    def forward(self, latents: torch.Tensor, inputs: Batch) -> torch.Tensor:
        """Images that carry a gradient; raises `CheckpointError` where the adapter has none."""
        how = self.generator.forward
        if how is None:
            raise CheckpointError(f"{self.name}: adapter {self.adapter} gives no gradient")
        with self._blamed():
            return how(latents, inputs)

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """What goes wrong in the block, the user's code, as a `CheckpointError`."""
        try:
            yield
        except GenevalError:
            raise
        except Exception as error:  # as above
            raise CheckpointError(
                f"{self.name} failed to generate: {type(error).__name__}: {error}"
            ) from error

    def generate(self, inputs: Batch) -> Batch:
        """The images of these requests, with the requests' own fields and what they cost."""
        images, seconds = self._timed(inputs)
        try:
            made = from_memory(images, name=f"images of {self.name}")
        except SampleError as error:
            raise CheckpointError(str(error)) from error
        if len(made.ids) != len(inputs.ids):
            raise CheckpointError(
                f"{self.name} made {len(made.ids)} images for {len(inputs.ids)} requests"
            )
        pixels = made.read(made.ids).columns["image"]
        cost = _cost(seconds, len(inputs.ids))
        return Batch(inputs.ids, {**inputs.columns, **cost, "image": pixels})

    def write(self, inputs: Batch) -> list[dict[str, Any]]:
        """The records written at these requests; raises `CheckpointError` for what is no text."""
        made, seconds = self._timed(inputs)
        if isinstance(made, str) or not hasattr(made, "__len__") or len(made) != len(inputs.ids):
            told = "a single text" if isinstance(made, str) else f"{type(made).__name__}"
            told = f"{len(made)} texts" if isinstance(made, list | tuple) else told
            raise CheckpointError(
                f"{self.name}: the adapter's generate returned {told} for {len(inputs.ids)} "
                "requests; under a suite of texts it returns a list with one text a request"
            )
        records = [dict(one) if isinstance(one, Mapping) else {"hypothesis": one} for one in made]
        cost = _cost(seconds, len(records))
        for row, (sample, record) in enumerate(zip(inputs.ids, records, strict=True)):
            record.update({name: cells[row] for name, cells in cost.items()})
            if not isinstance(record.get("hypothesis"), str | None):
                kind = type(record["hypothesis"]).__name__
                raise CheckpointError(f"{self.name} wrote a {kind} at {sample}, no text")
        return records

    def _timed(self, inputs: Batch) -> tuple[Any, float]:
        """What the adapter gives for requests, and in how many seconds once it is loaded."""
        _ = self.generator
        started = time.perf_counter()
        made = self.raw(inputs)
        if hasattr(made, "cpu"):  # a tensor that may still be on its way
            made = made.cpu()
        return made, time.perf_counter() - started


def _cost(seconds: float, n: int) -> dict[str, list[float]]:
    """The columns that say what a batch of n samples cost, the same in each row."""
    return {
        name: [float(cell)] * n
        for name, cell in zip(COST, (seconds, n, max(peak_memory().values())), strict=True)
    }


class LiveCheckpoint(AdaptedCheckpoint):
    """A model in memory, as it is now. What it makes is remembered for no other moment of it."""

    def __init__(
        self, generator: Generator, name: str, step: int | None, seed: int | None, repeats: int
    ) -> None:
        self.name, self.step, self.seed = name, step, seed
        self.repeats = repeats
        self.digest = digest({"live": uuid.uuid4().hex})
        self._generator = generator


class GeneratedSet:
    """The samples a checkpoint makes of requests, made when read and only then."""

    conventions: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()

    def __init__(self, checkpoint: Checkpoint, inputs: SampleSet) -> None:
        self.checkpoint = checkpoint
        self.inputs = inputs
        self._content: list[Digest] | None = None

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    @property
    def ids(self) -> Ids:
        """The ids of the requests."""
        return self.inputs.ids

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The image, the fields of the requests, and what a sample's batch cost."""
        return {**self.inputs.fields, **dict.fromkeys(COST, "cost"), "image": "image"}

    @property
    def requested_labels(self) -> bool:
        """Labels are what was asked for."""
        return self.inputs.requested_labels

    def content(self) -> Sequence[Digest]:
        """What each sample follows from: checkpoint and request."""
        if self._content is None:
            maker, asked = self.checkpoint.digest, self.inputs.content()
            self._content = [digest({"checkpoint": maker, "request": one}) for one in asked]
        return self._content

    def locate(self, sample: str) -> str:
        """The checkpoint and the request's id."""
        return f"{self.name}, request {sample}"

    def column(self, name: str) -> Sequence[Any]:
        """A field of the requests."""
        return self.inputs.column(name)

    def read(self, ids: Ids) -> Batch:
        """Generate the samples of these requests."""
        return self.checkpoint.generate(self.inputs.read(ids))


class GeneratedTexts:
    """The texts a checkpoint is to write at prompts, `repeats` at each: a plan's stand-in for them.

    What it has of every record is known, and nothing is written yet: `geneval.engine.writing` asks
    for the texts and makes a set of them.
    """

    conventions: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    requested_labels = True

    def __init__(self, checkpoint: Checkpoint, prompts: TextSet, repeats: int, seed: int) -> None:
        self.checkpoint = checkpoint
        self.prompts = prompts
        self.repeats = repeats
        self.seed = seed
        self._asked = [n for n in prompts.fields if n not in (REFERENCES, TEXT, *WRITTEN[:2])]

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    @property
    def ids(self) -> Ids:
        """The ids of the prompts."""
        return self.prompts.ids

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The fields of the prompts, and of what will be written."""
        made: dict[str, FieldType] = {"hypothesis": "text", TEXT: "text"}
        made |= {"samples": "texts"} if self.repeats > 1 else {}
        return {**self.prompts.fields, **dict.fromkeys(COST, "cost"), **made}

    def requests(self, ids: Ids, repeat: int) -> Batch:
        """What the checkpoint is asked at some prompts for the repeat-th time."""
        read = self.prompts.column
        rows = [self.prompts.row(sample) for sample in ids]
        columns: dict[str, Sequence[Any]] = {
            name: [read(name)[row] for row in rows] for name in self._asked
        }
        names = [f"{sample}-r{repeat:04d}" if self.repeats > 1 else sample for sample in ids]
        return Batch(ids, {**columns, "seed": [request_seed(self.seed, one) for one in names]})

    def content(self) -> Sequence[Digest]:
        """What each text follows from: checkpoint, prompt, seeds."""
        return [
            digest(
                {
                    "checkpoint": self.checkpoint.digest,
                    "asked": {name: self.prompts.column(name)[row] for name in self._asked},
                    "seed": request_seed(self.seed, sample),
                    "repeats": self.repeats,
                }
            )
            for row, sample in enumerate(self.ids)
        ]

    def locate(self, sample: str) -> str:
        """The checkpoint and the prompt."""
        return f"{self.name}, prompt {self.prompts.locate(sample)}"

    def column(self, name: str) -> Sequence[Any]:
        """A field of the prompts."""
        return self.prompts.column(name)

    def read(self, ids: Ids) -> Batch:
        """Nothing: there are no texts before they are asked for."""
        raise AssertionError(f"{self.name} has written nothing yet")


def load_checkpoint(
    path: Path,
    adapter: str,
    device: str = "cpu",
    repeats: int = 1,
    allow_pt: bool = False,
    options: Mapping[str, Any] | None = None,
) -> AdaptedCheckpoint:
    """The checkpoint at a path; formats that can run code are refused."""
    if not path.exists():
        raise UsageError(f"checkpoint {path} does not exist")
    if path.suffix in PICKLED:
        raise CheckpointError(f"{path} is a pickle, which can run code; save it as safetensors")
    if path.suffix in TORCH_FILES and not allow_pt:
        raise UsageError(
            f"{path}: give --allow-pt to read a torch file (weights only), or save safetensors"
        )
    return AdaptedCheckpoint(path, adapter, device, repeats, options)


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Named tensors of a safetensors file, or of a torch file read with `weights_only=True`."""
    from safetensors.torch import load_file

    try:
        if path.suffix in TORCH_FILES:
            import torch

            state: dict[str, torch.Tensor] = torch.load(path, "cpu", weights_only=True)
            return state
        return load_file(path)
    except Exception as error:  # torch raises a dozen types on files it cannot or will not read
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read: {reason}") from error


def load_into(module: torch.nn.Module, path: Path) -> None:
    """Fill a module with the tensors of a file; each must be there, fit, and be expected."""
    tensors, wanted = load_tensors(path), module.state_dict()
    missing = sorted(set(wanted) - set(tensors))
    surplus = sorted(set(tensors) - set(wanted))
    if missing:
        raise CheckpointError(f"{path} lacks the tensor {missing[0]!r} ({len(missing)} missing)")
    if surplus:
        raise CheckpointError(f"{path} has a tensor {surplus[0]!r} that the model does not know")
    for name, tensor in wanted.items():
        if tensors[name].shape != tensor.shape:
            raise CheckpointError(
                f"{path}: tensor {name!r} has shape {tuple(tensors[name].shape)}, "
                f"the model wants {tuple(tensor.shape)}"
            )
    module.load_state_dict(tensors)


def known_adapters() -> dict[str, str]:
    """Registered adapter names and what they stand for."""
    return {point.name: point.value for point in entry_points(group="geneval.adapters")}


def _adapter(name: str) -> Adapter:
    """The adapter function of a registered name or of `module:function`."""
    found: Adapter = named_function("adapter", name, _written(name))
    return found


def _written(name: str) -> str:
    """An adapter as `module:function`; raises `UsageError` for a name that nobody registered."""
    written = known_adapters().get(name, name)
    if ":" not in written:
        raise UsageError(f"{unknown('adapter', name, known_adapters())}, or give module:function")
    return written


def _identity(name: str) -> Digest:
    """Digest of an adapter: the function's name and the source it lies in."""
    return digest([_written(name), source_of(_adapter(name))])


def step_of(name: str) -> int | None:
    """The training step that a name tells: step-1000, checkpoint_2000, iter3000."""
    return _number(_STEP, name)


def name_of(path: Path) -> str:
    """A checkpoint's name: the file's, or its folder's where only that tells step or seed."""
    own = path.stem if path.is_file() else path.name
    folder = path.resolve().parent.name
    tells = f"{_STEP}|seed"
    above = _number(tells, own) is None and _number(tells, folder) is not None
    return folder if path.is_file() and above else own


def _number(words: str, name: str) -> int | None:
    """The number after one of the words in a name: step-1000, checkpoint_2000, seed=3."""
    match = re.search(rf"(?:^|[^A-Za-z])(?:{words})[-_=]?(\d+)", name)
    return int(match[1]) if match else None


def _path_digest(path: Path) -> Digest:
    if path.is_file():
        return file_digest(path)
    files = sorted(folder / name for folder, names in walk(path) for name in names)
    return digest({p.relative_to(path).as_posix(): file_digest(p) for p in files})
