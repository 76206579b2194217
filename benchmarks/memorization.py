"""Simulate how often copies of training samples are found, and fresh samples taken for copies.

    python benchmarks/memorization.py                      # every scenario, about two minutes
    python benchmarks/memorization.py "fresh" "5 % near"   # some of them

In every run 300 of the held-out digits are the generated samples and the other 300 the reference;
some of the former are replaced by training digits, exactly or with noise of 8 grey levels in every
pixel. Prints a table in Markdown. Seeds are fixed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from geneval.data import Features, Neighbours
from geneval.examples.digits.data import load_split
from geneval.extractors.digits import Digits, digits
from geneval.linalg import Floats
from geneval.metrics.fidelity.two_sample import two_sample
from geneval.metrics.memorization.authenticity import authenticity
from geneval.metrics.memorization.ct import ct
from geneval.metrics.memorization.nearest_train import chance, nearest_train
from geneval.neighbours import nearest
from geneval.resample import Context, quantile, wilson
from geneval.samples.sampleset import Batch

RUNS = 200
N = 300
NOISE = 8.0  # grey levels of a near copy
CONTEXT = Context()
SCENARIOS: Mapping[str, tuple[float, float]] = {  # shares of exact and of near copies
    "fresh": (0.0, 0.0),
    "2 % exact": (0.02, 0.0),
    "5 % exact": (0.05, 0.0),
    "20 % exact": (0.2, 0.0),
    "5 % near": (0.0, 0.05),
    "20 % near": (0.0, 0.2),
}
HEAD = (
    "generated",
    "exact copies found",
    "near copies (p < 0.05)",
    "C_T below 0 (p < 0.05)",
    "told apart (p < 0.05)",
    "mean authenticity",
)


@cache
def extractor() -> Digits:
    """The embedded extractor."""
    return digits()


def extracted(images: NDArray[np.uint8]) -> Floats:
    """Features of grey digits by the embedded extractor."""
    batch = Batch.of(image=np.repeat(images[..., None], 3, axis=3))
    return extractor()(batch, ("features",))["features"].astype(np.float64)


@cache
def sets() -> tuple[NDArray[np.uint8], Features, Neighbours, Floats]:
    """The training digits, their features and neighbours, the features of the held-out digits."""
    train, held_out = load_split()
    x = extracted(train.images)
    ids = tuple(f"{i:04d}" for i in range(len(x)))
    near = Neighbours(ids, *nearest(x, 2))
    return train.images, Features(ids, x), near, extracted(held_out.images)


def drawn(seed: int, exact: float, near: float) -> tuple[Features, Features]:
    """Generated and reference digits of one run."""
    rng = np.random.default_rng(seed)
    images, train, _, fresh = sets()
    order = rng.permutation(2 * N)
    kind = rng.random(N)
    copied = rng.choice(train.n, N, replace=False)
    made = np.where((kind < exact)[:, None], train.x[copied], fresh[order[:N]])
    almost = (kind >= exact) & (kind < exact + near)
    if almost.any():
        noisy = images[copied[almost]] + rng.normal(size=(almost.sum(), 8, 8)) * NOISE
        made[almost] = extracted(np.rint(noisy.clip(0, 255)).astype(np.uint8))
    ids = tuple(f"{i:04d}" for i in range(N))
    return Features(ids, made), Features(ids, fresh[order[N:]])


def outcome(seed: int, exact: float, near: float) -> tuple[bool, bool, bool, bool, float]:
    """What is found in one run."""
    _, train, among, _ = sets()
    x, y = drawn(seed, exact, near)
    of_x, of_y = (Neighbours(s.ids, *nearest(s.x, 2, train.x), train.ids) for s in (x, y))
    copies = nearest_train(of_x, of_y, among, CONTEXT)
    test = ct(x, y, train, of_x, of_y, CONTEXT)[0]
    weights = np.array(test.tables[0].columns["reference"], dtype=np.float64)
    z = (test.number or 0.0) * weights.sum() / np.linalg.norm(weights)
    return (
        (copies[0].number or 0.0) > 0,
        chance(of_x.radius(1), of_y.radius(1), 0.01) < 0.05,
        z < -quantile(CONTEXT.level),
        (two_sample(x, y, CONTEXT)[2].number or 0.0) < 0.05,
        authenticity(of_x, among, CONTEXT)[0].number or 0.0,
    )


def rate(hits: NDArray[np.bool_]) -> str:
    """A share of runs with its 95 % interval."""
    interval = wilson(float(hits.sum()), len(hits), 0.95, "population")
    return f"{hits.mean():.1%} ({interval.low:.1%} to {interval.high:.1%})"


def main() -> None:
    """Print the rates of the named scenarios, or of all."""
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)
    for name in sys.argv[1:] or SCENARIOS:
        found = np.array([outcome(seed, *SCENARIOS[name]) for seed in range(RUNS)])
        cells = [rate(column.astype(bool)) for column in found[:, :4].T]
        print(f"| {' | '.join([name, *cells, f'{found[:, 4].mean():.3f}'])} |", flush=True)


if __name__ == "__main__":
    main()
