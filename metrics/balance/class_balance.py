"""Class balance: are the classes generated in the proportions expected, is any missing.

    total_variation = ½ Σ |p_c − q_c|,  p and q the shares of class c generated and expected
    jsd             = H((p + q)/2) − (H(p) + H(q))/2,  H the entropy in bits

Input: labels of the generated samples, and of the reference unless `target` says what is expected:
`uniform`, or a share for each class. The classes are those of the reference (or target) together
with those declared in `classes`; a generated class beyond them counts as one more. With
`attributes: [gender, age]` the classes are the intersections of these columns, `f, old`.

Outputs: `total_variation` and `jsd` in [0, 1], lower is better; `p_value` of Pearson's χ² test (of
two samples, or of one against the target), by 9,999 Monte Carlo draws where a class expects fewer
than 5 samples; `missing`, the number of classes whose generated share is below `missing_below`
times the expected one, or that are declared and never generated (above zero because a classifier
mistakes a few samples for a class that is never drawn); `over_produced`, the number of classes
drawn significantly more often than expected: an exact test for each class by itself, adjusted by
Holm. The table has each class with Wilson's interval, its verdict, and the weight (scikit-learn's
`balanced`) by which training on these samples would count all classes alike.

`labels: given` takes the labels of the samples. A generator's samples bear the labels that were
asked for, so its balance needs `labels: predicted`: both sets are then labelled by the same
classifier, whose accuracy on the labelled reference stands in the finding. `corrected: true`
corrects the generated shares for the mistakes it makes on the reference, and expects the
reference's true shares; the tests stay those of the predicted labels (a target goes through the
confusion matrix, which is taken as exact). Undefined where that matrix is near singular.

Total variation and divergence are biased upwards at finite n; their interval is the spread at this
n by a multinomial bootstrap of all that is counted. Evidence of corrected shares is conditional on
the confusion matrix.

Source: Pearson 1900; `scipy.stats.chi2_contingency` is the reference implementation. Lin 1991 for
the divergence, Saerens, Latinne and Decaestecker 2002 for the correction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from geneval.data import Fields, Labels, LabelSpace, natural
from geneval.metric import LabelSource, Need, Undefined, fields, labels, metric
from geneval.options import AtLeast
from geneval.resample import Context, bootstrap, wilson
from geneval.shares import FEW, Floats, balanced_weights, jensen_shannon, spread, total_variation
from geneval.sides import Sides, Target, sides_of
from geneval.value import Cell, DetailTable, Estimate, OutputSpec, Role

Bools = NDArray[np.bool_]
Distance = Callable[[Floats, Floats], Floats]
RESAMPLES = 200  # of corrected shares, each of which is a least squares problem


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Five classes, evenly in the reference; damage draws the first one instead."""
    space = LabelSpace(tuple("abcde"))
    ids = tuple(f"{i:04d}" for i in range(400))
    x, y = rng.integers(0, 5, size=(2, 400))
    x = np.where(rng.random(400) < damage, 0, x)
    return {"generated": Labels(ids, x, space), "reference": Labels(ids, y, space), "truth": None}


def needs(o: Any) -> Mapping[str, Need]:
    """Labels or attributes of both sets; a target alone does without the reference."""
    found = {}
    for role in ("generated", "reference"):
        classes = o.classes if role == "generated" else None
        columns = o.attributes
        found[role] = fields(role, *columns) if columns else labels(role, o.labels, classes)
    if o.target is not None and not o.corrected:
        del found["reference"]
    elif o.labels == "predicted" and not o.attributes:
        found["truth"] = labels("reference", "given")
    return found


@metric(
    "class_balance",
    version=2,
    min_n=1,
    outputs=[
        OutputSpec("total_variation", "lower", range=(0, 1)),
        OutputSpec("p_value", "target", range=(0, 1)),
        OutputSpec("missing", "lower", unit="classes", range=(0, None)),
        OutputSpec("over_produced", "lower", unit="classes", range=(0, None)),
        OutputSpec("jsd", "lower", unit="bits", range=(0, 1)),
    ],
    needs=needs,
    example=example,
    identity={"total_variation": 0, "p_value": 1, "missing": 0, "over_produced": 0, "jsd": 0},
    symmetric=("total_variation", "p_value", "jsd"),
)
def class_balance(
    generated: Labels | Fields,
    context: Context,
    reference: Labels | Fields | None = None,
    truth: Labels | None = None,
    *,
    labels: LabelSource = "given",
    classes: list[str] | None = None,
    attributes: list[str] | None = None,
    target: Target | None = None,
    corrected: bool = False,
    missing_below: Annotated[float, AtLeast(0)] = 0.1,
) -> list[Estimate]:
    """Distances, test, absences and excesses of the generated class shares."""
    if corrected and truth is None:
        raise Undefined("corrected: true is for what a classifier predicts: set labels: predicted")
    mine, theirs = _labels(generated, attributes), _labels(reference, attributes)
    assert mine is not None
    sides = sides_of(mine, theirs, truth if corrected else None, target, classes)
    rng, resamples = context.generator("class_balance"), RESAMPLES if corrected else 1000
    redrawn = bootstrap(sides.counted, sides.shares, rng, resamples)
    p, q = sides.shares(*sides.counted)
    absent = (p < missing_below * q) | ((sides.x == 0) & (q == 0))
    odd = sides.apart() <= 1 - context.level
    cautions = [_accuracy(theirs, truth, labels), _few(sides), _unseen(sides)]
    test = sides.test(context.generator("class_balance p_value"))
    estimates = [
        replace(
            _distance("total_variation", sides, redrawn, context),
            finding=_joined(cautions),
            tables=(_counted(sides),),
        ),
        Estimate(output="p_value", number=test.p, no_interval="a p-value", finding=str(test)),
        _count("missing", sides, absent, _joined(cautions)),
        replace(
            _count("over_produced", sides, odd & (p > q)),
            tables=(_listed(sides, redrawn, absent, odd, context),),
        ),
        _distance("jsd", sides, redrawn, context),
    ]
    n = {Role.GENERATED: len(mine.ids)} | ({Role.REFERENCE: len(theirs.ids)} if theirs else {})
    signed = {"target": _written(target, q)} if target else {}
    return [replace(one, n=n, signed=signed) for one in estimates]


