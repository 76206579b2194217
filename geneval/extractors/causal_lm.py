"""`causal-lm:NAME_OR_PATH`: how likely a causal language model of transformers finds each text.

The layer `likelihood` holds log p of a text (natural logarithm, summed over its tokens) and how
many tokens it has. Every token counts, the first one given the token that begins a text (BOS, else
EOS). `conditional: true` gives log p of the text after its `prompt`: the prompt's tokens, then
those of `separator` and text, of which only the latter two count.

A text longer than `max_length` (of the model, unless set) is read through windows of that length,
each `stride` tokens further on (half a window, unless set): every token is scored once, in the
first window that has it.

Source: transformers (Apache-2.0); windows as in its guide to perplexity.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from geneval.errors import CheckpointError, UsageError
from geneval.extractors import models
from geneval.extractors.extractor import Builder, Layer, family
from geneval.extractors.network import full_precision
from geneval.extractors.runtime import ON_CPU, Running
from geneval.options import AtLeast
from geneval.samples.sampleset import TEXT, Batch
from geneval.signature import Digest, Scalar

TOKENS = {"cpu": 2**9, "cuda": 2**12}  # at a time, with filling; more fills a CPU's caches
Window = tuple[int, int, int]  # begin, the first token that is scored, end


class CausalLm:
    """A causal language model; its network is loaded with the first batch."""

    labels = None
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        folder: Path,
        running: Running,
        max_length: int | None,
        stride: int | None,
        separator: str | None,
    ) -> None:
        self.name, self.folder, self.running = name, folder, running
        self.separator = separator
        self._config = models.load_config(f"extractor {name}", folder)
        self._asked = max_length, stride
        self._digest: Digest = models.folder_digest(folder)

    def __getstate__(self) -> dict[str, Any]:
        loaded = ("_net", "tokenizer")
        return {key: one for key, one in self.__dict__.items() if key not in loaded}

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The model's files, its windows, what texts are given, and precision."""
        length, stride = self.window
        return {
            "ext": self.name,
            "weights": self._digest,
            "max_length": length,
            "stride": stride,
            "given": "start" if self.separator is None else f"prompt+{self.separator!r}",
            "prec": self.running.precision,
        }

    @property
    def layers(self) -> Mapping[str, Layer]:
        """log p and tokens of a text."""
        reads = (TEXT,) if self.separator is None else (TEXT, "prompt")
        return {"likelihood": Layer("likelihood", 2, reads)}

    @cached_property
    def tokenizer(self) -> Any:
        """What cuts texts into tokens."""
        return models.load_tokenizer(f"extractor {self.name}", self.folder)

    @cached_property
    def window(self) -> tuple[int | None, int | None]:
        """Tokens of a window, and how far windows lie apart; None where one holds every text."""
        length, stride = self._asked
        most = models.most_tokens(self._config, self.tokenizer)
        length = models.checked_length(self.name, length, most)
        if length is None:
            return None, None
        if stride is not None and stride >= length:
            told = f"stride = {stride} must be below the length of a window, {length}"
            raise UsageError(f"extractor {self.name}: {told}")
        return length, stride or length // 2

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """log p and number of tokens [b, 2] of the texts of a batch."""
        import torch

        texts = batch.columns[TEXT]
        prompts = batch.columns["prompt"] if self.separator is not None else [""] * len(texts)
        before = [[self._start, *own] for own in self._tokenised(prompts)]
        behind = self._tokenised([(self.separator or "") + text for text in texts])
        whole = [one + other for one, other in zip(before, behind, strict=True)]
        windows = [
            (row, window)
            for row, ids in enumerate(whole)
            for window in _windows(len(ids), len(before[row]), *self.window)
        ]
        rows = np.array([[0.0, len(own)] for own in behind])
        lengths = [end - begin for _, (begin, _, end) in windows]
        budget = TOKENS.get(self.running.device, TOKENS["cpu"])
        with torch.inference_mode(), full_precision():
            for chunk in models.of_like_length(lengths, budget):
                some = [windows[i] for i in chunk]
                scores = self._scored([(whole[row], window) for row, window in some])
                for (row, _), score in zip(some, scores, strict=True):
                    rows[row, 0] += score
        return {"likelihood": rows.astype(np.float32)}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is known of which texts are out of place."""
        return ""

    def _scored(self, windows: Sequence[tuple[list[int], Window]]) -> Iterator[float]:
        """Summed log p of the tokens that each window scores."""
        from torch.nn.functional import cross_entropy

        own = [ids[begin:end] for ids, (begin, _, end) in windows]
        tokens, mask = models.padded(own, 0, self.running.device)
        logits = self._net(input_ids=tokens, attention_mask=mask).logits
        for row, (_, (begin, first, end)) in enumerate(windows):
            said = logits[row, first - begin - 1 : end - begin - 1].float()
            wanted = tokens[row, first - begin : end - begin]
            yield -float(cross_entropy(said, wanted, reduction="sum"))

    def _tokenised(self, texts: Sequence[str]) -> list[list[int]]:
        made = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)
        found: list[list[int]] = made["input_ids"]
        return found

    @cached_property
    def _start(self) -> int:
        """The token that the first one of a text is given."""
        ids = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
        found = next((one for one in ids if one is not None), None)
        if found is None:
            told = "its tokeniser has no token that begins or ends a text"
            raise CheckpointError(f"extractor {self.name}: {told}")
        return int(found)

    @cached_property
    def _net(self) -> Any:
        """The network on its device."""
        return models.load_model(
            "AutoModelForCausalLM", f"extractor {self.name}", self.folder, self.running
        )


def _windows(n: int, first: int, length: int | None, stride: int | None) -> Iterator[Window]:
    """Windows over n tokens, of which those from `first` on are scored, each once."""
    begin = 0
    while first < n:
        end = n if length is None else min(begin + length, n)
        if end > first:
            yield begin, first, end
            first = end
        begin += stride or 0


@family("causal-lm")
def causal_lm(model: str) -> Builder:
    """Any causal language model of transformers, by folder or name on the hub."""
    asked = f"causal-lm:{model}"

    def build(
        *,
        max_length: Annotated[int | None, AtLeast(2)] = None,
        stride: Annotated[int | None, AtLeast(1)] = None,
        conditional: bool = False,
        separator: str = " ",
        running: Running = ON_CPU,
        weights: Path | None = None,
    ) -> CausalLm:
        models.require_package(f"extractor {asked}", "transformers")
        folder, name = models.model_folder(asked, weights), models.short_name(asked)
        given = separator if conditional else None
        return CausalLm(name, folder, running, max_length, stride, given)

    return build
