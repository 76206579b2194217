"""Directional similarity: whether an edit moved the image the way the prompt moved.

    directional_similarity:  mean of cos( E(image) − E(source image), E(prompt) − E(source prompt) )
    image_similarity:        mean of cos( E(image), E(source image) ), how much was kept

Input: embeddings [n, d] of the generated image, its source image, its prompt and the source's
prompt; each is brought to length 1 before differences are taken, in float64. Range [−1, 1]; higher
is better for both, and an editor trades one for the other. An edit that changes nothing has no
direction and scores 0.

The interval is of the population of edits, by the central limit theorem; edits with one prompt are
one cluster. Undefined for an embedding of length 0.

Paper: Gal et al. 2021, arXiv:2108.00946, as a measure in Brooks et al. 2022, arXiv:2211.09800.
Agrees with the formula written out per sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Features, Fields
from geneval.linalg import Floats
from geneval.metric import Undefined, features, fields, metric
from geneval.metrics.alignment.clip_score import cosines, mean_of, unit_length
from geneval.resample import Context
from geneval.value import Estimate, OutputSpec

NO_LENGTH = 1e-6  # of a difference between float32 embeddings of length 1


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Edits along their texts; damage lets the image go elsewhere and lose its source."""
    ids = tuple(f"{i:04d}" for i in range(100))
    source, before = rng.normal(size=(2, 100, 8)) + 2
    after = before + rng.normal(size=(100, 8))
    noise = rng.normal(size=(100, 8))
    image = source + (1 - damage) * (after - before) + (0.1 + 5 * damage) * noise
    return {
        "image": Features(ids, image),
        "source_image": Features(ids, source),
        "text": Features(ids, after),
        "source_text": Features(ids, before),
        "prompts": Fields(ids, {"prompt": [f"edit {i}" for i in range(100)]}),
    }


@metric(
    "directional_similarity",
    version=1,
    paper="arXiv:2108.00946",
    min_n=2,
    n_match="any",
    outputs=[
        OutputSpec("directional_similarity", "higher", range=(-1, 1)),
        OutputSpec("image_similarity", "higher", range=(-1, 1)),
    ],
    needs=lambda o: {
        "image": features("generated"),
        "source_image": features("generated", layer="source_image"),
        "text": features("generated", layer="text"),
        "source_text": features("generated", layer="source_text"),
        "prompts": fields("generated", "prompt"),
    },
    example=example,
    extractor="clip-vit-b-32",
)
def directional_similarity(
    image: Features,
    source_image: Features,
    text: Features,
    source_text: Features,
    prompts: Fields,
    context: Context,
) -> list[Estimate]:
    """How far image and text moved in one direction, and how much of the image was kept."""
    moved = unit_length(image.x) - unit_length(source_image.x)
    told = unit_length(text.x) - unit_length(source_text.x)
    if not image.ids == source_image.ids == text.ids == source_text.ids:
        raise Undefined("images, sources and prompts are not of the same samples")
    asked, kept = prompts.columns["prompt"], cosines(image, source_image)
    along = _cosines_or_0(moved, told)
    return [
        mean_of(context, "directional_similarity", along, image.ids, asked, (-1, 1)),
        mean_of(context, "image_similarity", kept, image.ids, asked, (-1, 1)),
    ]


def _cosines_or_0(a: Floats, b: Floats) -> Floats:
    """Cosine [n] between rows, 0 where one of them is no longer than rounding."""
    sides = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    lengths = np.where(np.minimum(*sides) > NO_LENGTH, sides[0] * sides[1], 0.0)
    found: Floats = np.divide(
        np.einsum("nd,nd->n", a, b), lengths, out=np.zeros(len(a)), where=lengths > 0
    )
    return found.clip(-1, 1)
