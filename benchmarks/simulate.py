"""Simulate the statistics: bias, coverage and false alarms, written into docs/statistics.md.

    python benchmarks/simulate.py docs/statistics.md              # about ten minutes on two cores
    python benchmarks/simulate.py docs/statistics.md fewer        # one table of it

Every table is made by calling the metrics themselves on samples from a known distribution. Seeds
are fixed, so the tables come out the same again on the same libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from calibration import CASES, allowed, calibrate
from numpy.typing import NDArray

from geneval.data import Features, Moments, Neighbours
from geneval.frechet import frechet_distance
from geneval.metrics.fidelity.density_coverage import density_coverage
from geneval.metrics.fidelity.fid import fid
from geneval.metrics.fidelity.inception_score import inception_score
from geneval.metrics.fidelity.kid import kid
from geneval.metrics.fidelity.precision_recall import precision_recall
from geneval.neighbours import nearest
from geneval.resample import Context
from geneval.value import Estimate

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]
CONTEXT = Context()
LEVEL_Z = 1.959964
POWERS = ("stated", "by the gate")
MEASURED = ("mean", "spread", "mean SE", "coverage")


@dataclass(frozen=True)
class Cloud:
    """A Gaussian with diagonal covariance, or Student's t of 8 degrees of freedom with the same."""

    mean: Floats
    spread: Floats  # standard deviations
    heavy: bool = False

    def draw(self, rng: np.random.Generator, n: int) -> Floats:
        """Samples [n, d]."""
        x = rng.normal(size=(n, len(self.mean)))
        if self.heavy:
            x *= np.sqrt(6 / rng.chisquare(8, size=(n, 1)))
        return x * self.spread + self.mean

    def moments(self) -> Moments:
        """Its true moments."""
        return Moments(None, self.mean, np.diag(self.spread**2))


def cloud(d: int, power: float = 0.0, scale: float = 1.0, shift: float = 0.0) -> Cloud:
    """Spectrum i^-power (variance), scaled, moved by `shift` standard deviations everywhere."""
    spread = np.arange(1, d + 1) ** (-power / 2)
    return Cloud(shift * spread, spread * scale)


def row(*cells: str | float) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(c if isinstance(c, str) else f"{c:.3g}" for c in cells) + " |"


def head(*names: str) -> Iterator[str]:
    """The head of a Markdown table."""
    yield row(*names)
    yield "|" + "---|" * len(names)


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:06d}" for i in range(len(x))), x)


def near(f: Features, k: int) -> Neighbours:
    """The k nearest neighbours within a set."""
    return Neighbours(f.ids, *nearest(f.x, k))


@dataclass(frozen=True)
class Outcome:
    """One estimate of one replicate."""

    number: float
    low: float
    high: float

    @classmethod
    def of(cls, estimate: Estimate) -> Outcome:
        """The outcome of an estimate that has a number."""
        assert estimate.number is not None
        assert estimate.interval is not None
        return cls(estimate.number, estimate.interval.low, estimate.interval.high)


def summary(outcomes: Sequence[Outcome], truth: float | None = None) -> tuple[float | str, ...]:
    """Mean, spread, mean standard error, and coverage of the truth (or of the mean)."""
    numbers = np.array([o.number for o in outcomes])
    centre = float(numbers.mean()) if truth is None else truth
    errors = np.array([(o.high - o.low) / (2 * LEVEL_Z) for o in outcomes])
    covered = np.mean([o.low <= centre <= o.high for o in outcomes])
    spread = f"{numbers.std(ddof=1):.2g}"
    return float(numbers.mean()), spread, f"{errors.mean():.2g}", f"{covered:.0%}"


def frechet_table() -> Iterator[str]:
    """Bias and coverage of `fid` and `fid.debiased` over dimension, spectrum, n and truth."""
    yield from head("spectrum", "d", "n", "m", "n/d", "truth", "`fid`", "`debiased`", *MEASURED[1:])
    cases = [
        ("flat", 16, 300, 300, 0.0),
        ("flat", 16, 300, 300, 0.25),
        ("flat", 64, 600, 600, 0.0),
        ("flat", 64, 600, 600, 0.125),
        ("flat", 128, 2000, 2000, 0.0),
        ("flat", 128, 2000, 2000, 0.087),
        ("flat", 128, 300, 2000, 0.087),
        ("1/i", 128, 2000, 2000, 0.0),
        ("1/i", 128, 2000, 2000, 0.2),
        ("1/i", 128, 500, 2000, 0.2),
        ("1/i", 512, 1000, 2000, 0.1),
    ]
    for name, d, n, m, shift in cases:
        power = 0.0 if name == "flat" else 1.0
        model, data = cloud(d, power, shift=shift), cloud(d, power)
        truth = frechet_distance(model.moments(), data.moments()) if shift else 0.0
        plain, debiased = [], []
        for seed in range(200 if d < 500 else 40):
            rng = np.random.default_rng(seed)
            found = fid(features(model.draw(rng, n)), features(data.draw(rng, m)), CONTEXT)
            plain.append(Outcome.of(found[0]))
            debiased.append(Outcome.of(found[1]))
        plain_mean = summary(plain)[0]
        sizes = (str(d), str(n), str(m), f"{min(n, m) / d:.1f}")
        yield row(name, *sizes, truth, plain_mean, *summary(debiased, truth))


