"""Mode collapse: does the generator leave out, repeat or draw together what the data hold; 1 or 0.

    mode_collapse = 1 if the least of four p-values, adjusted by Holm, is at most `alpha`, else 0

1. lost parts: a part of the data keeps less than `lost` (a half) of its share of the reference;
   exact conditional test of two counts, times the number of parts.
2. copies: the samples that repeat another one (within the reach of `near_duplicates`) are more than
   the reference has of its own, pairs for pairs, and more than `copies` (1 %) of all; the larger of
   the p-values of the exact conditional test and of the binomial one.
3. spread: tr Σ is below `narrowed` (a half) times the reference's; normal test of the logarithm.
4. spread within parts: the same of Σ_c q_c tr Σ_c with the reference's shares q.

Input: features of both sides, the reference's nearest neighbours, and by default the classes that
the extractor predicts for both. `parts: given` takes given labels, `parts: bins` the k-means bins
of `ndb`, fitted to half of the reference, where an extractor has no classes.

The three margins are there because no generator is perfect: a class at 80 % of its share, or
samples somewhat less various than the data, are not collapse. 0 is best; range {0, 1}; a verdict
has no interval. `p_value` is the least adjusted one. The finding names what collapsed, or what
would have been noticed with 80 % power at this n, and the table holds the evidence. Classes drawn
together each in itself are seen by the fourth test where parts are classes, or bins as small.

It is a problem, not 0, when nothing is found and little could be: when a part of median share
might vanish, a tenth more of the samples than of the reference be copies, or all deviations be
halved, without being noticed.
How often each kind of collapse is found, and how often a healthy generator is called collapsed,
stands in docs/mode-collapse.md.

Source: Przyborowski and Wilenski 1940 (the conditional test), Holm 1979; the probes are those of
arXiv:1805.12462 and arXiv:1706.08224.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Any, Literal

import numpy as np

from geneval.data import Features, Labels, LabelSpace, Neighbours
from geneval.linalg import Floats, Ints
from geneval.links import Links, links
from geneval.metric import features, labels, metric, neighbours
from geneval.metrics.diversity.near_duplicates import (
    QUANTILE,
    SCALE,
    group_gallery,
    reach_of,
    told,
)
from geneval.metrics.diversity.spread import variances
from geneval.options import AtLeast
from geneval.parts import Parts, by_bins, by_class
from geneval.rates import POWER, fewer, more, noticed_loss, noticed_share, share_above
from geneval.resample import Context, holm
from geneval.value import DetailTable, Estimate, Gallery, OutputSpec, Role

TESTS = 4
COPIED = 0.1  # share of copies, beyond the reference's own, that must not go unnoticed
HALVED = 0.25  # ratio of variances that must not go unnoticed
SHOWN = 24  # samples of lost parts in the gallery
EACH = 6  # of one part


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Ten clusters; damage empties most of them into the first."""
    from geneval.neighbours import nearest

    ids = tuple(f"{i:04d}" for i in range(500))
    space = LabelSpace(tuple("0123456789"))
    centres = rng.normal(size=(10, 4)) * 4
    which, other = rng.integers(0, 10, size=(2, 500))
    which = np.where(which > 9 - 6 * damage, 0, which)
    x, y = (centres[labels] + rng.normal(size=(500, 4)) for labels in (which, other))
    return {
        "generated": Features(ids, x),
        "reference": Features(ids, y),
        "near_reference": Neighbours(ids, *nearest(y, 1)),
        "generated_labels": Labels(ids, which, space),
        "reference_labels": Labels(ids, other, space),
    }


