"""Real or generated: how well a cross-validated classifier of features tells the two apart.

    auroc    = mean over generated g of the share of reference samples, held out with g, that look
               less generated than g (ties half)
    accuracy = ½ (share of generated samples called generated + share of reference called reference)

Input: features of generated and reference samples [n, d], both in deviations of the samples that
the classifier is trained on. `classifier` is `logistic` (scikit-learn's, L2 with C = `strength`,
classes weighted alike) or `knn` (share of generated samples among the `k` nearest, by exact
search). A hash of `seed` and id deals samples to `folds`; each fold is judged by a classifier of
the others, and compared within itself, since scores of two classifiers have no common scale.

Range [0, 1]; 0.5 is not to be told apart, and lower is better down to there. Far below 0.5 the sets
share samples: a copy is called by what its double was. `p_value` is that of a one-sided
Mann-Whitney test of no difference, summed over the folds.

Folds learn from shared samples, so that their scores vary together: all variances are Nadeau and
Bengio's (2003), 1 + K/(K−1) times those of K independent folds. The test then fired at a level of
5 % in 1.5 to 5 % of 400 simulated pairs of equal distributions, without it in 7 to 13 %.
Both numbers depend on how much there is to learn from: the interval is the spread at this n. It
counts every sample as in DeLong, as Wilson's interval at the effective sample size p(1−p)/SE².
Undefined with fewer than 2 samples of a side in a fold.

Paper: Lopez-Paz and Oquab 2017, arXiv:1610.06545. AUROC agrees with scikit-learn's in every fold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np

from geneval.data import Features
from geneval.linalg import Floats, Ints
from geneval.metric import Undefined, features, metric
from geneval.neighbours import nearest
from geneval.options import AtLeast
from geneval.ranks import mann_whitney, normal_tail, placements
from geneval.resample import Context, proportion_interval, standard_error, wilson
from geneval.value import Estimate, Evidence, Gallery, OutputSpec, Role

Classifier = Literal["logistic", "knn"]
Judge = Callable[[Floats, Floats, Floats], Floats]
ALIKE = 0.45  # an area certainly below it is no chance
SHOWN = 24  # samples in each gallery


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Two Gaussian clouds; damage moves the generated one away."""
    ids = tuple(f"{i:04d}" for i in range(150))
    x, y = rng.normal(size=(2, 150, 4))
    return {"generated": Features(ids, x + 3 * damage), "reference": Features(ids, y)}


@metric(
    "two_sample",
    version=1,
    paper="arXiv:1610.06545",
    min_n=20,
    outputs=[
        OutputSpec("auroc", "lower", range=(0, 1)),
        OutputSpec("accuracy", "lower", range=(0, 1)),
        OutputSpec("p_value", "target", range=(0, 1)),
    ],
    needs=lambda o: {"generated": features("generated"), "reference": features("reference")},
    example=example,
    conventions={"ties": "half", "folds_by": "hash of id"},
)
def two_sample(
    generated: Features,
    reference: Features,
    context: Context,
    *,
    classifier: Classifier = "logistic",
    folds: Annotated[int, AtLeast(2)] = 5,
    strength: Annotated[float, AtLeast(0)] = 1.0,
    k: Annotated[int, AtLeast(1)] = 5,
    seed: int = 0,
) -> list[Estimate]:
    """Area under the curve and accuracy of the classifier, and the p-value of no difference."""
    sides = generated, reference
    dealt = [Context(seed).blocks(side.ids, folds) for side in sides]
    least = min(np.bincount(fold, minlength=folds).min() for fold in dealt)
    if least < 2:
        raise Undefined(f"a fold has {least} samples of a side, needs 2: set folds lower")
    judge = partial(judged, classifier=classifier, strength=strength, k=k)
    scores = out_of_fold(generated, reference, dealt, judge)
    n = {Role.GENERATED: generated.n, Role.REFERENCE: reference.n}
    return [
        area(generated, reference, scores, dealt, context),
        accuracy(generated, reference, scores, folds, context),
        Estimate(output="p_value", number=p_value(scores, dealt), n=n, no_interval="a p-value"),
    ]


def p_value(scores: tuple[Floats, Floats], dealt: list[Ints]) -> float:
    """One-sided, of no difference: generated samples score higher than reference samples."""
    folds = int(dealt[0].max()) + 1
    tests = [
        mann_whitney(*(side[of == fold] for side, of in zip(scores, dealt, strict=True)))
        for fold in range(folds)
    ]
    deviation = math.hypot(*(test.deviation for test in tests)) * shared_learning(folds)
    above = sum(test.u - test.mean for test in tests)
    return normal_tail(-above / deviation) if deviation > 0 else 0.5


