"""`adversarial`: whether images keep their class under a classifier when they are attacked.

For each image, whether its class is kept and the cross entropy of that class: as it is, and then
under every attack within every radius of `eps` (`4/255`, of pixels in 0..1, in `norm`). The class
is the image's label (`keep: label`) or what the classifier says of the clean image (`prediction`).
Radii are taken in ascending order and the best point of a smaller one counts for the larger too, so
that a sample once lost stays lost. Chance follows from `seed` and the image's own pixels.

The classifier is any extractor with logits and a differentiable `forward`, such as `digits` or
`inception-v3`; its weights are given under its own name.

Papers: see geneval.probes.attacks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geneval.errors import SampleError, UsageError, unknown
from geneval.extractors.extractor import (
    FeatureExtractor,
    Layer,
    build_extractor,
    extractor,
    layer_of,
)
from geneval.extractors.network import full_precision
from geneval.options import AtLeast
from geneval.probes.attacks import Found, Goal, Norm, fgsm, pgd, random_starts, square, tried
from geneval.samples.requests import request_seed
from geneval.samples.sampleset import Batch
from geneval.signature import Scalar

if TYPE_CHECKING:
    import torch

Attack = Literal["fgsm", "pgd", "square"]
Keep = Literal["label", "prediction"]
AT_ONCE = 64  # images under attack together; their activations are held for the gradient


class Adversarial:
    """The probe of one classifier under some attacks and radii."""

    labels = None

    def __init__(
        self,
        classifier: FeatureExtractor,
        attacks: Sequence[Attack],
        eps: Sequence[str | float],
        norm: Norm,
        steps: int,
        restarts: int,
        queries: int,
        keep: Keep,
        seed: int,
        device: str,
    ) -> None:
        self.classifier: Any = classifier
        self.logits = _logits_of(classifier, keep)
        self.attacks = list(dict.fromkeys(attacks))
        self.radii = radii(eps)
        self.norm: Norm = norm
        self.steps = steps
        self.restarts = restarts
        self.queries = queries
        self.keep = keep
        self.seed = seed
        self.device = device

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """The classifier's own identity, the attacks and the radii."""
        return {
            **self.classifier.identity,
            "ext": "adversarial",
            "classifier": self.classifier.identity["ext"],
            "attacks": "+".join(self.attacks),
            "eps": "+".join(self.radii),
            "norm": self.norm,
            "steps": self.steps,
            "restarts": self.restarts,
            "queries": self.queries,
            "keep": self.keep,
            "seed": self.seed,
        }

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Kept or not and loss: of the clean image, then by attack and radius."""
        places = [f" {attack} {eps}" for attack in self.attacks for eps in self.radii]
        columns = tuple(f"{what}{place}" for place in ("", *places) for what in ("kept", "loss"))
        reads = ("image", "label") if self.keep == "label" else ("image",)
        return {"adversarial": Layer("adversarial", len(columns), reads, columns)}

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the classifier."""
        found: tuple[str, ...] = self.classifier.notes
        return found

    def __call__(self, batch: Batch, layers: Collection[str]) -> Mapping[str, NDArray[np.float32]]:
        """The rows of images uint8 [b, h, w, 3]."""
        images, rows = batch.columns["image"], []
        for start in range(0, len(images), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            labels = batch.columns["label"][part] if self.keep == "label" else None
            with full_precision():
                rows.append(self._rows(np.asarray(images[part]), labels))
        return {"adversarial": np.concatenate(rows)}

    def caution(self, unlikeness: NDArray[np.float32]) -> str:
        """Nothing is out of place."""
        return ""

    def _rows(self, images: NDArray[np.uint8], labels: Sequence[Any] | None) -> NDArray[np.float32]:
        """The rows of a few images."""
        import torch

        x = torch.as_tensor(images, device=self.device).permute(0, 3, 1, 2).float() / 255
        goal = self._goal(x, labels)
        clean = tried(goal, x)
        found, names = [clean], [hashlib.sha256(one.tobytes()).hexdigest() for one in images]
        for attack in self.attacks:
            best = clean
            for name, eps in self.radii.items():
                chance = [
                    np.random.default_rng(request_seed(self.seed, f"{attack} {name} {one}"))
                    for one in names
                ]
                best = best.or_better(self._attacked(attack, goal, x, eps, chance))
                found.append(best)
        columns = [column.float() for one in found for column in (~one.won, one.loss)]
        return torch.stack(columns, dim=1).cpu().numpy()

    def _goal(self, x: torch.Tensor, labels: Sequence[Any] | None) -> Goal:
        """The cross entropy of the class to be kept, which wins where another class leads."""
        import torch

        if labels is None:
            with torch.no_grad():
                target = self._logits(x).argmax(dim=1)
        else:
            target = torch.tensor([self._code(label) for label in labels], device=self.device)

        def goal(at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = self._logits(at)
            loss = torch.nn.functional.cross_entropy(logits, target, reduction="none")
            return loss, logits.argmax(dim=1) != target

        return goal

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        """The classifier's logits [b, classes]."""
        found: torch.Tensor = self.classifier.forward(x)[self.logits]
        return found

    def _code(self, label: Any) -> int:
        names = self.classifier.labels.names
        if str(label) not in names:
            raise SampleError(f"adversarial: {unknown('label', str(label), names)}")
        place: int = names.index(str(label))
        return place

    def _attacked(
        self,
        attack: Attack,
        goal: Goal,
        x: torch.Tensor,
        eps: float,
        chance: Sequence[np.random.Generator],
    ) -> Found:
        if attack == "fgsm":
            return fgsm(goal, x, eps, norm=self.norm)
        if attack == "square":
            return square(goal, x, eps, chance, norm=self.norm, queries=self.queries)
        starts = [random_starts(x, eps, chance, self.norm) for _ in range(self.restarts)]
        return pgd(goal, x, eps, [x, *starts], norm=self.norm, steps=self.steps)


def radii(eps: Sequence[str | float]) -> dict[str, float]:
    """The radii by how they are written, ascending; raises `UsageError` for what is none."""
    found = {}
    for one in (each if isinstance(each, str) else f"{each:g}" for each in eps):
        try:
            found[one] = float(Fraction(one))
        except (ValueError, ZeroDivisionError):
            raise UsageError(f"adversarial: eps {one!r} is no number such as 4/255") from None
        if found[one] <= 0:
            raise UsageError(f"adversarial: eps {one!r} must be above 0")
    if not found:
        raise UsageError("adversarial: eps is empty; give radii such as [2/255, 4/255]")
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _logits_of(classifier: FeatureExtractor, keep: Keep) -> str:
    """The name of a classifier's logits; raises `UsageError` for what cannot be attacked."""
    name, layer = classifier.identity["ext"], layer_of(classifier, "logits")
    if layer is None or not hasattr(classifier, "forward"):
        raise UsageError(
            f"adversarial: {name} is no classifier with a gradient (logits and `forward`)"
        )
    if keep == "label" and classifier.labels is None:
        raise UsageError(f"adversarial: {name} has no class names; set `keep: prediction`")
    return layer


@extractor("adversarial", network="classifier")
def adversarial(
    *,
    classifier: str = "digits",
    attacks: Sequence[Attack] = ("fgsm", "pgd"),
    eps: Sequence[str | float] = ("2/255", "4/255", "8/255"),
    norm: Norm = "linf",
    steps: Annotated[int, AtLeast(1)] = 20,
    restarts: Annotated[int, AtLeast(0)] = 1,
    queries: Annotated[int, AtLeast(1)] = 200,
    keep: Keep = "prediction",
    seed: int = 0,
    device: str = "cpu",
    weights: Path | None = None,
) -> Adversarial:
    """Whether images keep their class under a classifier when attacked, by attack and radius."""
    built = build_extractor(classifier, {}, device, weights)
    return Adversarial(built, attacks, eps, norm, steps, restarts, queries, keep, seed, device)
