"""Modes: how many classes of the reference are generated at all, and how unlike are the shares.

    modes = classes of the reference with `least` or more generated samples
    kl = Σ p_c log(p_c / q_c),  p and q the shares generated and in the reference, in nats

Input: labels of the generated and the reference samples, by default predicted for both by one
classifier, as in the protocol of stacked digits (1,000 classes, 26,000 samples, a class counts
with 1 sample). `modes` is a count of classes, higher is better, range [0, ∞); `kl` is in [0, ∞),
lower is better. With `target: uniform` q is even over the classes of the reference.

A classifier that errs on one sample in a hundred finds every class in a few thousand samples: one
sample is then no mode, and `least` should be above the errors to expect. `class_balance.missing`
asks the question relative to the share a class ought to have.

A class that the reference lacks makes `kl` infinite: then it is a problem that names the class,
while `modes` leaves such samples out. `modes` has no interval; that of `kl`, which is biased
upwards by about (classes − 1)(1/n + 1/m)/2, is the spread at this n by a multinomial bootstrap of
the generated counts.

Paper: Che et al. 2016, arXiv:1612.02136; the 1,000 stacked digits: Metz et al. 2016,
arXiv:1611.02163. `scipy.stats.entropy` gives the same divergence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np

from geneval.data import Labels, LabelSpace, natural
from geneval.linalg import Floats, Ints
from geneval.metric import LabelSource, metric
from geneval.metric import labels as labels_of
from geneval.options import AtLeast
from geneval.resample import Context, bootstrap
from geneval.shares import counts
from geneval.value import DetailTable, Estimate, Evidence, OutputSpec, Role


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Eight classes, evenly in the reference; damage leaves only the first ones."""
    space = LabelSpace(tuple("abcdefgh"))
    ids = tuple(f"{i:04d}" for i in range(400))
    x, y = rng.integers(0, 8, size=(2, 400))
    x = np.where(x < 8 - 6 * damage, x, 0)
    return {"generated": Labels(ids, x, space), "reference": Labels(ids, y, space)}


@metric(
    "modes",
    version=1,
    paper="arXiv:1612.02136",
    min_n=1,
    outputs=[
        OutputSpec("modes", "higher", unit="classes", range=(0, None)),
        OutputSpec("kl", "lower", unit="nat", range=(0, None)),
    ],
    needs=lambda o: {
        "generated": labels_of("generated", o.labels),
        "reference": labels_of("reference", o.labels),
    },
    example=example,
    identity={"kl": 0.0},
)
def modes(
    generated: Labels,
    reference: Labels,
    context: Context,
    *,
    labels: LabelSource = "predicted",
    least: Annotated[int, AtLeast(1)] = 1,
    target: Literal["reference", "uniform"] = "reference",
) -> list[Estimate]:
    """Classes captured, and the divergence of their shares."""
    names = sorted(set(reference.names()), key=natural)
    x, y = counts(generated, names), counts(reference, names)
    captured = x >= least
    lost = [name for name, there in zip(names, captured, strict=True) if not there]
    n = {Role.GENERATED: len(generated.ids), Role.REFERENCE: len(reference.ids)}
    table = DetailTable(
        "Samples of every class",
        {"class": names, "generated": x.tolist(), "reference": y.tolist()},
        chart="bars",
    )
    missing = f"; not captured: {', '.join(lost)}" if lost else ""
    count = Estimate(
        output="modes",
        number=int(captured.sum()),
        n=n,
        no_interval="a count of classes, not an average over samples",
        finding=f"{int(captured.sum())} of {len(names)} modes captured{missing}",
        tables=(table,),
    )
    return [count, _divergence(generated, names, x, y, target == "uniform", context)]


def _divergence(
    generated: Labels, names: list[str], x: Ints, y: Ints, even: bool, context: Context
) -> Estimate:
    """KL of the generated shares to those of the reference, or to even ones."""
    n = {Role.GENERATED: len(generated.ids), Role.REFERENCE: int(y.sum())}
    stray = sorted(set(generated.names()) - set(names), key=natural)
    if stray:
        problem = f"class {stray[0]} is generated but not in the reference: infinite divergence"
        return Estimate(output="kl", problem=problem, n=n)
    q = np.full(len(y), 1 / len(y)) if even else y / y.sum()
    number = divergence(x, q)
    draws = bootstrap((x,), lambda count: divergence(count, q), context.generator("modes"))
    error = float(draws.std())
    share = x / x.sum()
    surprise = np.log(np.where(x > 0, share, 1.0) / q)
    code = {name: place for place, name in enumerate(names)}
    change = np.array([surprise[code[name]] for name in generated.names()])
    return Estimate(
        output="kl",
        number=number,
        n=n,
        interval=context.interval(number, error, "multinomial bootstrap", "at_n", (0, None)),
        evidence={Role.GENERATED: Evidence("influence", generated.ids, change - change.mean())},
    )


def divergence(x: Ints, q: Floats) -> float:
    """KL divergence, in nats, of the shares of counts x [classes] to shares q, all positive."""
    p = x / x.sum()
    seen = p > 0
    return max(0.0, float((p[seen] * np.log(p[seen] / q[seen])).sum()))
