"""`transformers:NAME_OR_PATH`: any encoder of texts that transformers knows.

`features` are the token states of a layer (`layer`, counted from 1; the last one unless set) pooled
to one row: their mean, special tokens included (`pooling: mean`), the first (`cls`) or the last
one (`last`, for decoders); `normalize: true` divides rows by their lengths. Texts are cut after
`max_length` tokens, unless set after as many as the model takes.

`bertscore` holds precision, recall and F1 of hypothesis and references, the best of the references
for each, on the same states; `idf: true` weighs tokens by the references of the samples.

Sources: transformers (Apache-2.0); Zhang et al. 2020, arXiv:1904.09675.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from geneval.errors import UsageError
from geneval.extractors import models
from geneval.extractors.bertscore import Tokens, Weights, best, matched
from geneval.extractors.extractor import Builder, Layer, family
from geneval.extractors.network import full_precision
from geneval.extractors.runtime import ON_CPU, Running
from geneval.extractors.texts import PAIRED, Rows, TextEncoder, unit
from geneval.options import AtLeast
from geneval.samples.sampleset import Batch
from geneval.signature import Digest, Scalar

if TYPE_CHECKING:
    import torch

Pooling = Literal["mean", "cls", "last"]
TOKENS = {"cpu": 2**9, "cuda": 2**14}  # at a time, with filling; more fills a CPU's caches
RECORDS = 64  # whose token states are held at a time


class HfEncoder(TextEncoder):
    """An encoder of transformers; its network is loaded with the first batch."""

    def __init__(
        self,
        name: str,
        folder: Path,
        running: Running,
        pooling: Pooling,
        layer: int | None,
        max_length: int | None,
        normalize: bool,
        idf: bool,
    ) -> None:
        self.name, self.folder, self.running = name, folder, running
        self.pooling, self.normalize = pooling, normalize
        self._config = models.load_config(f"extractor {name}", folder)
        depth = self._config.num_hidden_layers
        if layer is not None and layer > depth:
            raise UsageError(f"extractor {name}: layer = {layer}, the model has {depth}")
        self.hidden: int = layer or depth
        self._asked, self._idf = max_length, idf
        self._weights: Weights | None = None
        self._digest: Digest = models.folder_digest(folder)

    def __getstate__(self) -> dict[str, Any]:
        loaded = ("_net", "tokenizer")
        return {key: one for key, one in self.__dict__.items() if key not in loaded}

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The model's files, which states, how pooled, how weighed, and precision."""
        counted = self._weights.digest[:16] if self._weights else "of the references"
        return {
            "ext": self.name,
            "weights": self._digest,
            "hidden": self.hidden,
            "pooling": self.pooling,
            "max_length": self.max_length,
            "normalize": self.normalize,
            "idf": counted if self._idf else "no",
            "prec": self.running.precision,
        }

    @property
    def width(self) -> int:
        """That of the states."""
        return int(self._config.hidden_size)

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Those of all encoders, and the scores of matched tokens."""
        return {**super().layers, "bertscore": Layer("bertscore", 3, PAIRED)}

    @cached_property
    def tokenizer(self) -> Any:
        """What cuts texts into tokens."""
        return models.load_tokenizer(f"extractor {self.name}", self.folder)

    @cached_property
    def max_length(self) -> int | None:
        """Tokens of a text that are read."""
        most = models.most_tokens(self._config, self.tokenizer)
        return models.checked_length(self.name, self._asked, most)

    def learn_frequencies(self, references: Sequence[Sequence[str | None]]) -> None:
        """Take document frequencies from the references of the samples, where `idf` asks for it."""
        if self._idf:
            texts = [text for own in references for text in own if text is not None]
            self._weights = Weights.counted(self._matchable(texts))

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, Rows]:
        """The layers of a batch that are asked for."""
        made = dict(super().__call__(batch, layers))
        if "bertscore" in layers:
            records = list(zip(*(batch.columns[name] for name in PAIRED), strict=True))
            parts = [
                self._bertscore(records[start : start + RECORDS])
                for start in range(0, len(records), RECORDS)
            ]
            made["bertscore"] = np.concatenate(parts)
        return made

    def embed(self, texts: Sequence[str]) -> Rows:
        """Pooled states [n, width]."""
        rows = np.empty((len(texts), self.width), dtype=np.float32)
        for row, states in self._states(self._tokenised(texts)):
            rows[row] = _POOLED[self.pooling](states).cpu().numpy()
        return unit(rows).astype(np.float32) if self.normalize else rows

    def _bertscore(self, records: Sequence[tuple[str, Sequence[str | None]]]) -> Rows:
        """Precision, recall and F1 [n, 3] of hypotheses and their references."""
        pairs = [(made, [one for one in own if one is not None]) for made, own in records]
        different = list(dict.fromkeys(text for made, own in pairs for text in (made, *own)))
        tokens = dict(zip(different, self._tokens(different), strict=True))
        scores = [best(matched(tokens[made], tokens[one]) for one in own) for made, own in pairs]
        return np.array(scores, dtype=np.float32)

    def _tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of texts as BERTScore matches them."""
        import torch

        ids = self._matchable(texts)
        states = dict(self._states(ids))
        special = {self.tokenizer.cls_token_id, self.tokenizer.sep_token_id}
        weights = self._weights if self._idf else Weights(frozenset(special))
        assert weights is not None, "a run hands over the references before its passes"
        return [
            Tokens(
                torch.nn.functional.normalize(states[row], dim=1),
                torch.tensor(weights.of(own), device=self._device),
                not text.strip(),
            )
            for row, (own, text) in enumerate(zip(ids, texts, strict=True))
        ]

    def _matchable(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids without blanks around.

        Words of byte-level tokenisers begin with a space, the first one too: so were the scores and
        baselines made that are published, though with transformers 5 bert_score leaves it out.
        """
        lead = " " if _is_byte_level(self.tokenizer) else ""
        return self._tokenised([lead + text.strip() if text.strip() else "" for text in texts])

    def _tokenised(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with the special ones, cut; a text without any has the model's filling."""
        cut: dict[str, Any] = {"truncation": True, "max_length": self.max_length}
        found = self.tokenizer(list(texts), verbose=False, **(cut if self.max_length else {}))
        return [own or [self._pad] for own in found["input_ids"]]

    def _states(self, ids: Sequence[Sequence[int]]) -> Iterator[tuple[int, torch.Tensor]]:
        """States float32 [t, width] of every text's tokens, with its row, the longest first."""
        import torch

        budget = TOKENS.get(self.running.device, TOKENS["cpu"])
        with torch.inference_mode(), full_precision():
            for rows in models.of_like_length([len(own) for own in ids], budget):
                tokens, mask = models.padded([ids[row] for row in rows], self._pad, self._device)
                made = self._net(input_ids=tokens, attention_mask=mask, output_hidden_states=True)
                for row, states in zip(rows, made.hidden_states[self.hidden], strict=True):
                    yield row, states[: len(ids[row])].float()

    @property
    def _pad(self) -> int:
        return int(self.tokenizer.pad_token_id or 0)

    @property
    def _device(self) -> str:
        return self.running.device

    @cached_property
    def _net(self) -> Any:
        """The network on its device; of an encoder and a decoder the former."""
        net = models.load_model("AutoModel", f"extractor {self.name}", self.folder, self.running)
        return net.get_encoder() if self._config.is_encoder_decoder else net


def _is_byte_level(tokenizer: Any) -> bool:
    """Whether a tokeniser counts the space before a word as part of it, as GPT-2's does."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return "ByteLevel" in type(getattr(backend, "pre_tokenizer", None)).__name__


def _last(states: torch.Tensor) -> torch.Tensor:
    return states[-1]


def _first(states: torch.Tensor) -> torch.Tensor:
    return states[0]


def _mean(states: torch.Tensor) -> torch.Tensor:
    return states.mean(dim=0)


_POOLED = {"mean": _mean, "cls": _first, "last": _last}


@family("transformers")
def transformer(model: str) -> Builder:
    """Any encoder of transformers, by folder or name on the hub, which BERTScore needs."""
    asked = f"transformers:{model}"

    def build(
        *,
        pooling: Pooling = "mean",
        layer: Annotated[int | None, AtLeast(1)] = None,
        max_length: Annotated[int | None, AtLeast(3)] = None,
        normalize: bool = False,
        idf: bool = False,
        running: Running = ON_CPU,
        weights: Path | None = None,
    ) -> HfEncoder:
        models.require_package(f"extractor {asked}", "transformers")
        folder = models.model_folder(asked, weights)
        name = models.short_name(asked)
        return HfEncoder(name, folder, running, pooling, layer, max_length, normalize, idf)

    return build