def _distance(output: str, sides: Sides, redrawn: Floats, context: Context) -> Estimate:
    """A distance of the shares, its interval from redrawn shares [resamples, 2, k]."""
    distance, slope = DISTANCES[output]
    p, q = sides.shares(*sides.counted)
    number, se = float(distance(p, q)), float(distance(redrawn[:, 0], redrawn[:, 1]).std())
    return Estimate(
        output=output,
        number=number,
        **spread(context, number, se, (0, 1)),
        evidence=sides.evidence(slope(p, q), slope(q, p)),
    )


def _count(output: str, sides: Sides, found: Bools, also: str = "") -> Estimate:
    """How many classes are so, and which."""
    what, names = output.replace("_", "-"), sides.names
    listed = ", ".join(name for name, is_so in zip(names, found, strict=True) if is_so)
    told = f"{what} {int(found.sum())} of {len(names)} classes: {listed}"
    return Estimate(
        output=output,
        number=int(found.sum()),
        no_interval="a count of classes, not an average over samples",
        finding=_joined([told if listed else f"none of {len(names)} classes is {what}", also]),
    )


def _half_sign(p: Floats, q: Floats) -> Floats:
    """Derivative [k] of the total variation by p."""
    return np.sign(p - q) / 2


def _steepness(p: Floats, q: Floats) -> Floats:
    """Derivative [k] of the divergence by p, which matters only where p is not 0."""
    there = p > 0
    return np.where(there, np.log2(2 * np.where(there, p, 1) / np.where(there, p + q, 1)) / 2, 0)


DISTANCES: Mapping[str, tuple[Distance, Distance]] = {  # with their derivatives
    "total_variation": (total_variation, _half_sign),
    "jsd": (jensen_shannon, _steepness),
}


def _labels(given: Labels | Fields | None, attributes: list[str] | None) -> Labels | None:
    """Labels as they are, or the intersections of the attributes."""
    if isinstance(given, Fields):
        return Labels.joint(given, attributes or ())
    return given


def _written(target: Target, q: Floats) -> str:
    """A target in the signature."""
    if isinstance(target, str):
        return f"{target} over {np.count_nonzero(q)}"
    return ",".join(f"{name}={target[name]:g}" for name in sorted(target))


def _counted(sides: Sides) -> DetailTable:
    """Counts of both sides, or the count that a target expects."""
    columns: dict[str, list[Cell]] = {"class": [*sides.names], "generated": sides.x.tolist()}
    if sides.y is not None:
        columns["reference"] = sides.y.tolist()
    else:
        columns["expected"] = (sides.aimed * sides.x.sum()).tolist()
    return DetailTable("Class counts", columns, chart="bars")


def _listed(
    sides: Sides, redrawn: Floats, absent: Bools, odd: Bools, context: Context
) -> DetailTable:
    """Each class with its share and interval, the share expected, the verdict and a weight."""
    p, q = sides.shares(*sides.counted)
    if sides.table is None:
        n = int(sides.x.sum())
        ends = [wilson(x, n, context.level, "population") for x in sides.x.tolist()]
        low, high = [one.low for one in ends], [one.high for one in ends]
    else:
        tails = [(1 - context.level) / 2, (1 + context.level) / 2]
        low, high = np.quantile(redrawn[:, 0], tails, axis=0).tolist()
    verdict = np.where(absent, "missing", np.where(odd, np.where(p > q, "more", "fewer"), ""))
    columns: dict[str, list[Cell]] = {
        "class": [*sides.names],
        "share": p.tolist(),
        "from": [*low],
        "to": [*high],
        "expected": q.tolist(),
        "verdict": verdict.tolist(),
        "balanced weight": [*balanced_weights(sides.x)],
    }
    return DetailTable(f"Class shares{', corrected' if sides.table is not None else ''}", columns)


def _accuracy(predicted: Labels | None, truth: Labels | None, source: LabelSource) -> str:
    if predicted is None or truth is None:
        unknown = source == "predicted" and predicted is None
        return "labels predicted by a classifier of unknown accuracy" if unknown else ""
    right = np.mean([a == b for a, b in zip(predicted.names(), truth.names(), strict=True)])
    blind = ", ".join(sorted({*truth.names()} - {*predicted.names()}, key=natural))
    told = f"labels predicted by a classifier {right:.1%} accurate on the labelled reference"
    return f"{told}, where it never predicts {blind}" if blind else told


def _few(sides: Sides) -> str:
    few = int((sides.expected < FEW).sum())
    return f"{few} classes expect fewer than {FEW} samples: absence may be chance" if few else ""


def _unseen(sides: Sides) -> str:
    """What is assumed of classes whose mistakes cannot be counted."""
    unseen = 0 if sides.table is None else int((sides.table.sum(axis=1) == 0).sum())
    told = "classes without a labelled reference sample are taken to be recognised without mistakes"
    return f"{unseen} {told}" if unseen else ""


def _joined(findings: list[str]) -> str:
    return "; ".join(finding for finding in findings if finding)
