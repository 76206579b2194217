"""Association of two attributes: does the generator tie one to the other beyond the reference.

    cramers_v = √(χ² / (n · (min(r, c) − 1))),  of the r × c counts of two columns
    excess    = cramers_v of the generated − cramers_v of the reference

Input: two columns of the generated and the reference samples, named by `first` and `second`; r and
c count the values in either set. Range of `cramers_v` [0, 1], 0 when the two are independent and 1
when one follows from the other; of `excess` [−1, 1]. Neither has a better direction, since some
attributes do go together in the world: `excess` above 0 is a stereotype stronger than the
reference's. `p_value` is that of Pearson's χ² test that they are independent among the generated,
by 9,999 Monte Carlo tables of the same margins where a cell expects fewer than 5 samples.

V is biased upwards at finite n (by about √((r − 1)(c − 1)/(n · (min(r, c) − 1))) where the two are
independent), so its interval is the spread at this n by a multinomial bootstrap, and `excess` is of
use where both sets are of like size. Undefined where a column has one value only.

Source: Cramér 1946; `scipy.stats.contingency.association` is the reference implementation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from geneval.data import Fields, Labels, natural
from geneval.metric import Undefined, fields, metric
from geneval.resample import Context, bootstrap
from geneval.shares import counts, cramers_v, independence, spread
from geneval.value import DetailTable, Estimate, OutputSpec, Role


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two attributes, independent in the reference; damage makes one follow the other."""
    ids = tuple(f"{i:04d}" for i in range(400))
    job, gender, other, theirs = rng.integers(0, 2, size=(4, 400))
    gender = np.where(rng.random(400) < damage, job, gender)
    return {
        "generated": Fields(ids, {"first": job.tolist(), "second": gender.tolist()}),
        "reference": Fields(ids, {"first": other.tolist(), "second": theirs.tolist()}),
    }


@metric(
    "attribute_association",
    version=1,
    outputs=[
        OutputSpec("cramers_v", "target", range=(0, 1)),
        OutputSpec("p_value", "target", range=(0, 1)),
        OutputSpec("excess", "target", range=(-1, 1)),
    ],
    needs=lambda o: {role: fields(role, o.first, o.second) for role in ("generated", "reference")},
    example=example,
    identity={"excess": 0},
)
def attribute_association(
    generated: Fields,
    reference: Fields,
    context: Context,
    *,
    first: str = "first",
    second: str = "second",
) -> list[Estimate]:
    """Strength and test of the association, and what it exceeds the reference by."""
    values = [_values((generated, reference), name) for name in (first, second)]
    joint = [Labels.joint(given, (first, second)) for given in (generated, reference)]
    names = [", ".join(pair) for pair in product(*values)]
    x, y = (counts(one, names).reshape(len(values[0]), -1) for one in joint)
    if not all(len(one) > 1 for one in values):
        raise Undefined(f"{first} or {second} has one value only: nothing can be associated")
    n = {Role.GENERATED: len(generated.ids), Role.REFERENCE: len(reference.ids)}
    strength, theirs = float(cramers_v(x)), float(cramers_v(y))
    rng = context.generator("attribute_association")
    errors = [
        float(cramers_v(bootstrap([one.ravel()], lambda c: c, rng).reshape(-1, *x.shape)).std())
        for one in (x, y)
    ]
    test = independence(x, context.generator("attribute_association p_value"))
    told = f"Cramér's V of {first} and {second} {strength:.4g}, in the reference {theirs:.4g}"
    table = DetailTable(
        f"{first} and {second}",
        {"class": names, "generated": x.ravel().tolist(), "reference": y.ravel().tolist()},
        chart="bars",
    )
    excess = strength - theirs
    estimates = [
        Estimate(
            output="cramers_v",
            number=strength,
            finding=told,
            tables=(table,),
            **spread(context, strength, errors[0], (0, 1)),
        ),
        Estimate(output="p_value", number=test.p, no_interval="a p-value", finding=str(test)),
        Estimate(
            output="excess", number=excess, **spread(context, excess, math.hypot(*errors), (-1, 1))
        ),
    ]
    return [replace(one, n=n) for one in estimates]


def _values(sets: tuple[Fields, Fields], name: str) -> list[str]:
    """The different values of a column in either set."""
    return sorted({str(cell) for one in sets for cell in one.columns[name]}, key=natural)