def fewer_table() -> Iterator[str]:
    """`fid.debiased` of n samples a side against `fid` of five times as many: which is nearer."""
    names = ("spectrum", "tails", "apart by", "d", "n/d", "runs", "truth")
    yield from head(*names, "`fid`, n", "`fid`, 5n", "`debiased`, n", "nearer", "coverage")
    sizes = [(64, ratio, 30) for ratio in (1.2, 2.44, 5, 12)]
    sizes += [(256, 2.44, 20), (1024, 2.44, 10), (2048, 2.44, 3)]
    for power, heavy, apart in (
        (0.0, False, "mean"),
        (1.0, False, "mean"),
        (1.5, False, "mean"),
        (1.5, False, "shape"),
        (0.0, True, "shape"),
        (1.5, True, "shape"),
    ):
        for d, ratio, runs in sizes:
            if d > 256 and (power, apart) != (1.5, "shape"):  # the shape of Inception's spectrum
                continue
            spread = np.arange(1, d + 1) ** (-power / 2)
            turned = np.where(np.arange(d) % 2, 1.1, 0.85) if apart == "shape" else 1.0
            data = Cloud(0 * spread, spread, heavy)
            model = Cloud(0.1 * spread, spread * turned, heavy)
            truth = frechet_distance(model.moments(), data.moments())
            found = [_fewer(model, data, round(ratio * d), seed) for seed in range(runs)]
            small, large, debiased, held = np.array(
                [(*one, lo <= truth <= hi) for *one, lo, hi in found]
            ).T
            nearer = np.mean(abs(debiased - truth) < abs(large - truth))
            names = (f"1/i^{power:g}" if power else "flat", "t8" if heavy else "normal", apart)
            cells = (*names, str(d), f"{ratio:g}", str(runs), truth)
            means = (small.mean(), large.mean(), debiased.mean())
            yield row(*cells, *map(float, means), f"{nearer:.0%}", f"{held.mean():.0%}")


def _fewer(
    model: Cloud, data: Cloud, n: int, seed: int
) -> tuple[float, float, float, float, float]:
    """`fid` of n and of 5n samples a side, `debiased` of n, and its interval."""
    rng = np.random.default_rng(seed)
    x, y = model.draw(rng, 5 * n), data.draw(rng, 5 * n)
    plain, debiased = fid(features(x[:n]), features(y[:n]), CONTEXT)
    large, _ = fid(features(x), features(y), CONTEXT)
    assert plain.number is not None
    assert large.number is not None
    one = Outcome.of(debiased)
    return plain.number, large.number, one.number, one.low, one.high


def false_alarm_table() -> Iterator[str]:
    """Two models at equal true distance but of different shape: how often they are told apart."""
    yield from head("compared by", "differences called significant at 5 %")
    d, n, m = 128, 2000, 2000
    data = cloud(d)
    target = 0.9723
    moved = cloud(d, shift=(target / d) ** 0.5)
    narrow = cloud(d, scale=1 - (target / d) ** 0.5)
    wide = cloud(d, scale=1 + (target / d) ** 0.5)
    for name, one, other in (
        ("moved against narrow", moved, narrow),
        ("narrow against wide", narrow, wide),
    ):
        calls = {"`fid`": 0, "`fid.debiased`": 0}
        for seed in range(200):
            rng = np.random.default_rng(seed)
            reference = features(data.draw(rng, m))
            a = fid(features(one.draw(rng, n)), reference, CONTEXT)
            b = fid(features(other.draw(rng, n)), reference, CONTEXT)
            roles = list(a[1].evidence)
            variance = sum(
                np.var(estimate.evidence[roles[0]].rows, ddof=1) / n for estimate in (a[1], b[1])
            )
            shared = a[1].evidence[roles[1]].rows - b[1].evidence[roles[1]].rows
            variance += np.var(shared, ddof=1) / m
            for output, key in ((0, "`fid`"), (1, "`fid.debiased`")):
                first, second = a[output].number, b[output].number
                assert first is not None
                assert second is not None
                calls[key] += abs(first - second) > LEVEL_Z * variance**0.5
        for key, count in calls.items():
            yield row(f"{key}, {name}", f"{count / 200:.0%}")


