"""Whether samples are as sharp, colourful, noisy and bright as the reference samples.

    for each statistic:  W₁(generated, reference) / σ(reference),   W₁ = ∫ |F(t) − G(t)| dt

with F and G the empirical distribution functions of the statistic on the two sides, and σ its
standard deviation on the reference (ddof 1). 1 means that values moved by one deviation on average.

Input: rows [n, 4] and [m, 4] of the extractor `image-statistics`: sharpness (variance of the
Laplacian), colourfulness, noise and exposure of every image; it holds their formulas and sources.
Range [0, ∞); lower is better; 0 for equal distributions. The table has quantiles of both sides, and
the finding says which way the median went: the distance has no direction.

It is biased upwards at finite n: two sets of one normal distribution are about 1.3 · √(1/n + 1/m)
apart. So the interval is the spread at this n, from the influence of every sample of both sides (σ
included), which is also the evidence. Simulated with normal, log-normal and scaled distributions at
n = 300, m = 300 and 3,000, it covers the mean of the distance in 91 to 98 % of runs, the bootstrap
in 89 to 99 %. Undefined for one reference sample. An output whose statistic is one constant on the
reference has no unit: a problem, or 0 where the generated side is the same constant.

Source: Wasserstein-1 distance in one dimension, Vallender 1974, doi:10.1137/1118101. Agrees with
scipy.stats.wasserstein_distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from geneval.data import Features
from geneval.linalg import Floats
from geneval.metric import Undefined, features, metric
from geneval.resample import Context, standard_error
from geneval.value import DetailTable, Estimate, Evidence, OutputSpec, Role, shown

NAMES: Mapping[str, tuple[str, str]] = {  # columns of the layer: what less and more of each is
    "sharpness": ("less sharp", "sharper"),
    "colourfulness": ("less colourful", "more colourful"),
    "noise": ("less noisy", "noisier"),
    "exposure": ("darker", "brighter"),
}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two log-normal clouds; damage makes the generated images soft, pale, noisy and dark."""
    ids = tuple(f"{i:04d}" for i in range(200))
    x, y = np.exp(rng.normal(size=(2, 200, 4)) * 0.5) * [100, 30, 2, 0.4]
    ruin = 1 + damage * np.array([-0.9, -0.8, 4, -0.7])
    return {"generated": Features(ids, x * ruin), "reference": Features(ids, y)}


@metric(
    "image_statistics",
    version=1,
    min_n=2,
    outputs=[OutputSpec(name, "lower", range=(0, None)) for name in NAMES],
    needs=lambda o: {
        role: features(role, extractor="image-statistics", layer="statistics")
        for role in ("generated", "reference")
    },
    example=example,
    conventions={"ddof": 1},
    identity=dict.fromkeys(NAMES, 0.0),
)
def image_statistics(generated: Features, reference: Features, context: Context) -> list[Estimate]:
    """The distance of the two distributions of every statistic."""
    if reference.n < 2:
        raise Undefined("1 reference sample has no deviation to measure distances by")
    x, y = (one.x.astype(np.float64) for one in (generated, reference))
    return [
        _estimate(context, name, x[:, i], y[:, i], generated.ids, reference.ids)
        for i, name in enumerate(NAMES)
    ]


def _estimate(
    context: Context,
    name: str,
    x: Floats,
    y: Floats,
    ids: tuple[str, ...],
    reference_ids: tuple[str, ...],
) -> Estimate:
    counts: dict[Role, int | None] = {Role.GENERATED: len(x), Role.REFERENCE: len(y)}
    told: dict[str, Any] = {
        "n": counts,
        "finding": _finding(name, x, y),
        "tables": _table(name, x, y),
    }
    if np.ptp(y) == 0:
        if np.ptp(x) == 0 and x[0] == y[0]:
            reason = f"{name} is {shown(float(y[0]))} of all samples"
            return Estimate(output=name, number=0.0, no_interval=reason, **told)
        problem = (
            f"{name} is {shown(float(y[0]))} of all reference samples: no spread to measure by"
        )
        return Estimate(output=name, problem=problem, **told)
    number, of_x, of_y = standardised_distance(x, y)
    se = float(np.hypot(standard_error(of_x), standard_error(of_y)))
    return Estimate(
        output=name,
        number=number,
        interval=context.interval(number, se, "influence function", "at_n", (0, None)),
        evidence={
            Role.GENERATED: Evidence("influence", ids, of_x),
            Role.REFERENCE: Evidence("influence", reference_ids, of_y),
        },
        **told,
    )


def standardised_distance(x: Floats, y: Floats) -> tuple[float, Floats, Floats]:
    """W₁(x, y) / σ(y) of samples [n] and [m], with the influence of every sample of each.

    A sample at x moves W₁ by ∫ sign(F − G) (1{x ≤ t} − F) dt; with the other sign for G.
    """
    n, m = len(x), len(y)
    points = np.sort(np.concatenate([x, y]))
    gap = np.diff(points)
    below_x = np.searchsorted(np.sort(x), points[:-1], side="right")
    below_y = np.searchsorted(np.sort(y), points[:-1], side="right")
    apart = below_x * m - below_y * n  # whole numbers: no rounding decides the sign
    scale = float(y.std(ddof=1))
    number = float((np.abs(apart) * gap).sum() / (n * m)) / scale
    beyond = np.append((np.sign(apart) * gap)[::-1].cumsum()[::-1], 0.0)
    of_x = beyond[np.searchsorted(points, x)] / scale
    of_y = -beyond[np.searchsorted(points, y)] / scale
    of_y -= number * (y - y.mean()) ** 2 / (2 * y.var())
    return number, of_x - of_x.mean(), of_y - of_y.mean()


def _finding(name: str, x: Floats, y: Floats) -> str:
    ours, theirs = float(np.median(x)), float(np.median(y))
    if ours == theirs:
        return f"the same median, {shown(ours)}"
    way = NAMES[name][ours > theirs]
    return f"{way}: median {shown(ours, theirs)} against {shown(theirs, ours)}"


def _table(name: str, x: Floats, y: Floats) -> tuple[DetailTable, ...]:
    columns: dict[str, list[Any]] = {"quantile": list(QUANTILES)}
    for role, values in (("generated", x), ("reference", y)):
        columns[role] = [float(value) for value in np.quantile(values, QUANTILES)]
    return (DetailTable(f"Quantiles of {name}", columns, "line"),)
