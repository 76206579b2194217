"""Correlation with people: whether a metric ranks samples as a human score does.

    pearson  = cov(x, y) / (σ_x σ_y)
    spearman = pearson of the ranks (ties share theirs)
    kendall  = τ_b = (concordant − discordant) / √((pairs − ties in x)(pairs − ties in y))

Input: what every other metric of the suite gives each sample (sentence scores of those that are of
a corpus), and the human score `human`, by the samples that both have. One value of each output for
every metric: `human_correlation.kendall[metric=chrf]`. Signs are turned so that a positive value
agrees: where the metric is better, people say so. Range [−1, 1]; higher is better; a problem where
either side is constant or fewer than `least` samples have both.

The interval is of the population, by Fisher's z with the variances 1/(n−3) for Pearson,
(1 + r²/2)/(n−3) for Spearman and 0.437/(n−4) for Kendall. It takes samples as independent and says
nothing of how it would be for other systems than this one.

Paper: Fieller, Hartley and Pearson 1957 (Biometrika 44); Bonett and Wright 2000 (Psychometrika 65).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Items
from geneval.items import Floats
from geneval.metric import Undefined, items, metric
from geneval.options import AtLeast
from geneval.resample import Context, quantile
from geneval.value import Estimate, Interval, OutputSpec, Role

OUTPUTS = ("kendall", "spearman", "pearson")


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """A human score and a metric that follows it; damage makes it follow chance instead."""
    ids, human = tuple(f"{i:04d}" for i in range(100)), rng.normal(size=100)
    x = (1 - damage) * human + (0.3 + damage) * rng.normal(size=100)
    return {"others": {"human": Items(ids, human, True), "chrf": Items(ids, x, True)}}


@metric(
    "human_correlation",
    version=1,
    min_n=1,
    n_match="any",
    outputs=[OutputSpec(name, "higher", range=(-1, 1)) for name in OUTPUTS],
    needs=lambda o: {"others": items()},
    ats=lambda o, named: {
        output: [{"metric": one} for one in named["others"] if one != o.human] for output in OUTPUTS
    },
    example=example,
)
def human_correlation(
    others: Mapping[str, Items],
    context: Context,
    *,
    human: str = "human",
    least: Annotated[int, AtLeast(5)] = 10,
) -> list[Estimate]:
    """The correlations of every metric with the human score."""
    if human not in others:
        has = ", ".join(others) or "none"
        raise Undefined(f"there is no {human} of each sample; scored by the sample are: {has}")
    people = others[human]
    found = [
        estimate
        for address, one in others.items()
        if address != human
        for estimate in _of(address, one, people, least, context.level)
    ]
    if not found:
        raise Undefined(f"no other metric of the suite scores each sample as {human} does")
    return found


def _of(address: str, one: Items, people: Items, least: int, level: float) -> Iterator[Estimate]:
    """The correlations of one metric, or the problem with them."""
    x, y = together(one, people)
    at, n = {"metric": address}, {Role.GENERATED: len(x)}
    problem = ""
    if len(x) < least:
        problem = f"{len(x)} samples have both scores, at least {least} are needed"
    elif np.ptp(x) == 0 or np.ptp(y) == 0:
        problem = f"all samples have the same {'score' if np.ptp(x) == 0 else 'human score'}"
    for output in OUTPUTS:
        if problem:
            yield Estimate(output=output, problem=problem, n=n, at=at)
            continue
        number = correlation(output, x, y)
        yield Estimate(
            output=output, number=number, n=n, at=at, **interval(output, number, len(x), level)
        )


def together(one: Items, other: Items) -> tuple[Floats, Floats]:
    """Both scores of the samples that have both, [n] each, turned so that larger is better."""
    known = dict(zip(other.ids, other.x, strict=True))
    rows = [row for row, sample in enumerate(one.ids) if sample in known]
    y = np.array([known[one.ids[row]] for row in rows], dtype=np.float64)
    signs = (1.0 if side.higher_is_better else -1.0 for side in (one, other))
    return next(signs) * one.x[rows], next(signs) * y


def correlation(output: str, x: Floats, y: Floats) -> float:
    """The coefficient of that name of scores [n] and [n]."""
    from scipy import stats

    functions: Mapping[str, Any] = {
        "pearson": stats.pearsonr,
        "spearman": stats.spearmanr,
        "kendall": stats.kendalltau,
    }
    return float(np.clip(functions[output](x, y).statistic, -1.0, 1.0))


def interval(output: str, number: float, n: int, level: float) -> dict[str, Any]:
    """The interval of a correlation of n samples, or why there is none, as keywords."""
    if abs(number) > 1 - 1e-12:
        return {"no_interval": "the two order the samples alike, which is no certainty"}
    variance = {
        "pearson": 1 / (n - 3),
        "spearman": (1 + number**2 / 2) / (n - 3),
        "kendall": 0.437 / (n - 4),
    }[output]
    half = quantile(level) * math.sqrt(variance)
    low, high = (math.tanh(math.atanh(number) + sign * half) for sign in (-1, 1))
    return {"interval": Interval(low, high, level, "Fisher's z", "population")}