def out_of_fold(
    generated: Features, reference: Features, dealt: list[Ints], judge: Judge
) -> tuple[Floats, Floats]:
    """The score of every sample by a classifier of the other folds; above 0 is called generated."""
    scores = np.empty(generated.n), np.empty(reference.n)
    for fold in range(int(dealt[0].max()) + 1):
        known = [
            side.x[[row for row in np.argsort(side.ids) if of[row] != fold]].astype(np.float64)
            for side, of in zip((generated, reference), dealt, strict=True)
        ]
        both = np.concatenate(known)
        mean, deviation = both.mean(0), both.std(0)
        scale = np.where(deviation > 0, deviation, 1.0)
        for side, of, to in zip((generated, reference), dealt, scores, strict=True):
            asked = side.x[of == fold]
            to[of == fold] = judge(*((x - mean) / scale for x in (*known, asked)))
    return scores


def judged(
    x: Floats, y: Floats, asked: Floats, *, classifier: Classifier, strength: float, k: int
) -> Floats:
    """Scores of the rows asked by a classifier of generated rows x and reference rows y."""
    known, is_generated = np.concatenate([x, y]), np.repeat([1.0, 0.0], [len(x), len(y)])
    if classifier == "knn":
        _, index = nearest(asked, min(k, len(known)), known)
        near: Floats = is_generated[index].mean(axis=1) - is_generated.mean()
        return near
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
    found: Floats = model.fit(known, is_generated).decision_function(asked)
    return found


def area(
    generated: Features,
    reference: Features,
    scores: tuple[Floats, Floats],
    dealt: list[Ints],
    context: Context,
) -> Estimate:
    """The area under the curve, with the samples that are recognised most and least surely."""
    (x, y), (fold_x, fold_y) = scores, dealt
    placed, influence = np.empty(len(x)), np.empty(len(y))
    for fold in range(int(fold_x.max()) + 1):
        mine, theirs = fold_x == fold, fold_y == fold
        placed[mine] = placements(x[mine], y[theirs])
        below = placements(y[theirs], x[mine])
        share = mine.mean() / theirs.mean()
        influence[theirs] = share * (below.mean() - below)
    number = float(placed.mean())
    more = shared_learning(int(fold_x.max()) + 1)
    interval = proportion_interval(
        number + more * (placed - number), more * influence, context.level, "wilson, DeLong"
    )
    alike = "far below 0.5: the sets share samples, or near doubles of them"
    return Estimate(
        output="auroc",
        number=number,
        n={Role.GENERATED: len(x), Role.REFERENCE: len(y)},
        interval=interval,
        evidence={
            Role.GENERATED: Evidence("scores", generated.ids, placed),
            Role.REFERENCE: Evidence("influence", reference.ids, influence - influence.mean()),
        },
        finding=alike if interval.high < ALIKE else "",
        galleries=galleries(generated, x),
    )


def accuracy(
    generated: Features,
    reference: Features,
    scores: tuple[Floats, Floats],
    folds: int,
    context: Context,
) -> Estimate:
    """The mean of the shares that are called what they are, a score of 0 counted half."""
    right = [(1 + np.sign(side)) / 2 for side in (scores[0], -scores[1])]
    moves = [(side - side.mean()) / 2 for side in right]
    number = float(sum(side.mean() for side in right) / 2)
    variance = sum((shared_learning(folds) * standard_error(side)) ** 2 for side in moves)
    certain = not (variance > 0 and 0 < number < 1)
    total = sum(map(len, scores))
    effective = total if certain else min(number * (1 - number) / variance, total)
    ids = {Role.GENERATED: generated.ids, Role.REFERENCE: reference.ids}
    return Estimate(
        output="accuracy",
        number=number,
        n={role: len(one) for role, one in ids.items()},
        interval=wilson(number * effective, effective, context.level, "at_n"),
        evidence={
            role: Evidence("influence", one, rows)
            for (role, one), rows in zip(ids.items(), moves, strict=True)
        },
    )


def shared_learning(folds: int) -> float:
    """What a standard error is multiplied by because folds learn from the same samples."""
    return math.sqrt(1 + folds / (folds - 1))


def galleries(generated: Features, scores: Floats) -> tuple[Gallery, ...]:
    """The generated samples that are recognised most surely, and those taken for real ones."""
    order = np.argsort(-scores, kind="stable")
    return tuple(
        Gallery(
            title,
            Role.GENERATED,
            tuple(generated.ids[row] for row in rows),
            tuple(f"{scores[row]:+.3g}" for row in rows),
        )
        for title, rows in (
            ("Recognised most surely as generated", order[:SHOWN]),
            ("Taken most surely for reference samples", order[::-1][:SHOWN]),
        )
    )
