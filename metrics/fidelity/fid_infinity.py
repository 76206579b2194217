"""FID∞: the Fréchet distance extrapolated to infinitely many generated samples.

    FID_N = FID∞ + slope · 1/N,   a least-squares line through `points` sizes N

Input: generated features [n, d] and reference features [m, d] or their moments; statistics float64,
covariances with ddof 1. Unit: squared feature units; range: unbounded, as the line may end slightly
below 0; best 0. Lower is better.

Sizes are ⌊linspace(first, n)⌋ with first = min(5000, max(n/10, 2)) or the option `smallest`. For
each size generated samples are drawn without replacement by NumPy's RandomState(`seed`) in
canonical id order. The reference stays whole, so the value is that of infinitely many generated
samples against this very reference: the bias of the reference's own finite m remains in it, which
`fid.debiased` takes off as well.

The interval is a population interval conditional on the reference. The line's end is Σᵢ wᵢ FID_Nᵢ
with weights w of least squares, and a sample in the draws i adds to it

    ψ(x) · Σᵢ wᵢ (n/Nᵢ) [x drawn for Nᵢ],    ψ the influence of `fid`,

so SE² = Var of that / n holds the sampling of all n and the regression's own noise from the draws,
which makes it a third larger in variance than ψ alone. It holds neither the reference's sampling
nor a bend of the line: where N is below about 4 times the width d, FID_N leaves the line, and the
finding says so. Undefined where fewer than 3 sizes differ.

Paper: Chong and Forsyth 2020, arXiv:1911.07023; sizes as in dgm-eval, which draws without a seed
and gives no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from geneval.data import Features, Moments
from geneval.frechet import frechet_of_draws
from geneval.linalg import Floats, Ints
from geneval.metric import Undefined, features, metric
from geneval.metrics.fidelity.fid import example
from geneval.options import AtLeast
from geneval.resample import Context, standard_error
from geneval.value import DetailTable, Estimate, Evidence, OutputSpec, Role

LARGEST_FIRST = 5000  # the first size never exceeds this
BENDS = 4  # N/d below which FID_N is known to leave the line


@metric(
    "fid_infinity",
    version=1,
    paper="arXiv:1911.07023",
    min_n=20,
    outputs=[OutputSpec("fid_infinity", "lower")],
    needs=lambda o: {
        "generated": features("generated"),
        "reference": features("reference", or_moments=True),
    },
    example=example,
    conventions={"ddof": 1},
)
def fid_infinity(
    generated: Features,
    reference: Features | Moments,
    context: Context,
    *,
    points: Annotated[int, AtLeast(3)] = 15,
    smallest: Annotated[int | None, AtLeast(2)] = None,
    seed: Annotated[int, AtLeast(0)] = 2020,
) -> list[Estimate]:
    """The end of the line through FID_N, drawn from `smallest` samples to all."""
    draws = sized_draws(generated.n, points, smallest, seed)
    whole = reference if isinstance(reference, Moments) else reference.x
    values, psi = frechet_of_draws(generated.x, whole, draws)
    line = fitted(draws, values)
    weighted = line.influence(psi, draws)
    notes = [line.described(), "conditional on the reference"]
    if len(draws[0]) < BENDS * generated.d:
        least = BENDS * generated.d
        notes.append(
            f"the smallest N is {len(draws[0])} for {generated.d} features, where FID_N bends: "
            + (f"set smallest to {least}" if least < generated.n / 2 else "take more samples")
        )
    return [
        Estimate(
            output="fid_infinity",
            number=line.end,
            n={Role.GENERATED: generated.n, Role.REFERENCE: reference.n},
            interval=context.interval(
                line.end, standard_error(weighted), "influence of the fitted line", "population"
            ),
            evidence={Role.GENERATED: Evidence("influence", generated.ids, weighted)},
            finding="; ".join(notes),
            tables=(line.table("FID_N"),),
        )
    ]


def sized_draws(n: int, points: int, smallest: int | None, seed: int) -> list[Ints]:
    """Rows of each size from the smallest to n, drawn without replacement, sizes once each."""
    first = min(LARGEST_FIRST, max(n / 10, 2)) if smallest is None else smallest
    sizes = np.unique(np.linspace(min(first, n), n, points).astype(np.int64))
    if len(sizes) < 3:
        raise Undefined(f"a line needs 3 sizes up to {n} samples: set smallest lower")
    state = np.random.RandomState(seed)
    return [state.choice(n, size, replace=False) for size in sizes]


@dataclass(frozen=True)
class Line:
    """A least-squares line of values over 1/N: its end at 0, weights of the values in it, fit."""

    sizes: Ints
    values: Floats
    end: float
    weights: Floats
    r2: float
    se: float

    def influence(self, psi: Floats, draws: Sequence[Ints]) -> Floats:
        """Influence [n] of every sample on the end, from that on the value of all samples."""
        share = np.zeros(len(psi))
        for weight, rows in zip(self.weights, draws, strict=True):
            share[rows] += weight * len(psi) / len(rows)
        weighted = psi * share
        centred: Floats = weighted - weighted.mean()
        return centred

    def described(self) -> str:
        """How well the line fits, in words."""
        return f"R² {self.r2:.3f}, standard error of the regression {self.se:.3g}"

    def table(self, name: str) -> DetailTable:
        """The points of the line, and its end at 1/N = 0."""
        slope = (self.values.mean() - self.end) / (1 / self.sizes).mean()
        inverse = [0.0, *(1 / self.sizes[::-1]).tolist()]
        columns = {
            "1/N": inverse,
            name: [None, *self.values[::-1].tolist()],
            "line": [self.end + float(slope) * at for at in inverse],
        }
        return DetailTable(f"{name} over 1/N", columns, chart="line")


def fitted(draws: Sequence[Ints], values: Floats) -> Line:
    """The line through values of draws; `se` is the textbook standard error of its end."""
    sizes = np.array([len(rows) for rows in draws])
    at = np.stack([np.ones(len(sizes)), 1 / sizes], axis=1)
    weights = np.linalg.pinv(at)
    coefficients = weights @ values
    residual = float(((values - at @ coefficients) ** 2).sum())
    total = float(((values - values.mean()) ** 2).sum())
    r2 = 1 - residual / total if total > 0 else 1.0
    se = (residual / (len(sizes) - 2) * float((weights[0] ** 2).sum())) ** 0.5
    return Line(sizes, values, float(coefficients[0]), weights[0], r2, se)
