"""Class balance: are the classes generated in the proportions of the reference, is any missing.

    total_variation = ½ Σ |p_c − q_c|,  p and q the shares of class c generated and in the reference

Input: labels of the generated and the reference samples. The classes are those of the reference
together with those declared in `classes`; a generated class beyond them counts as one more.
Outputs: `total_variation` in [0, 1], lower is better; `p_value` of Pearson's χ² test that both
sets come from one distribution (two-sample contingency table without continuity correction;
classes absent from both are left out); `missing`, the number of classes whose generated share is
below `missing_below` times their reference share, or that are declared and never generated. The
threshold above zero is there because a classifier mistakes a few samples for a class that is never
drawn.

`labels: given` takes the labels of the samples. A generator's samples bear the labels that were
asked for, so its balance needs `labels: predicted`: both sets are then labelled by the same
classifier, whose accuracy on the labelled reference stands in the finding.

Total variation is biased upwards at finite n; its interval is the spread at this n by a multinomial
bootstrap of both sets. Below 5 expected samples in a class the χ² approximation and an absence mean
little, and the finding says so.

Source: Pearson 1900; `scipy.stats.chi2_contingency` is the reference implementation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from geneval.data import Labels, LabelSpace, natural
from geneval.linalg import Floats, Ints
from geneval.metric import LabelSource, Undefined, labels, metric
from geneval.options import AtLeast
from geneval.resample import Context, bootstrap
from geneval.value import DetailTable, Estimate, Evidence, OutputSpec, Role

FEW = 5  # expected samples below which Pearson's approximation is not to be trusted


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Five classes, evenly in the reference; damage draws the first one instead."""
    space = LabelSpace(tuple("abcde"))
    ids = tuple(f"{i:04d}" for i in range(400))
    x, y = rng.integers(0, 5, size=(2, 400))
    x = np.where(rng.random(400) < damage, 0, x)
    return {"generated": Labels(ids, x, space), "reference": Labels(ids, y, space), "truth": None}


@metric(
    "class_balance",
    version=1,
    min_n=1,
    outputs=[
        OutputSpec("total_variation", "lower", range=(0, 1)),
        OutputSpec("p_value", "target", range=(0, 1)),
        OutputSpec("missing", "lower", unit="classes", range=(0, None)),
    ],
    needs=lambda o: {
        "generated": labels("generated", o.labels, o.classes),
        "reference": labels("reference", o.labels),
        **({"truth": labels("reference", "given")} if o.labels == "predicted" else {}),
    },
    example=example,
    identity={"total_variation": 0.0, "p_value": 1.0, "missing": 0.0},
    symmetric=("total_variation", "p_value"),
)
def class_balance(
    generated: Labels,
    reference: Labels,
    context: Context,
    truth: Labels | None = None,
    *,
    labels: LabelSource = "given",
    classes: list[str] | None = None,
    missing_below: Annotated[float, AtLeast(0)] = 0.1,
) -> list[Estimate]:
    """Distance, test and absences of the generated class shares."""
    names = _support(generated, reference, classes)
    x, y = counts(generated, names), counts(reference, names)
    n = {Role.GENERATED: int(x.sum()), Role.REFERENCE: int(y.sum())}
    if not (x.sum() and y.sum()):
        raise Undefined("no labelled samples on one side")
    p, q = x / x.sum(), y / y.sum()
    distance = total_variation(x, y)
    draws = bootstrap((x, y), total_variation, context.generator("class_balance"))
    absent = (p < missing_below * q) | ((x == 0) & (q == 0))
    findings = [_accuracy(reference, truth), _few(p, q, n)]
    table = DetailTable(
        "Class counts",
        {"class": names, "generated": x.tolist(), "reference": y.tolist()},
        chart="bars",
    )
    return [
        Estimate(
            output="total_variation",
            number=distance,
            n=n,
            interval=context.interval(
                distance, float(draws.std()), "multinomial bootstrap", "at_n", (0, 1)
            ),
            evidence={
                Role.GENERATED: _influence(generated, names, np.sign(p - q)),
                Role.REFERENCE: _influence(reference, names, np.sign(q - p)),
            },
            finding=_joined(findings),
            tables=(table,),
        ),
        _test(x, y, n),
        Estimate(
            output="missing",
            number=int(absent.sum()),
            n=n,
            no_interval="a count of classes, not an average over samples",
            finding=_joined([_absences(names, absent), *findings]),
        ),
    ]


def counts(labels: Labels, names: list[str]) -> Ints:
    """Samples [classes] in each of the named classes."""
    present = np.bincount(labels.codes, minlength=len(labels.space.names))
    by_name = dict(zip(labels.space.names, present.tolist(), strict=True))
    return np.array([by_name.get(name, 0) for name in names], dtype=np.int64)


def total_variation(x: Ints, y: Ints) -> float:
    """½ Σ |share − share| of two vectors of counts."""
    return float(np.abs(x / x.sum() - y / y.sum()).sum() / 2)


def _support(generated: Labels, reference: Labels, classes: list[str] | None) -> list[str]:
    """Reference classes and declared ones; a generated class beyond them would have no share."""
    declared = list(classes or [])
    names = sorted({*reference.names(), *declared}, key=natural)
    stray = sorted(set(generated.names()) - set(names), key=natural)
    return [*names, *stray]


def _test(x: Ints, y: Ints, n: Mapping[Role, int]) -> Estimate:
    """Pearson's χ² of the two-by-classes table."""
    from scipy.stats import chi2_contingency

    seen = (x + y) > 0
    statistic, p_value, freedom = 0.0, 1.0, int(seen.sum()) - 1
    if freedom:
        outcome = chi2_contingency(np.stack([x[seen], y[seen]]), correction=False)
        statistic, p_value = float(outcome.statistic), float(outcome.pvalue)
    return Estimate(
        output="p_value",
        number=p_value,
        n=dict(n),
        no_interval="a p-value",
        finding=f"χ² = {statistic:.4g} with {freedom} degrees of freedom",
    )


def _influence(labels: Labels, names: list[str], sign: Floats) -> Evidence:
    code = {name: i for i, name in enumerate(names)}
    score = np.array([sign[code[name]] / 2 for name in labels.names()])
    return Evidence("influence", labels.ids, score - score.mean())


def _absences(names: list[str], absent: np.ndarray[Any, np.dtype[np.bool_]]) -> str:
    if not absent.any():
        return f"none of {len(names)} classes is missing"
    listed = ", ".join(name for name, gone in zip(names, absent, strict=True) if gone)
    return f"missing {int(absent.sum())} of {len(names)} classes: {listed}"


def _accuracy(predicted: Labels, truth: Labels | None) -> str:
    if truth is None:
        return ""
    right = np.mean([a == b for a, b in zip(predicted.names(), truth.names(), strict=True)])
    return f"labels predicted by a classifier {right:.1%} accurate on the labelled reference"


def _few(p: Floats, q: Floats, n: Mapping[Role, int]) -> str:
    pooled = (p * n[Role.GENERATED] + q * n[Role.REFERENCE]) / sum(n.values())
    few = int(((pooled > 0) & (pooled * min(n.values()) < FEW)).sum())
    return f"{few} classes expect fewer than {FEW} samples: absence may be chance" if few else ""


def _joined(findings: list[str]) -> str:
    return "; ".join(finding for finding in findings if finding)
