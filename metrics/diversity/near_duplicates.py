"""Near duplicates: how many generated samples have a near copy among the generated ones.

    near_duplicates = share of samples with another one within reach
    redundant = 1 − groups / n,  groups the connected components of the pairs within reach

Input: generated features [n, d] and the reference's nearest neighbours; a text embedding serves as
well. The reach is `scale` times the `quantile` of the reference's distances to its nearest
neighbours: by default half of the distance within which one reference sample in a hundred has
another. The larger part of a reference's own pairs is thus out of reach, and a healthy sample has
next to no near duplicate. Where a hundredth of the reference are exact copies the reach is 0, and
exact copies alone count. With `bits` the reach is that many differing bits of `perceptual-hash`
(4 to 10 of 64 are usual), and no reference is needed. Comparisons of distances are exact.

Both are in [0, 1]; lower is better. Ten copies of one sample and ninety single ones give 0.1 and
0.09. Both grow with n, in a large sample as n does, so that the interval is the spread at this n
and a comparison takes equal n only. The interval is Wilson's at the effective sample size of the
leave-one-out influence; of `redundant` it takes a group to hold together when one sample is left
out. The reach is taken as known. The groups stand in a table and, the largest first, in a gallery.

Source: Arora and Zhang 2017, arXiv:1706.08224, look for such pairs by eye.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Features, Neighbours
from geneval.linalg import Floats
from geneval.links import Links, links
from geneval.metric import features, metric, neighbours
from geneval.options import AtLeast
from geneval.resample import Context, proportion_interval
from geneval.value import DetailTable, Estimate, Evidence, Gallery, Ids, OutputSpec, Role

QUANTILE, SCALE = 0.01, 0.5  # of the reference's distances to the nearest, and of that quantile
GROUPS = 12  # groups in the table and the gallery
EACH = 4  # samples of a group in the gallery


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two clouds, the generated one with a few copies; damage makes more."""
    from geneval.neighbours import nearest

    ids = tuple(f"{i:04d}" for i in range(300))
    x, y = rng.normal(size=(2, 300, 6))
    copies = 6 + round(60 * damage)
    x[-copies:] = x[np.arange(copies) % 5]
    return {
        "generated": Features(ids, x),
        "near_reference": Neighbours(ids, *nearest(y, 1)),
    }


@metric(
    "near_duplicates",
    version=1,
    min_n=2,
    n_match="exact",
    outputs=[
        OutputSpec("near_duplicates", "lower", range=(0, 1)),
        OutputSpec("redundant", "lower", range=(0, 1)),
    ],
    needs=lambda o: (
        {"generated": features("generated"), "near_reference": neighbours("reference", 1)}
        if o.bits is None
        else {"generated": features("generated", extractor="perceptual-hash")}
    ),
    example=example,
    conventions={"ties": "<="},
)
def near_duplicates(
    generated: Features,
    context: Context,
    near_reference: Neighbours | None = None,
    *,
    quantile: Annotated[float, AtLeast(0)] = QUANTILE,
    scale: Annotated[float, AtLeast(0)] = SCALE,
    bits: Annotated[int | None, AtLeast(0)] = None,
) -> list[Estimate]:
    """Share of samples with a near duplicate, and share that could go."""
    if near_reference is None:
        assert bits is not None, "the needs follow from bits"
        reach = math.sqrt(bits + 0.5)  # squared distances of bits are whole numbers
    else:
        reach = reach_of(near_reference, quantile, scale)
    found = links(generated.x, reach)
    linked = (found.degree > 0).astype(np.float64)
    freed = np.bincount(found.only[found.only >= 0], minlength=generated.n)
    return [
        _share(context, "near_duplicates", linked.mean(), linked + freed, generated.ids, found),
        _share(context, "redundant", found.redundant / generated.n, linked, generated.ids, found),
    ]


def reach_of(near_reference: Neighbours, quantile: float, scale: float) -> float:
    """The distance up to which samples count as near duplicates."""
    return scale * float(np.quantile(near_reference.radius(1), min(quantile, 1.0)))


def _share(
    context: Context, output: str, share: float, change: Floats, ids: Ids, found: Links
) -> Estimate:
    """A share with the change [n] that every sample's absence makes to its count."""
    influence = change - change.mean()
    interval = proportion_interval(
        influence + share, np.zeros(len(ids)), context.level, "wilson, leave-one-out"
    )
    first = output == "near_duplicates"
    return Estimate(
        output=output,
        number=float(share),
        n={Role.GENERATED: len(ids)},
        interval=interval,
        evidence={Role.GENERATED: Evidence("influence", ids, influence)},
        finding=told(found) if first else "",
        tables=(group_table(found, ids),) if first else (),
        galleries=(group_gallery(found, ids),) if first and found.pairs else (),
    )


def told(found: Links) -> str:
    """The groups in words."""
    several = int((found.sizes > 1).sum())
    if not several:
        return f"none of {len(found.group):,} samples has a near duplicate"
    return (
        f"{found.redundant + several:,} of {len(found.group):,} samples fall into {several:,} "
        f"groups of near duplicates, the largest of {found.sizes.max():,}"
    )


def largest_groups(found: Links, ids: Ids) -> list[Ids]:
    """The ids of the largest groups of two or more, sorted; of equally large ones by first id."""
    sizes = found.sizes
    near = np.flatnonzero(sizes[found.group] > 1)
    members: dict[int, list[str]] = {}
    for row in near:
        members.setdefault(int(found.group[row]), []).append(ids[row])
    groups = [tuple(sorted(group)) for group in members.values()]
    return sorted(groups, key=lambda group: (-len(group), group[0]))[:GROUPS]


def group_table(found: Links, ids: Ids) -> DetailTable:
    """The largest groups, their size and one of them."""
    groups = largest_groups(found, ids)
    return DetailTable(
        "Groups of near duplicates",
        {
            "group": list(range(1, len(groups) + 1)),
            "samples": [len(group) for group in groups],
            "first": [group[0] for group in groups],
        },
    )


def group_gallery(found: Links, ids: Ids) -> Gallery:
    """A few samples of each of the largest groups."""
    shown = [
        (one, f"group {number} of {len(group)}")
        for number, group in enumerate(largest_groups(found, ids), 1)
        for one in group[:EACH]
    ]
    return Gallery(
        "Groups of near duplicates",
        Role.GENERATED,
        tuple(one for one, _ in shown),
        tuple(caption for _, caption in shown),
    )
