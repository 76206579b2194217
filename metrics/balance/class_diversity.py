"""Class diversity: how evenly the generated samples are spread over classes, by themselves.

    entropy           = −Σ p_c ln p_c / ln k,  p the shares of k classes; 1 when even
    effective_classes = exp(−Σ p_c ln p_c),  how many even classes would be as diverse
    gini              = Σ (2i − k − 1) p_(i) / k,  p in ascending order; 0 when even
    imbalance_ratio   = the largest count over the smallest

Input: labels of the generated samples; no reference is needed. The k classes, which stand in the
signature, are those declared in `classes`, else those that the classifier can predict
(`labels: predicted`), else those that occur: with labels as given, declare the classes, or one that
is never drawn is not seen to be absent. A class beyond those declared counts as one more.
Ranges: `entropy` [0, 1] and `effective_classes` [1, k], higher is better; `gini` [0, (k − 1)/k] and
`imbalance_ratio` [1, ∞), lower is better. A class without a sample counts as half a sample in the
ratio, which is then said to be a lower bound. Undefined is entropy while there is one class only.

All are biased at finite n towards less diversity (the unscaled entropy by about −(k − 1)/(2n),
Miller 1955), so the interval is the spread at this n: by a multinomial bootstrap, and for the ratio
by the standard error of its logarithm, √(1/largest + 1/smallest) (Katz et al. 1978).

Source: Hill 1973 for the effective number (of order 1); `scipy.stats.entropy` for entropy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from geneval.data import Labels, LabelSpace, natural
from geneval.metric import LabelSource, Undefined, labels, metric
from geneval.resample import Context, bootstrap, quantile
from geneval.shares import Floats, Ints, counts, entropy, gini, influence, spread
from geneval.value import DetailTable, Estimate, Interval, OutputSpec, Role

OUTPUTS = [
    OutputSpec("entropy", "higher", range=(0, 1)),
    OutputSpec("effective_classes", "higher", unit="classes", range=(1, None)),
    OutputSpec("gini", "lower", range=(0, 1)),
    OutputSpec("imbalance_ratio", "lower", range=(1, None)),
]


ABSENT = 0.5  # samples that a class without any counts as in a ratio


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Five classes; damage draws the first one instead in up to 7 of 8 samples."""
    x = rng.integers(0, 5, size=800)
    x = np.where(rng.random(800) < 7 / 8 * damage, 0, x)
    return {"generated": Labels(tuple(f"{i:04d}" for i in range(800)), x, LabelSpace((*"abcde",)))}


@metric(
    "class_diversity",
    version=1,
    min_n=1,
    outputs=OUTPUTS,
    needs=lambda o: {"generated": labels("generated", o.labels, o.classes)},
    example=example,
    conventions={"absent": ABSENT},
)
def class_diversity(
    generated: Labels,
    context: Context,
    *,
    labels: LabelSource = "given",
    classes: list[str] | None = None,
) -> list[Estimate]:
    """Evenness of the class shares."""
    declared = sorted(set(classes or generated.space.names), key=natural)
    names = [*declared, *sorted(set(generated.names()) - set(declared), key=natural)]
    x = counts(generated, names)
    if not x.sum():
        raise Undefined("no labelled samples")
    table = DetailTable("Class counts", {"class": names, "generated": x.tolist()}, chart="bars")
    given: dict[str, Any] = {"n": {Role.GENERATED: int(x.sum())}, "signed": {"k": len(names)}}
    redrawn = bootstrap([x], lambda c: c / c.sum(), context.generator("class_diversity"))
    estimates = []
    for spec in OUTPUTS:
        try:
            number, sure, slope = _measured(spec, x, names, redrawn, context)
        except Undefined as reason:
            estimates.append(Estimate(output=spec.name, problem=str(reason), **given))
            continue
        estimates.append(
            Estimate(
                output=spec.name,
                number=number,
                **sure,
                evidence={Role.GENERATED: influence(generated, names, slope)},
                finding=_absent(x, names) if spec.name == "imbalance_ratio" else "",
                tables=(table,) if spec is OUTPUTS[0] else (),
                **given,
            )
        )
    return estimates


def _measured(
    spec: OutputSpec, x: Ints, names: list[str], redrawn: Floats, context: Context
) -> tuple[float, dict[str, Any], Floats]:
    """An output of counts, how sure it is, and its derivative [k] by the shares."""
    if spec.name == "imbalance_ratio":
        return _imbalance(x, context.level)
    if spec.name == "entropy" and len(names) == 1:
        raise Undefined("one class only: declare the `classes` that there can be")
    p, value = x / x.sum(), VALUES[spec.name]
    number, se = float(value(p)), float(value(redrawn).std())
    low, high = spec.range
    ends = (low, len(names) if high is None else high)  # of effective classes there are k at most
    return number, spread(context, number, se, ends), SLOPES[spec.name](p)


def _imbalance(x: Ints, level: float) -> tuple[float, dict[str, Any], Floats]:
    """Largest over smallest count; classes that tie for either share the derivative."""
    most, least = float(x.max()), max(float(x.min()), ABSENT)
    factor = math.exp(quantile(level) * math.sqrt(1 / most + 1 / least))
    ratio = most / least
    interval = Interval(max(ratio / factor, 1.0), ratio * factor, level, "log ratio", "at_n")
    largest, smallest = x == most, x == least
    slope = largest / largest.sum() / most - smallest / max(smallest.sum(), 1) / least
    return ratio, {"interval": interval}, slope * ratio * x.sum()


def _absent(x: Ints, names: list[str]) -> str:
    """Which classes make the ratio a lower bound."""
    absent = [name for name, count in zip(names, x.tolist(), strict=True) if not count]
    return f"no samples of {', '.join(absent)}: the ratio is a lower bound" if absent else ""


def _surprise(p: Floats) -> Floats:
    """Derivative [k] of the entropy in nats, which matters only where p is not 0."""
    return -np.log(np.where(p > 0, p, 1))


def _evenness(p: Floats) -> Floats:
    return np.asarray(entropy(p) / math.log(p.shape[-1]))


def _effective(p: Floats) -> Floats:
    return np.exp(entropy(p))


def _rank(p: Floats) -> Floats:
    """Derivative [k] of the Gini coefficient; classes that tie share their mean rank."""
    from scipy.stats import rankdata

    return np.asarray((2 * rankdata(p) - len(p) - 1) / len(p))


VALUES: Mapping[str, Callable[[Floats], Floats]] = {
    "entropy": _evenness,
    "effective_classes": _effective,
    "gini": gini,
}
SLOPES: Mapping[str, Callable[[Floats], Floats]] = {
    "entropy": lambda p: _surprise(p) / math.log(len(p)),
    "effective_classes": lambda p: _surprise(p) * _effective(p),
    "gini": _rank,
}
