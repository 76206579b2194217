"""Simulate how often mode collapse is found, and missed: the tables of docs/mode-collapse.md.

    python benchmarks/collapse.py docs/mode-collapse.md           # about five minutes on one core
    python benchmarks/collapse.py docs/mode-collapse.md digits    # one table of it

Every run calls the metric itself on samples drawn anew. Seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from simulate import features, head, near, rewrite, row

from geneval.checkpoint import load_into
from geneval.data import Features, Labels, LabelSpace
from geneval.examples.digits import demo
from geneval.examples.digits.data import load_split
from geneval.examples.digits.generator import Flow, draw
from geneval.extractors.extractor import build_extractor
from geneval.linalg import Floats, Ints
from geneval.metrics.diversity.mode_collapse import mode_collapse
from geneval.metrics.diversity.ndb import bin_z, chi_square
from geneval.parts import by_bins
from geneval.rates import noticed_loss
from geneval.resample import Context, wilson
from geneval.samples.sampleset import Batch

CONTEXT = Context()
RUNS = 200
N = 2_000
CLASSES = LabelSpace(tuple("0123456789"))
POOL = 20_000  # digits drawn once, of which every run takes some
Side = tuple[Floats, Ints]  # features [n, d] and predicted classes [n]
Draw = Callable[[np.random.Generator, int], Side]


def rate(hits: int, runs: int = RUNS) -> str:
    """A share of runs with its 95 % interval."""
    interval = wilson(hits, runs, 0.95, "population")
    return f"{hits / runs:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def decide(generated: Side, reference: Side, parts: Sequence[str]) -> list[float | None]:
    """The verdict by each kind of parts, None where it cannot tell."""
    x, y = features(generated[0]), features(reference[0])
    labels = [Labels(one.ids, two[1], CLASSES) for one, two in ((x, generated), (y, reference))]
    given = {"predicted": labels, "bins": (None, None)}
    close = near(y, 1)
    return [mode_collapse(x, y, close, CONTEXT, *given[p], parts=p)[0].number for p in parts]


def rates(name: str, both: Callable[[np.random.Generator], tuple[Side, Side]]) -> str:
    """One scenario: how often its two sides make it collapsed, by classes and by bins."""
    sides = [both(np.random.default_rng(seed)) for seed in range(RUNS)]
    found = [decide(*pair, ("predicted", "bins")) for pair in sides]
    cells = [f"{len(side[0])}" for side in sides[0]]
    for verdicts in zip(*found, strict=True):
        unsure = verdicts.count(None)
        cells += [rate(verdicts.count(1)), f"{unsure / RUNS:.0%}" if unsure else "never"]
    return row(name, *cells)


def drawing(
    model: Draw, data: Draw, n: int, m: int
) -> Callable[[np.random.Generator], tuple[Side, Side]]:
    """n samples of a model and m of the data."""
    return lambda rng: (model(rng, n), data(rng, m))


HEAD = ("generator", "n", "m", "by classes", "cannot tell", "by bins", "cannot tell")


# --------------------------------------------------------------------------------- clusters


@dataclass(frozen=True)
class World:
    """Ten classes of a latent in 8 dimensions, seen as 32 features; class shares and widths."""

    shares: Floats
    width: float = 1.0  # of the latent within a class
    scale: float = 1.0  # of the whole latent
    copies: float = 0.0  # share of samples that are copies of ten

    def __call__(self, rng: np.random.Generator, n: int) -> Side:
        """Samples, and the class whose centre is nearest to each."""
        centres, mixing = _geometry()
        which = rng.choice(10, size=n, p=self.shares)
        latent = (centres[which] + self.width * rng.normal(size=(n, 8))) * self.scale
        copied = rng.random(n) < self.copies
        latent[copied] = latent[rng.integers(0, 10, size=copied.sum())]
        apart = ((latent[:, None] - centres) ** 2).sum(axis=2)
        return np.tanh(latent @ mixing), apart.argmin(axis=1)


@cache
def _geometry() -> tuple[Floats, Floats]:
    """Class centres [10, 8] and the mixing matrix [8, 32]."""
    rng = np.random.default_rng(11)
    return rng.normal(size=(10, 8)) * 2, rng.normal(size=(8, 32)) / 8


def shares(first: float, uneven: float = 0.0) -> Floats:
    """Shares of ten classes: the first one's times `first`, the others' off by up to `uneven`."""
    share = 1 + uneven * np.linspace(-1, 1, 10)
    share[0] *= first
    return share / share.sum()


def cluster_table() -> Iterator[str]:
    """Healthy, imperfect and collapsed generators of ten clusters."""
    even = shares(1)
    yield from head(*HEAD)
    data = World(even)
    for name, model in (
        ("healthy: the same distribution", data),
        ("imperfect: shares off by up to 30 %, deviations at 85 %", World(shares(1, 0.3), 0.85)),
        ("a class at 60 % of its share", World(shares(0.6))),
        ("a class lost", World(shares(0))),
        ("5 % of the samples copies of ten", World(even, copies=0.05)),
        ("the whole latent halved", World(even, scale=0.5)),
        ("each class halved", World(even, width=0.5)),
    ):
        yield rates(name, drawing(model, data, N, N))
    for n, m in ((500, 500), (100, 100)):
        yield rates("healthy: the same distribution", drawing(data, data, n, m))
        yield rates("a class lost", drawing(World(shares(0)), data, n, m))


def limit_table() -> Iterator[str]:
    """How often the loss is noticed that the metric says it would notice."""
    yield from head("n", "m", "loss said to be noticed with 80 % power", "noticed")
    for n, m in ((N, N), (N, 600), (500, 500)):
        loss = noticed_loss(0.1, n, m, 0.5, 0.01 / 4 / 10)
        if loss is None:
            yield row(f"{n}", f"{m}", "none", "—")
            continue
        model, hits = World(shares(9 * (1 - loss) / (9 + loss))), 0
        for seed in range(RUNS):
            rng = np.random.default_rng(seed)
            hits += decide(model(rng, n), World(shares(1))(rng, m), ["predicted"]) == [1]
        yield row(f"{n}", f"{m}", f"{loss:.0%}", rate(hits))


# ----------------------------------------------------------------------------------- digits


def seen(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Side:
    """Features and predicted classes of digits [n, 8, 8]."""
    batch = Batch.of(image=np.repeat(images[..., None], 3, axis=3))
    layers = build_extractor("digits", {}, "cpu", None)(batch, ("features", "logits"))
    return layers["features"], layers["logits"].argmax(axis=1)


def pool(checkpoint: str, scale: float) -> Draw:
    """Draws without replacement from digits of a checkpoint, its noise times `scale`."""
    net = Flow()
    load_into(net, Path(demo.__file__).parent / f"{checkpoint}.safetensors")
    net.eval()
    noise = scale * torch.randn(POOL, 64, generator=torch.Generator().manual_seed(3))
    images = draw(net, noise, torch.arange(POOL) % 10)
    return taking(*seen((images[:, 0] * 255).round().to(torch.uint8).numpy()))


def taking(x: Floats, classes: Ints) -> Draw:
    """Draws some of these samples, each once at most."""

    def take(rng: np.random.Generator, n: int) -> Side:
        rows = rng.permutation(len(x))[:n]
        return x[rows], classes[rows]

    return take


def without(model: Draw, lost: int) -> Draw:
    """The same generator without what is seen as one class."""

    def take(rng: np.random.Generator, n: int) -> Side:
        x, classes = model(rng, 2 * n)
        rows = np.flatnonzero(classes != lost)[:n]
        return x[rows], classes[rows]

    return take


def copying(model: Draw) -> Draw:
    """The same generator with a twentieth of the samples copies of ten."""

    def take(rng: np.random.Generator, n: int) -> Side:
        x, classes = model(rng, n)
        rows = np.arange(n)
        copies = n // 20
        rows[-copies:] = rng.integers(0, 10, size=copies)
        return x[rows], classes[rows]

    return take


def digit_table() -> Iterator[str]:
    """Real digits against real digits, and the shipped generators with collapses planted."""
    yield from head(*HEAD)
    x, classes = (
        np.concatenate(both) for both in zip(*(seen(s.images) for s in load_split()), strict=True)
    )

    def halves(rng: np.random.Generator) -> tuple[Side, Side]:
        rows = rng.permutation(len(x))
        one, other = rows[:900], rows[900:]
        return (x[one], classes[one]), (x[other], classes[other])

    yield rates("real digits against other real ones", halves)
    data, good = taking(x, classes), pool("step-004000", 1.0)
    for name, model in (
        ("`step-004000`", good),
        ("`step-004000` without sevens", without(good, 7)),
        ("`step-004000`, 5 % copies of ten", copying(good)),
        ("`step-004000`, noise halved", pool("step-004000", 0.5)),
        ("`collapsed`", pool("collapsed", 1.0)),
    ):
        yield rates(name, drawing(model, data, N, len(x)))


# ------------------------------------------------------------------------------------- bins


def bin_table() -> Iterator[str]:
    """False alarms of `ndb` with bins fitted to one half of the reference, and as published."""
    names = ("ndb", "p < 0.05")
    yield from head("d", "n = m", *(f"{n}, held out" for n in names), *(f"{n}, all" for n in names))
    runs = 100
    for d, n in ((2, N), (8, N), (64, 600), (64, N), (512, N)):
        cells = []
        for held_out in (True, False):
            shares, alarms = [], 0
            for seed in range(runs):
                rng = np.random.default_rng(seed)
                x, y = (Features(features(s).ids, s) for s in rng.normal(size=(2, n, d)))
                counts = by_bins(x, y, CONTEXT, 100, held_out).counts
                shares.append((np.abs(bin_z(*counts)) > 1.959964)[sum(counts) > 0].mean())
                alarms += chi_square(*counts)[1] < 0.05
            cells += [f"{np.mean(shares):.1%}", rate(alarms, runs)]
        yield row(f"{d}", f"{n}", *cells)


TABLES = {
    "clusters": cluster_table,
    "limits": limit_table,
    "digits": digit_table,
    "bins": bin_table,
}

if __name__ == "__main__":
    rewrite(TABLES)
