"""CLIP score: how near an image is to its prompt in CLIP's common space.

    clip_score:         mean over samples of 100 · cos(E_image, E_prompt)
    clip_score_hessel:  mean over samples of 2.5 · max(cos(E_image, E_prompt), 0)

Input: image embeddings [n, d] and prompt embeddings [n, d] of the same generated samples, not
normalised; float64 cosines. Ranges [−100, 100] and [0, 2.5]; higher is better; natural images with
their captions reach about 30 and 0.75. The two scalings are those that papers mix up: 100 · cos is
what torchmetrics reports (which sets a negative mean to 0), 2.5 · max(cos, 0) is Hessel's, whose
authors also put "A photo depicts " before each prompt (`extractor: {name: clip-vit-b-32, prefix:
"A photo depicts "}`).

The interval is of the mean of the population of prompts: samples of one prompt are one cluster.
Undefined for an embedding of length 0.

Paper: Hessel et al. 2021, arXiv:2104.08718. Agrees with torchmetrics' formula on equal embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Features, Fields
from geneval.linalg import Floats
from geneval.metric import Undefined, features, fields, metric
from geneval.resample import Context, clustered_error
from geneval.value import Estimate, Evidence, Gallery, OutputSpec, Role

SHOWN = 12  # samples in a gallery


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Images near their prompts; damage turns the images to other directions."""
    ids = tuple(f"{i:04d}" for i in range(120))
    text = rng.normal(size=(120, 8))
    image = (1 - damage) * text + rng.normal(size=(120, 8)) * (0.3 + damage)
    prompts = [f"prompt {i}" for i in range(120)]
    return {
        "image": Features(ids, image),
        "text": Features(ids, text),
        "prompts": Fields(ids, {"prompt": prompts}),
    }


@metric(
    "clip_score",
    version=1,
    paper="arXiv:2104.08718",
    min_n=2,
    n_match="any",
    outputs=[
        OutputSpec("clip_score", "higher", range=(-100, 100)),
        OutputSpec("clip_score_hessel", "higher", range=(0, 2.5)),
    ],
    needs=lambda o: {
        "image": features("generated"),
        "text": features("generated", layer="text"),
        "prompts": fields("generated", "prompt"),
    },
    example=example,
    extractor="clip-vit-b-32",
)
def clip_score(
    image: Features, text: Features, prompts: Fields, context: Context
) -> list[Estimate]:
    """The mean cosine in both scalings."""
    cosine = cosines(image, text)
    asked = prompts.columns["prompt"]
    return [
        mean_of(context, "clip_score", 100 * cosine, image.ids, asked, (-100, 100)),
        mean_of(
            context,
            "clip_score_hessel",
            2.5 * np.maximum(cosine, 0),
            image.ids,
            asked,
            (0, 2.5),
        ),
    ]


def cosines(a: Features, b: Features) -> Floats:
    """Cosine [n] between the rows of two layers of the same samples."""
    if a.ids != b.ids:
        raise Undefined("images and prompts are not of the same samples")
    rows: Floats = np.einsum("nd,nd->n", unit_length(a.x), unit_length(b.x))
    return rows


def mean_of(
    context: Context,
    output: str,
    scores: Floats,
    ids: tuple[str, ...],
    asked: Any,
    range_: tuple[float, float],
) -> Estimate:
    """The mean of per-sample scores, samples of one prompt being one cluster."""
    number = float(scores.mean())
    several = len(set(asked)) < len(asked)
    se = clustered_error(scores, asked)
    order = np.argsort(scores, kind="stable")
    ends = {"least": order[:SHOWN], "most": order[::-1][:SHOWN]}
    interval = None
    if se is not None:
        method = "clusters of one prompt" if several else "central limit theorem"
        interval = context.interval(number, se, method, "population", range_)
    return Estimate(
        output=output,
        number=number,
        n={Role.GENERATED: len(scores)},
        interval=interval,
        no_interval=None if interval else "one prompt has no spread between prompts",
        evidence={Role.GENERATED: Evidence("scores", ids, scores)},
        galleries=tuple(
            Gallery(
                f"{which} like what was asked for",
                Role.GENERATED,
                tuple(ids[row] for row in rows),
                tuple(f"{scores[row]:.3g} · {asked[row]}" for row in rows),
            )
            for which, rows in ends.items()
        ),
    )


def unit_length(x: np.ndarray[Any, Any]) -> Floats:
    """Rows in float64, divided by their lengths."""
    rows = x.astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (length > 0).all():
        raise Undefined("a feature vector of length 0 has no direction")
    unit: Floats = rows / length
    return unit
