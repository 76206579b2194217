"""`clip-vit-b-32`, `clip-vit-l-14`, `clip-vit-l-14-336`: images and texts in one space.

OpenAI's CLIP in open_clip's code with its quick GELU: layers `image` and `text` (512, 768, 768
wide, not normalised) of the fields `image` and `prompt`, and `source_image` and `source_text` of
`source_image` and `source_prompt`, for edits. Images are fed as in open_clip (preset `clip`); texts
are lower-cased and cut after 77 tokens, as there.

With `classes` it is a classifier without training: layer `logits` holds the cosines of an image
with the text of each class, times CLIP's own scale, so that labels of any names can be predicted.
The text is the `template` with the class in place of {}; `classes: {n01440764: tench}` says in
which words a label is put.

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
from geneval.data import LabelSpace
from geneval.errors import CheckpointError, UsageError
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
    """Both towers; each layer is made of its own field. `prefix` is put before every text.

    `asked` are the texts of the classes by name, of which the layer `logits` is made, if any.
    """

    def __init__(
        self,
        network: Network,
        preset: Preset,
        running: Running,
        weights: Path | None,
        prefix: str = "",
        asked: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(network, preset, running, weights)
        self.prefix = prefix
        self.asked = dict(asked or {})
        self._classes: NDArray[np.float32] | None = None

    @property
    def labels(self) -> LabelSpace | None:  # type: ignore[override]
        """The classes that it was given."""
        return LabelSpace(tuple(self.asked)) if self.asked else None

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Those of the towers, and the logits of the classes if there are any."""
        own = {"logits": Layer("logits", len(self.asked))} if self.asked else {}
        return {**super().layers, **own}

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """Weights, resize rule, precision; prefix and the texts of classes if there are any."""
        asked = ", ".join(f"{name}: {text}" for name, text in self.asked.items())
        own = {"prefix": self.prefix, "classes": asked}
        return {**super().identity, **{name: text for name, text in own.items() if text}}

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """The layers of the images and texts of a batch; an image's logits bring its embedding."""
        made = {}
        for name in layers:
            if name == "logits":
                continue
            (field,) = self.layers[name].reads
            column = batch.columns[field]
            is_text = name in ("text", "source_text")
            made[name] = self._of_texts(column) if is_text else self.of_images(column)["image"]
        if "logits" in layers:
            if "image" not in made:
                made["image"] = self.of_images(batch.columns["image"])["image"]
            made["logits"] = self._logits(made["image"])
        return made

    def _logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scaled cosines [b, classes] of embedded images [b, d]."""
        if self._classes is None:
            self._classes = _unit(self._of_texts(list(self.asked.values())))
        scale = np.float32(self.loaded().logit_scale.exp().item())  # type: ignore[operator]
        return np.asarray(scale * _unit(images) @ self._classes.T, dtype=np.float32)

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


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows [b, d] scaled to length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def texts_of(classes: Sequence[str] | Mapping[str, str], template: str) -> dict[str, str]:
    """What is asked for each class; raises `UsageError` for what no classes can be made of."""
    words = dict(classes) if isinstance(classes, Mapping) else {name: name for name in classes}
    if len(words) < 2 or len(words) < len(classes):
        raise UsageError("classes: name at least two, each once")
    if "{}" not in template:
        raise UsageError(f"template {template!r} has no {{}} where the class is to stand")
    return {name: template.replace("{}", word) for name, word in words.items()}


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
        classes: list[str] | dict[str, str] | None = None,
        template: str = "a photo of a {}.",
        running: Running = ON_CPU,
        weights: Path | None = None,
    ) -> Clip:
        asked = None if classes is None else texts_of(classes, template)
        return Clip(declared, preset, running, weights, prefix, asked)

    build.__doc__ = f"OpenAI's CLIP {name[5:]} ({side} px): image and text embeddings ({width})."
    extractor(name)(build)


for _name, _model, _side, _width in (
    ("clip-vit-b-32", "ViT-B-32-quickgelu", 224, 512),
    ("clip-vit-l-14", "ViT-L-14-quickgelu", 224, 768),
    ("clip-vit-l-14-336", "ViT-L-14-336-quickgelu", 336, 768),
):
    _register(_name, _model, _side, _width)
