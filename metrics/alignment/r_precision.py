"""R-precision: how often an image is nearer to its own prompt than to any distractor.

    share of samples whose own prompt has the highest cosine among `distractors` + 1 prompts

Input: image embeddings [n, d] and prompt embeddings [n, d] of the same generated samples, and the
prompts. Range [0, 1]; higher is better; chance is 1 / (distractors + 1). Distractors (99, as
published) are other prompts of the same set, drawn without replacement for each sample from the
hash of its id and `seed`, so that a sample keeps its distractors when others come or go only if the
set of prompts stays the same; equal texts are one prompt. A tie counts as a miss.

Conditional on the prompts at hand: the interval is Wilson's for the samples, at the effective
sample size where several samples share a prompt. Undefined with fewer different prompts than
distractors + 1.

Paper: Xu et al. 2018, arXiv:1711.10485 (AttnGAN, R = 1), with CLIP as the encoder as in Park et al.
2021. Agrees with a plain loop over samples and candidates.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from geneval.data import Features, Fields
from geneval.metric import Undefined, features, fields, metric
from geneval.metrics.alignment.clip_score import example, unit_length
from geneval.options import AtLeast
from geneval.resample import Context, clustered_error, wilson
from geneval.value import Estimate, Evidence, OutputSpec, Role


@metric(
    "r_precision",
    version=1,
    paper="arXiv:1711.10485",
    min_n=2,
    n_match="any",
    outputs=[OutputSpec("r_precision", "higher", range=(0, 1))],
    needs=lambda o: {
        "image": features("generated"),
        "text": features("generated", layer="text"),
        "prompts": fields("generated", "prompt"),
    },
    example=example,
    extractor="clip-vit-b-32",
    conventions={"ties": "miss"},
)
def r_precision(
    image: Features,
    text: Features,
    prompts: Fields,
    context: Context,
    *,
    distractors: Annotated[int, AtLeast(1)] = 99,
    seed: Annotated[int, AtLeast(0)] = 0,
) -> list[Estimate]:
    """The share of samples that are nearest to their own prompt."""
    asked = list(prompts.columns["prompt"])
    different = sorted(set(asked))
    if len(different) <= distractors:
        raise Undefined(
            f"{len(different)} different prompts are too few for {distractors} distractors each; "
            "set distractors lower"
        )
    if image.ids != text.ids:
        raise Undefined("images and prompts are not of the same samples")
    first = {prompt: row for row, prompt in reversed(list(enumerate(asked)))}
    names = unit_length(text.x)[[first[prompt] for prompt in different]]
    seen, place = unit_length(image.x), {prompt: i for i, prompt in enumerate(different)}
    hits = np.zeros(image.n)
    for row, (sample, prompt) in enumerate(zip(image.ids, asked, strict=True)):
        own = place[prompt]
        draw = Context(seed).generator(f"distractors of {sample}")
        others = draw.choice(len(different) - 1, size=distractors, replace=False)
        others += others >= own  # steps over the sample's own prompt
        hits[row] = seen[row] @ names[own] > (names[others] @ seen[row]).max()
    share, se = float(hits.mean()), clustered_error(hits, asked)
    effective = share * (1 - share) / se**2 if se else float(image.n)
    effective = min(effective, image.n)
    return [
        Estimate(
            output="r_precision",
            number=share,
            n={Role.GENERATED: image.n},
            interval=wilson(share * effective, effective, context.level, "population"),
            evidence={Role.GENERATED: Evidence("scores", image.ids, hits)},
        )
    ]
