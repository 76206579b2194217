"""`sentence-transformers:NAME_OR_PATH`: any model of the package sentence-transformers.

Embeddings are those of its `encode`, with whatever pooling, cutting and scaling the model declares;
`normalize: true` divides them by their lengths. Where the folder lies: `models.py`.

Source: Reimers and Gurevych 2019, arXiv:1908.10084; sentence-transformers (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geneval.extractors.extractor import Builder, family
from geneval.extractors.models import (
    folder_digest,
    load_dtype,
    loading,
    model_folder,
    require_package,
    short_name,
    unreadable,
)
from geneval.extractors.network import full_precision
from geneval.extractors.runtime import ON_CPU, Running
from geneval.extractors.texts import Rows, TextEncoder, unit
from geneval.signature import Digest, Scalar

TEXTS = {"cpu": 32, "cuda": 256}  # through the network at a time, the longest together


class SentenceEncoder(TextEncoder):
    """A model of sentence-transformers; it is loaded when its width is asked for."""

    def __init__(self, name: str, folder: Path, normalize: bool, running: Running) -> None:
        self.name = name
        self.folder = folder
        self.normalize = normalize
        self.running = running
        self._digest: Digest = folder_digest(folder)
        self._net: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_net": None}

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The model's files, scaling and precision."""
        return {
            "ext": self.name,
            "weights": self._digest,
            "normalize": self.normalize,
            "prec": self.running.precision,
        }

    @property
    def width(self) -> int:
        """What the model says."""
        net = self.loaded()
        named = getattr(net, "get_embedding_dimension", None)
        return int(named() if named else net.get_sentence_embedding_dimension())

    def embed(self, texts: Sequence[str]) -> Rows:
        """Embeddings [n, width] as `encode` makes them, of length 1 in any precision if asked."""
        with full_precision():
            made = self.loaded().encode(
                list(texts),
                batch_size=TEXTS.get(self.running.device, TEXTS["cpu"]),
                convert_to_tensor=True,
                show_progress_bar=False,
            )
        rows: Rows = made.float().cpu().numpy()
        return unit(rows).astype(np.float32) if self.normalize else rows

    def loaded(self) -> Any:
        """The model on its device."""
        if self._net is None:
            with loading():
                from sentence_transformers import SentenceTransformer

                try:
                    net = SentenceTransformer(
                        str(self.folder),
                        device=self.running.device,
                        local_files_only=True,
                        model_kwargs={"use_safetensors": True},
                    )
                except Exception as error:  # whatever the library makes of a strange folder
                    raise unreadable(f"extractor {self.name}", self.folder, error) from error
            self._net = net.to(dtype=load_dtype(self.running)).eval()
        return self._net


@family("sentence-transformers")
def sentence_transformer(model: str) -> Builder:
    """Any sentence encoder of sentence-transformers, by folder or name on the hub."""
    asked = f"sentence-transformers:{model}"

    def build(
        *, normalize: bool = False, running: Running = ON_CPU, weights: Path | None = None
    ) -> SentenceEncoder:
        require_package(f"extractor {asked}", "sentence_transformers")
        folder = model_folder(asked, weights)
        return SentenceEncoder(short_name(asked), folder, normalize, running)

    return build
