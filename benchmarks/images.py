"""From image files to numbers, beside the tools that people use for it.

    python benchmarks/images.py --json images.json      # about half an hour on two cores

The same PNGs of 256 x 256, the same random weights of Inception, the same threads, whole processes
in turn. torch-fidelity runs as one call; prdc and vendi-score get features from torch-fidelity's
network, which their user has to extract; torchmetrics runs that network for FID, KID and IS, since
its own would be downloaded. geneval runs from an empty cache each time, without and with the floor
that no peer has.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from processes import alternating, geneval

from geneval.extractors.inception import network, scaled
from geneval.extractors.preprocess import resized
from geneval.extractors.torchvision_schemas import declare_schemas
from geneval.result import Result

SIDE = 256
BATCH = 32
SUBSETS, SIZE = 100, 100  # of KID
FOUR = "fid,kid,inception_score,precision_recall"
KID = ("--set", f"metrics.kid.subsets={SUBSETS}", "--set", f"metrics.kid.subset_size={SIZE}")


def write_images(folder: Path, n: int, seed: int) -> Path:
    """Smooth colours with grain: PNGs of the size and weight of photographs."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for i in range(n):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=float)
        grain = rng.normal(0, 6 + 2 * seed, smooth.shape)
        pixels = (smooth + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:05d}.png")
    return folder


def write_weights(path: Path, images: Path) -> Path:
    """Random weights of Inception in torch-fidelity's layout, batch norms fitted to some images."""
    torch.manual_seed(0)
    net = network()
    for norm in net.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = None
    some = [np.asarray(Image.open(p)) for p in sorted(images.glob("*.png"))[:16]]
    with torch.inference_mode():
        net.train()(scaled(resized(torch.as_tensor(np.stack(some)), 299, "tf1"), "tf1"))
    path.parent.mkdir()
    torch.save(net.state_dict(), path)
    return path


def by_torch_fidelity(a: str, b: str, weights: str) -> None:
    """FID, KID, IS, precision and recall in one call."""
    import torch_fidelity

    found = torch_fidelity.calculate_metrics(
        input1=a,
        input2=b,
        cuda=False,
        batch_size=BATCH,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=weights,
        kid_subsets=SUBSETS,
        kid_subset_size=SIZE,
        cache=False,
        verbose=False,
    )
    print(found)


def by_prdc(a: str, b: str, weights: str) -> None:
    """Precision, recall, density and coverage of features that torch-fidelity's network makes."""
    from prdc import compute_prdc

    print(compute_prdc(_features(b, weights), _features(a, weights), nearest_k=5))


def by_vendi_score(a: str, b: str, weights: str) -> None:
    """The Vendi score of features that torch-fidelity's network makes."""
    from vendi_score import vendi

    x = _features(a, weights).astype(np.float64)
    print(vendi.score_dual(x, normalize=True))


def by_torchmetrics(a: str, b: str, weights: str) -> None:
    """FID, KID and IS, each with the network of its own."""
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore
    from torchmetrics.image.kid import KernelInceptionDistance

    net = _network(weights)

    class Layer(torch.nn.Module):
        """One layer of the network; each metric runs it by itself."""

        def __init__(self, layer: int, width: int) -> None:
            super().__init__()
            self.layer, self.num_features = layer, width

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = net(images)[self.layer]
            return out

    fid = FrechetInceptionDistance(feature=Layer(0, 2048))
    kid = KernelInceptionDistance(feature=Layer(0, 2048), subsets=SUBSETS, subset_size=SIZE)
    score = InceptionScore(feature=Layer(1, 1008))
    with torch.inference_mode():
        for folder, real in ((a, False), (b, True)):
            for images in _batches(folder):
                fid.update(images, real=real)
                kid.update(images, real=real)
                if not real:
                    score.update(images)
        print(fid.compute(), kid.compute(), score.compute())


def _network(weights: str) -> Any:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    layers = ["2048", "logits_unbiased"]
    return FeatureExtractorInceptionV3("peer", layers, feature_extractor_weights_path=weights)


def _batches(folder: str) -> Any:
    paths = sorted(Path(folder).glob("*.png"))
    for start in range(0, len(paths), BATCH):
        some = [np.asarray(Image.open(path)) for path in paths[start : start + BATCH]]
        yield torch.as_tensor(np.stack(some)).permute(0, 3, 1, 2)


def _features(folder: str, weights: str) -> Any:
    net = _network(weights)
    with torch.inference_mode():
        return torch.cat([net(images)[0] for images in _batches(folder)]).numpy()


PEERS = {
    "torch-fidelity": by_torch_fidelity,
    "prdc": by_prdc,
    "vendi-score": by_vendi_score,
    "torchmetrics": by_torchmetrics,
}
OURS = {  # name to metrics or suite and further words
    "fp32": (FOUR, "--set", "floor=false"),
    "fp32, OpenVINO": (FOUR, "--set", "floor=false", "--device", "openvino"),
    "bf16": (FOUR, "--set", "floor=false", "--precision", "bf16"),
    "bf16, OpenVINO": (
        (FOUR, "--set", "floor=false", "--precision", "bf16", "--device", "openvino")
    ),
    "default suite": ("image-quality", "--set", "floor=false"),
    "default suite with floor": ("image-quality",),
}


def measured(n: int, rounds: int) -> dict[str, Any]:
    """Seconds and memory of every tool, and the values of every precision."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        a, b = (write_images(folder / side, n, seed) for seed, side in enumerate("ab", 1))
        weights = write_weights(folder / "weights" / "inception-v3.pth", b)
        environment = {
            "GENEVAL_WEIGHTS": str(weights.parent),
            "OMP_NUM_THREADS": str(os.cpu_count()),
            "PYTHONWARNINGS": "ignore",
        }

        def ours(which: str, attempt: int) -> list[str]:
            suite, *words = OURS[which]
            place = f"{_slug(which)}-{attempt}"
            words += [] if "--device" in words else ["--device", "cpu"]
            words += ["--set", "extractor=inception-v3", "--cache", f"cache-{place}"]
            return geneval(
                *("run", suite, "--samples", "a", "--reference", "b", *KID, *words),
                *("--out", f"runs-{place}"),
            )

        commands: dict[str, Any] = {
            peer: lambda _, peer=peer: [
                *(sys.executable, __file__, "--peer", peer, str(a), str(b), str(weights))
            ]
            for peer in PEERS
        }
        commands |= {which: lambda i, which=which: ours(which, i) for which in OURS}
        timings = alternating(commands, rounds, folder, environment)
        values = {which: _values(folder / f"runs-{_slug(which)}-0") for which in OURS}
    return {
        "n": n,
        "rounds": rounds,
        "tools": {
            which: {"seconds": timing.median, "memory": timing.peak}
            for which, timing in timings.items()
        },
        "values": values,
    }


def _slug(which: str) -> str:
    return which.replace(" ", "-").replace(",", "")


def _values(runs: Path) -> dict[str, float]:
    (path,) = runs.rglob("result.json")
    return {v.address: v.number for v in Result.load(path.parent).values() if v.number is not None}


def main() -> None:
    """Run a peer in this process, or measure all and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--n", type=int, default=200, help="images a side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peer", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.peer:
        declare_schemas()  # the peers import torchvision
        PEERS[chosen.peer[0]](*chosen.peer[1:])
        return
    text = json.dumps(measured(chosen.n, chosen.rounds), indent=1)
    print(text)
    if chosen.json:
        chosen.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
