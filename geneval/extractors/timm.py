"""`timm:MODEL`: the last features of any image network that timm knows, by its name.

Images are squashed to the model's own input size by Pillow's bicubic on bytes (preset `dino`, the
rule by which dgm-eval feeds all its networks) and standardised by the model's own mean and
deviation. The layer `features` is what timm gives before the classifier. Weights are a file: give
it in the suite (`weights: {timm:convnext_base: PATH}`) or add it with `geneval weights add`.
"""

from __future__ import annotations

import difflib
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geneval.checkpoint import load_tensors
from geneval.errors import UsageError
from geneval.extractors.extractor import Builder, Layer, family
from geneval.extractors.network import Network, NetworkExtractor, without_initial_values
from geneval.extractors.preprocess import Preset, Statistics, standardised
from geneval.extractors.runtime import ON_CPU, Running
from geneval.extractors.torchvision_schemas import declare_schemas

if TYPE_CHECKING:
    import torch


def network(model: str) -> torch.nn.Module:
    """The untrained network without its classifier: pixels to features [b, d]."""
    declare_schemas()  # timm imports torchvision
    import timm
    from torch import nn

    net: nn.Module = timm.create_model(model, num_classes=0)
    net.register_forward_hook(lambda module, given, made: {"features": made})
    return net


def tensors(model: str, path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file of timm's that the network without its classifier has."""
    classifier = declared_config(model).get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return {
        name: tensor
        for name, tensor in load_tensors(path).items()
        if not name.startswith(tuple(f"{head}." for head in heads))
    }


def declared_config(model: str) -> dict[str, Any]:
    """What timm says of a model: input size, mean, deviation, the classifier's name."""
    declare_schemas()
    import timm

    if not timm.is_model(model.split(".")[0]):
        near = difflib.get_close_matches(model, timm.list_models(), n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UsageError(f"timm has no model {model!r}{hint}")
    config = timm.get_pretrained_cfg(model) or timm.get_pretrained_cfg(model.split(".")[0])
    found: dict[str, Any] = asdict(config) if config else {}
    if not {"mean", "std", "input_size"} <= set(found):
        raise UsageError(f"extractor timm:{model}: timm does not say how its images are fed")
    return found


def scaled(mean: Statistics, std: Statistics, pixels: torch.Tensor, preset: Preset) -> torch.Tensor:
    """Pixels in 0..255, standardised as the model's training images were."""
    return standardised(pixels, mean, std)


@family("timm")
def timm_model(model: str) -> Builder:
    """Any image network of timm by name, last features before the classifier."""
    config = declared_config(model)
    with without_initial_values():
        net = network(model)
    width = int(getattr(net, "head_hidden_size", None) or net.num_features)  # type: ignore[arg-type]
    declared = Network(
        name=f"timm:{model}",
        side=config["input_size"][-1],
        layers={"features": Layer("features", width)},
        build=partial(network, model),
        scale=partial(scaled, config["mean"], config["std"]),
        load=partial(tensors, model),
        facts={name: ",".join(map(str, config[name])) for name in ("input_size", "mean", "std")},
    )

    def build(
        *, preset: Preset = "dino", running: Running = ON_CPU, weights: Path | None = None
    ) -> NetworkExtractor:
        return NetworkExtractor(declared, preset, running, weights)

    return build
