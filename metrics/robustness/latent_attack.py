"""Latent attack: the largest change of an image within a small ball about its latent.

    latent_attack = mean over requests of  max over ‖δ‖ ≤ ε·√d of  distance( G(z), G(z + δ) )
    chance        = the same mean over random δ of that length
    advantage     = latent_attack / chance

Input: rows of the probe `latent-attack`: whether there is a gradient, and by ε the change that
gradient ascent found, and the mean and the largest over random directions. Values stand at ε as
written, in deviations of each coordinate of the latent: `latent_attack[eps=0.1]`. Range [0, ∞),
advantage too; lower is sturdier. A generator that ignores its latent has 0, and no advantage: read
it beside diversity.

The intervals of the means are by the central limit theorem, that of the ratio from its influence
(delta method), all of the population. Undefined for an adapter without a gradient. What ascent
finds is a lower bound of the largest change.

Source: the attack is that of Madry et al. 2018, arXiv:1706.06083, on the latent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from geneval.data import Features, LabelSpace
from geneval.items import Floats, mean_of
from geneval.metric import Undefined, features, metric
from geneval.resample import Context, standard_error
from geneval.value import DetailTable, Estimate, Evidence, Ids, OutputSpec, Role

OUTPUTS = ("latent_attack", "chance", "advantage")


def radii(columns: tuple[str, ...]) -> list[str]:
    """The ε, ascending, by the columns `attacked EPS` of the probe."""
    return [one.split()[1] for one in columns if one.startswith("attacked ")]


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Changes that grow with ε; damage makes them larger and the attack better than chance."""
    names, columns = ["gradient"], [np.ones(200)]
    for eps in (0.1, 0.2):
        chance = eps * rng.lognormal(damage, 0.3, 200)
        kinds = {"attacked": chance * (2 + damage), "mean": chance, "largest": 1.2 * chance}
        names += [f"{kind} {eps}" for kind in kinds]
        columns += kinds.values()
    ids = tuple(f"{i:04d}" for i in range(200))
    return {"changes": Features(ids, np.stack(columns, axis=1), LabelSpace(tuple(names)))}


@metric(
    "latent_attack",
    version=1,
    min_n=10,
    n_match="any",
    outputs=[OutputSpec(name, "lower", range=(0, None)) for name in OUTPUTS],
    needs=lambda o: {"changes": features("generated", layer="latent_attack")},
    ats=lambda o, named: {
        output: [{"eps": eps} for eps in radii(tuple(named["changes"]))] for output in OUTPUTS
    },
    example=example,
    extractor="latent-attack",
)
def latent_attack(changes: Features, context: Context) -> list[Estimate]:
    """The three values at every ε; the first has the curve of all."""
    assert changes.space is not None, "the probe names its columns"
    names, x = changes.space.names, changes.x.astype(np.float64)
    if not x[:, 0].all():
        raise Undefined(
            "the adapter gives no gradient to attack by: let it return geneval.Generator(forward=…)"
        )
    curve = {kind: list[float]() for kind in ("attacked", "mean", "largest")}
    found = list[Estimate]()
    for eps in radii(names):
        each = {kind: x[:, names.index(f"{kind} {eps}")] for kind in curve}
        for kind, values in each.items():
            curve[kind].append(float(values.mean()))
        found += [
            replace(one, at={"eps": eps})
            for one in _at(each["attacked"], each["mean"], changes.ids, context)
        ]
    labels = ("under attack", "random, mean", "random, largest")
    lines = dict(zip(labels, curve.values(), strict=True))
    columns = {"ε": [float(Fraction(eps)) for eps in radii(names)], **lines}
    found[0] = replace(found[0], tables=(DetailTable("Change of the image by ε", columns, "line"),))
    return found


def _at(attacked: Floats, chance: Floats, ids: Ids, context: Context) -> Iterator[Estimate]:
    """The values at one ε from the changes [n] under attack and by chance."""
    title = "the most fragile latents"
    yield mean_of(context, "latent_attack", attacked, ids, (0, None), worst_first=-1, title=title)
    yield replace(mean_of(context, "chance", chance, ids, (0, None)), galleries=())
    n = {Role.GENERATED: len(ids)}
    if chance.mean() == 0:
        told = "random steps change nothing, so that there is nothing to compare with"
        yield Estimate(output="advantage", problem=told, n=n)
        return
    number = float(attacked.mean() / chance.mean())
    influence = (attacked - number * chance) / chance.mean()
    influence -= influence.mean()
    se = standard_error(influence)
    interval = context.interval(number, se, "delta method", "population", (0, None)) if se else None
    yield Estimate(
        output="advantage",
        number=number,
        n=n,
        interval=interval,
        no_interval=None if interval else "no sample differs from the others",
        evidence={Role.GENERATED: Evidence("influence", ids, influence)},
    )