@metric(
    "mode_collapse",
    version=1,
    min_n=20,
    outputs=[
        OutputSpec("mode_collapse", "lower", range=(0, 1)),
        OutputSpec("p_value", "target", range=(0, 1)),
    ],
    needs=lambda o: {
        "generated": features("generated"),
        "reference": features("reference"),
        "near_reference": neighbours("reference", 1),
        **(
            {f"{role}_labels": labels(role, o.parts) for role in ("generated", "reference")}
            if o.parts != "bins"
            else {}
        ),
    },
    example=example,
    conventions={"tests": "parts, copies, spread, within", "adjusted": "holm"},
)
def mode_collapse(
    generated: Features,
    reference: Features,
    near_reference: Neighbours,
    context: Context,
    generated_labels: Labels | None = None,
    reference_labels: Labels | None = None,
    *,
    parts: Literal["predicted", "given", "bins"] = "predicted",
    bins: Annotated[int, AtLeast(2)] = 20,
    alpha: Annotated[float, AtLeast(1e-9)] = 0.01,
    lost: Annotated[float, AtLeast(0)] = 0.5,
    copies: Annotated[float, AtLeast(0)] = 0.01,
    narrowed: Annotated[float, AtLeast(0.01)] = 0.5,
    quantile: Annotated[float, AtLeast(0)] = QUANTILE,
    scale: Annotated[float, AtLeast(0)] = SCALE,
) -> list[Estimate]:
    """The verdict and the least adjusted p-value of the four tests."""
    if generated_labels is None or reference_labels is None:
        cut = by_bins(generated, reference, context, bins, held_out=True)
    else:
        cut = by_class(generated, reference, generated_labels, reference_labels)
    level = alpha / TESTS
    reach = reach_of(near_reference, quantile, scale)
    near, own = links(generated.x, reach), links(reference.x, reach)
    trials = [
        lost_parts(cut, lost, level),
        repeated(near, own, copies, level),
        drawn_together(cut.whole(), narrowed, level),
        drawn_together(cut, narrowed, level),
    ]
    adjusted = holm([trial.p for trial in trials])
    pictures = [
        *([lost_gallery(cut, lost, level)] if adjusted[0] <= alpha else []),
        *([group_gallery(near, generated.ids)] if adjusted[1] <= alpha else ()),
    ]
    verdict = Estimate(
        output="mode_collapse",
        n={Role.GENERATED: generated.n, Role.REFERENCE: reference.n},
        tables=(evidence(trials, adjusted), part_table(cut)),
        galleries=tuple(pictures),
        **decided(trials, adjusted, alpha),
    )
    least = Estimate(output="p_value", number=min(adjusted), n=verdict.n, no_interval="a p-value")
    return [verdict, least]


def decided(trials: Sequence[Trial], adjusted: Sequence[float], alpha: float) -> dict[str, Any]:
    """The verdict in words and as 1, 0 or a problem: number, finding and the like, as keywords."""
    found = [trial.finding for trial, p in zip(trials, adjusted, strict=True) if p <= alpha]
    blind = [trial.limit for trial in trials if not trial.sees]
    if blind and not found:
        return {"problem": f"cannot tell: {'; '.join(blind)}; give more samples of either side"}
    limits = "; ".join(trial.limit for trial in trials)
    return {
        "number": int(bool(found)),
        "no_interval": f"a decision at alpha = {alpha:g}",
        "finding": "; ".join(found)
        or f"no sign of mode collapse; with {POWER:.0%} power it notices {limits}",
    }


# ------------------------------------------------------------------------------------ tests


@dataclass(frozen=True)
class Trial:
    """One test: p-value, what it found, the effect it would notice, and whether that will do."""

    name: str
    p: float
    finding: str
    limit: str
    sees: bool


def part_p(cut: Parts, lost: float) -> Floats:
    """p-value of every part keeping its share, times the number of parts."""
    x, y = cut.counts
    sizes = len(cut.of_generated), len(cut.of_reference)
    p: Floats = np.minimum(fewer(x, y, *sizes, lost) * len(x), 1.0)
    return p


def gone(cut: Parts, lost: float, level: float) -> Ints:
    """The parts whose loss is significant at this level, at least the most significant one."""
    p = part_p(cut, lost)
    return np.flatnonzero((p <= max(level, p.min())) & (cut.counts[1] > 0))


def lost_parts(cut: Parts, lost: float, level: float) -> Trial:
    """Whether a part has lost most of its share."""
    x, y = cut.counts
    n, m = len(cut.of_generated), len(cut.of_reference)
    told_of = [
        f"{cut.kind} {cut.names[c]} lost {1 - x[c] / n / (y[c] / m):.0%} of its share ({x[c]:,} "
        f"samples instead of {y[c] * n / m:,.0f})"
        for c in gone(cut, lost, level)
    ]
    share = float(np.median(y[y > 0])) / m
    loss = noticed_loss(share, n, m, lost, level / len(x))
    about = f"a {cut.kind} of median share ({share:.1%})"
    limit = f"{about} might vanish unnoticed" if loss is None else f"{about} losing {loss:.0%}"
    least = float(part_p(cut, lost).min())
    return Trial("lost parts", least, "; ".join(told_of), limit, loss is not None)