def spread_table() -> Iterator[str]:
    """Coverage of every other interval, of the truth where it is known, else of the mean at n."""
    yield from head("value", "case", *MEASURED)
    for d, n, m, scale, shift in (
        (8, 400, 400, 1.0, 0.0),
        (8, 400, 400, 0.8, 0.2),
        (32, 600, 300, 0.9, 0.1),
    ):
        model, data = cloud(d, 1.0, scale, shift), cloud(d, 1.0)
        rows: dict[str, list[Outcome]] = {}
        for seed in range(200):
            rng = np.random.default_rng(seed)
            x, y = features(model.draw(rng, n)), features(data.draw(rng, m))
            found = [
                *kid(x, y, CONTEXT, subsets=20, subset_size=100),
                *precision_recall(x, y, near(x, 4), near(y, 4), CONTEXT),
                *density_coverage(x, y, near(y, 6), CONTEXT),
            ]
            for estimate in found:
                rows.setdefault(estimate.output, []).append(Outcome.of(estimate))
        truth = kernel_truth(model, data)
        case = f"d = {d}, n = {n}, m = {m}, scale {scale}, shift {shift}"
        for output, outcomes in rows.items():
            known = truth if output in ("kid", "unbiased") else None
            yield row(f"`{output}`", case, *summary(outcomes, known))
    outcomes = []
    for seed in range(400):
        x = np.random.default_rng(seed).normal(size=(1000, 10)) * 2
        (score,) = inception_score(features(x), CONTEXT)
        outcomes.append(Outcome.of(score))
    yield row("`inception_score`", "10 classes, n = 1,000", *summary(outcomes))


def kernel_truth(model: Cloud, data: Cloud) -> float:
    """The population squared MMD under (x·y/d + 1)³, by a million pairs of independent draws."""
    rng = np.random.default_rng(99)
    d, total, rounds = len(model.mean), 0.0, 40
    for _ in range(rounds):
        a, b = model.draw(rng, 50_000), model.draw(rng, 50_000)
        c, e = data.draw(rng, 50_000), data.draw(rng, 50_000)

        def k(x: Floats, y: Floats) -> Floats:
            return ((x * y).sum(1) / d + 1) ** 3

        total += float((k(a, b) + k(c, e) - k(a, e) - k(c, b)).mean())
    return total / rounds


def balanced_table() -> Iterator[str]:
    """What fixed class counts do: less noise than independent samples, so intervals are long."""
    yield from head("generated classes", "`debiased` mean, truth 0", *MEASURED[1:])
    centres = np.random.default_rng(5).normal(size=(10, 16)) * 2
    for name, fixed in (("drawn at random", False), ("exactly balanced", True)):
        outcomes = []
        for seed in range(200):
            rng = np.random.default_rng(seed)
            labels = np.arange(600) % 10 if fixed else rng.integers(0, 10, 600)
            x = centres[labels] + rng.normal(size=(600, 16))
            y = centres[rng.integers(0, 10, 600)] + rng.normal(size=(600, 16))
            outcomes.append(Outcome.of(fid(features(x), features(y), CONTEXT)[1]))
        yield row(name, *summary(outcomes, 0.0))


def calibration_table() -> Iterator[str]:
    """False alarms of a model against itself, and the power for a stated shift."""
    runs = 500
    yield from head("value", "false alarms", "of the gate", "at most", "shift", "seen", *POWERS)
    for case in CASES:
        itself, other = calibrate(case, runs), calibrate(case, runs, case.shift)
        shares = (itself.claimed, itself.failed, allowed(runs))
        seen = (other.claimed, other.stated, other.failed)
        told = [f"{share:.1%}" for share in (*shares, *seen)]
        yield row(case.name, *told[:3], case.described, *told[3:])


TABLES = {
    "calibration": calibration_table,
    "frechet": frechet_table,
    "fewer": fewer_table,
    "alarms": false_alarm_table,
    "spread": spread_table,
    "balanced": balanced_table,
}


def rewrite(tables: Mapping[str, Callable[[], Iterator[str]]]) -> None:
    """Replace the named tables of the document, or every one, by fresh ones."""
    path = Path(sys.argv[1])
    text = path.read_text(encoding="utf-8")
    for name in sys.argv[2:] or tables:
        print(f"{name} …", file=sys.stderr, flush=True)
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, rest = text.split(start)
        _, after = rest.split(end)
        text = before + start + "\n".join(tables[name]()) + "\n" + end + after
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    rewrite(TABLES)
