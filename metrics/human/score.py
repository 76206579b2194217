"""A score from outside: the mean of a column that holds one of every sample.

    score = mean over the samples that have one

Input: the column `column` of the generated samples: numbers, such as COMET, a judge's verdict, a
human rating or the reward of an image. Blanks are samples that were not scored; they are left out
and counted. Range [low, high] and direction are what the options say; a score outside it is a
problem that names the sample. The interval is of the mean of the population: Wilson's where all
scores are 0 or 1 in the range 0 to 1, by the central limit theorem otherwise. Scores are the
evidence, so that comparisons are paired.

Source: the column; how it was made is not known here and stands in no signature but by its name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from geneval.data import Fields
from geneval.items import mean_of
from geneval.metric import Undefined, fields, metric
from geneval.resample import Context
from geneval.value import Estimate, OutputSpec


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Ratings of eighty samples; damage lowers them."""
    ratings = (0.8 - 0.5 * damage + 0.1 * rng.random(80)).tolist()
    return {"rated": Fields(tuple(f"{i:04d}" for i in range(80)), {"score": ratings})}


@metric(
    "score",
    version=1,
    min_n=1,
    n_match="any",
    outputs=lambda o: [OutputSpec("score", o.direction, range=(o.low, o.high))],
    needs=lambda o: {"rated": fields("generated", o.column, own=True)},
    example=example,
)
def score(
    rated: Fields,
    context: Context,
    *,
    column: str = "score",
    direction: Literal["higher", "lower"] = "higher",
    low: float | None = None,
    high: float | None = None,
) -> list[Estimate]:
    """The mean of a column of scores."""
    if low is not None and high is not None and low >= high:
        raise Undefined(f"the range [{low:g}, {high:g}] is empty")
    there = [
        (sample, _number(cell, sample, column))
        for sample, cell in zip(rated.ids, rated.columns[column], strict=True)
        if cell is not None and str(cell).strip() != ""
    ]
    if not there:
        raise Undefined(f"no sample has a {column}")
    for sample, number in there:
        if not (low is None or low <= number) or not (high is None or number <= high):
            ends = ", ".join("…" if end is None else f"{end:g}" for end in (low, high))
            raise Undefined(f"{column} of {sample} is {number:g}, outside its range [{ends}]")
    ids, scores = tuple(one for one, _ in there), np.array([number for _, number in there])
    left = len(rated.ids) - len(ids)
    return [
        mean_of(
            context,
            "score",
            scores,
            ids,
            (low, high),
            worst_first=1 if direction == "higher" else -1,
            title=f"The worst {column}",
            share=(low, high) == (0, 1) and set(scores) <= {0.0, 1.0},
            finding=f"{left} of {len(rated.ids)} samples have no {column}" if left else "",
        )
    ]


def _number(cell: Any, sample: str, column: str) -> float:
    """A cell as a number; raises `Undefined` for what is none."""
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Undefined(f"{column} of {sample} is {str(cell)[:40]!r}, no number")
    return number
