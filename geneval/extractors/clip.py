"""`clip-vit-b-32`, `clip-vit-l-14`, `clip-vit-l-14-336`: images and texts in one space.

OpenAI's CLIP in open_clip's code with its quick GELU: layers `image` and `text` (512, 768, 768
wide, not normalised) of the fields `image` and `prompt`, and `source_image` and `source_text` of
`source_image` and `source_prompt`, for edits. Images are fed as in open_clip (preset `clip`); texts
are lower-cased and cut after 77 tokens, as there.

Weights are OpenAI's files or open_clip's. OpenAI's are TorchScript archives, which can run code:
one is read only when its SHA-256 says that it is the published file.

Sources: Radford et al. 2021, arXiv:2103.00020; open_clip 3 (MIT).
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geneval.checkpoint import load_tensors
from geneval.errors import CheckpointError
from geneval.extractors.extractor import Layer, extractor
from geneval.extractors.network import Network, NetworkExtractor, full_precision
from geneval.extractors.preprocess import Preset, standardised
from geneval.extractors.runtime import ON_CPU, Running
from geneval.extractors.torchvision_schemas import declare_schemas
from geneval.extractors.weights import is_published
from geneval.ledger import file_digest
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar

if TYPE_CHECKING:
    import torch

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
TEXTS = 256  # texts through the network at a time
_SIZES = ("input_resolution", "context_length", "vocab_size")  # that OpenAI's files hold as tensors


class Clip(NetworkExtractor):
    """Both towers; each layer is made of its own field. `prefix` is put before every text."""

    def __init__(
        self, network: Network, preset: Preset, running: Running, weights: Path | None, prefix: str
    ) -> None:
        super().__init__(network, preset, running, weights)
        self.prefix = prefix

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """Weights, resize rule, precision, and the prefix if there is one."""
        return {**super().identity, **({"prefix": self.prefix} if self.prefix else {})}

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """The layers of the images and texts of a batch."""
        made = {}
        for name in layers:
            (field,) = self.layers[name].reads
            column = batch.columns[field]
            is_text = name in ("text", "source_text")
            made[name] = self._of_texts(column) if is_text else self.of_images(column)["image"]
        return made

    def _of_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of texts, each different one made once."""
        import torch

        net = self.loaded()
        from open_clip import SimpleTokenizer  # imports torchvision, as loading has prepared

        tokens = SimpleTokenizer()
        different = [f"{self.prefix}{text}" for text in dict.fromkeys(texts)]
        row = {text: i for i, text in enumerate(different)}
        parts = []
        with torch.inference_mode(), full_precision():
            for start in range(0, len(different), TEXTS):
                chunk = tokens(different[start : start + TEXTS]).to(self.running.device)
                parts.append(net.encode_text(chunk).float().cpu().numpy())  # type: ignore[operator]
        rows: NDArray[np.float32] = np.concatenate(parts)[
            [row[self.prefix + text] for text in texts]
        ]
        return rows


def network(model: str) -> torch.nn.Module:
    """The untrained network by open_clip's name: pixels to the image embedding."""
    declare_schemas()  # open_clip imports torchvision
    import open_clip
    from open_clip.model import CLIP

    class Towers(CLIP):  # type: ignore[misc]
        def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"image": self.encode_image(pixels)}

    return Towers(**open_clip.get_model_config(model))


def tensors(name: str, path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file; of a TorchScript archive only if it is the published one."""
    if not _is_script(path):
        found = load_tensors(path)
    elif is_published(name, file_digest(path)):
        import torch

        found = dict(torch.jit.load(path, "cpu").state_dict())
    else:
        raise CheckpointError(
            f"{path} is a TorchScript archive, which can run code, and not the published one of "
            f"{name}; save its tensors as safetensors"
        )
    return {key: tensor for key, tensor in found.items() if key not in _SIZES}


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def scaled(pixels: torch.Tensor, preset: Preset) -> torch.Tensor:
    """Pixels in 0..255, standardised as OpenAI's images were."""
    return standardised(pixels, MEAN, STD)


def _register(name: str, model: str, side: int, width: int) -> None:
    declared = Network(
        name=name,
        side=side,
        layers={
            "image": Layer("features", width),
            "text": Layer("text", width, ("prompt",)),
            "source_image": Layer("source_image", width, ("source_image",)),
            "source_text": Layer("source_text", width, ("source_prompt",)),
        },
        build=partial(network, model),
        scale=scaled,
        load=partial(tensors, name),
    )

    def build(
        *,
        preset: Preset = "clip",
        prefix: str = "",
        running: Running = ON_CPU,
        weights: Path | None = None,
    ) -> Clip:
        return Clip(declared, preset, running, weights, prefix)

    build.__doc__ = f"OpenAI's CLIP {name[5:]} ({side} px): image and text embeddings ({width})."
    extractor(name)(build)


for _name, _model, _side, _width in (
    ("clip-vit-b-32", "ViT-B-32-quickgelu", 224, 512),
    ("clip-vit-l-14", "ViT-L-14-quickgelu", 224, 768),
    ("clip-vit-l-14-336", "ViT-L-14-336-quickgelu", 336, 768),
):
    _register(_name, _model, _side, _width)