def repeated(near: Links, own: Links, copies: float, level: float) -> Trial:
    """Whether samples repeat each other more than the reference's do."""
    n, m = len(near.group), len(own.group)
    pairs = n * (n - 1), m * (m - 1)
    p = np.maximum(more(np.arange(n), own.redundant, *pairs), share_above(np.arange(n), n, copies))
    enough = np.flatnonzero(p <= level)
    seen = noticed_share(int(enough[0]), n) if len(enough) else 1.0
    unseen = COPIED + own.redundant / m
    sees = seen <= unseen
    limit = (
        f"{seen:.1%} of the samples being copies"
        if sees
        else f"{unseen:.0%} of the samples might be copies unnoticed"
    )
    share = f"{near.redundant / n:.1%} of the samples are copies of others: {told(near)}"
    return Trial("copies", float(p[near.redundant]), share, limit, sees)


def drawn_together(cut: Parts, narrowed: float, level: float) -> Trial:
    """Whether the variance, or that within parts, is well below the reference's."""
    x, y = cut.counts
    both = np.flatnonzero((x > 1) & (y > 1))
    name = f"variance within a {cut.kind}" if cut.kind else "variance"
    weights = y[both] / max(1, y[both].sum())
    top, top_error = pooled(cut.generated.x, cut.of_generated, both, weights)
    base, base_error = pooled(cut.reference.x, cut.of_reference, both, weights)
    unseen = f"a {name} of a quarter of the reference's might go unnoticed"
    if base == 0:
        return Trial(name, 1.0, "", unseen, sees=False)
    error = math.hypot(top_error / top if top else 0.0, base_error / base)
    normal = NormalDist()
    apart = math.log(top / base / narrowed) if top else -math.inf
    p = normal.cdf(apart / error) if error > 0 else float(apart >= 0)
    seen = narrowed * math.exp((normal.inv_cdf(level) - normal.inv_cdf(POWER)) * error)
    finding = f"the {name} is {top / base:.0%} of the reference's"
    sees = seen >= HALVED
    return Trial(
        name, p, finding, f"a {name} below {seen:.0%} of the reference's" if sees else unseen, sees
    )


def pooled(
    x: np.ndarray[Any, Any], part: Ints, which: Ints, weights: Floats
) -> tuple[float, float]:
    """The weighted mean of the traces of the covariances within parts, and its standard error."""
    total, variance = 0.0, 0.0
    for one, weight in zip(which, weights, strict=True):
        scores = variances(x[part == one])
        total += weight * scores.mean()
        variance += weight**2 * scores.var(ddof=1) / len(scores)
    return float(total), math.sqrt(variance)


# --------------------------------------------------------------------------------- evidence


def evidence(trials: Sequence[Trial], adjusted: Sequence[float]) -> DetailTable:
    """What every test found and would notice."""
    return DetailTable(
        "Evidence",
        {
            "test": [trial.name for trial in trials],
            "p-value": [float(f"{trial.p:.3g}") for trial in trials],
            "by Holm": [float(f"{p:.3g}") for p in adjusted],
            "notices": [trial.limit for trial in trials],
        },
    )


def part_table(cut: Parts) -> DetailTable:
    """Samples of every part on either side."""
    x, y = cut.counts
    columns = {"generated": x.tolist(), "reference": y.tolist()}
    return DetailTable(
        f"Samples of every {cut.kind}", {cut.kind: list(cut.names), **columns}, chart="bars"
    )


def lost_gallery(cut: Parts, lost: float, level: float) -> Gallery:
    """Reference samples of what is lost, the most central first where parts have centres."""
    central = np.argsort(cut.distance, kind="stable")
    rows = [
        (row, cut.names[c])
        for c in gone(cut, lost, level)
        for row in central[cut.of_reference[central] == c][:EACH]
    ][:SHOWN]
    ids = tuple(cut.reference.ids[row] for row, _ in rows)
    captions = tuple(f"{cut.kind} {name}" for _, name in rows)
    return Gallery("Lost: what the reference has there", Role.REFERENCE, ids, captions)
