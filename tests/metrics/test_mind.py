"""MIND: the formula as a loop, its closed form, the draws, the debiased estimate and intervals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from geneval import sweeps
from geneval.data import Features
from geneval.metric import Undefined
from geneval.metrics.fidelity.mind import mind
from geneval.resample import Context
from geneval.value import Role

Floats = NDArray[np.float64]


def features(x: Floats) -> Features:
    """Features with numbered ids."""
    return Features(tuple(f"{i:05d}" for i in range(len(x))), x)


def clouds(n: int, m: int, d: int, seed: int, shift: float = 0.0) -> tuple[Features, Features]:
    """Two standard normal clouds, the first moved by `shift` in every direction."""
    rng = np.random.default_rng(seed)
    return features(rng.normal(size=(n, d)) + shift), features(rng.normal(size=(m, d)))


def axes(d: int, count: int, generator: torch.Generator) -> Floats:
    """Unit vectors [count, d] as torch-fidelity draws them: single precision, all at once."""
    drawn = torch.randn(count, d, generator=generator, dtype=torch.float32).numpy()
    unit: Floats = drawn.astype(np.float64)
    return unit / np.linalg.norm(unit, axis=1, keepdims=True)


def written_out(x: Floats, y: Floats, directions: Floats) -> float:
    """The formula of the paper, one direction after the other."""
    total = 0.0
    for u in directions:
        total += float(((np.sort(x @ u) - np.sort(y @ u)) ** 2).mean())
    return 3 * x.shape[1] * total / len(directions)


@pytest.mark.parametrize("directions", [5, 150])
def test_it_is_the_formula_as_a_loop(directions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal sizes, in one tile and in many."""
    x, y = clouds(80, 80, 6, seed=0, shift=0.4)
    expected = written_out(x.x, y.x, axes(6, directions, torch.Generator().manual_seed(3)))
    for tile in (sweeps.TILE_BYTES, 8 * 80 * 7):
        monkeypatch.setattr(sweeps, "TILE_BYTES", tile)
        found = mind(x, y, Context(), directions=directions, seed=3)[0]
        assert found.number == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(90, 50), (50, 90)])
def test_the_longer_side_is_drawn_from(n: int, m: int) -> None:
    """A permutation of the longer side comes first from the seed's generator, then directions."""
    x, y = clouds(n, m, 5, seed=1, shift=0.2)
    generator = torch.Generator().manual_seed(11)
    rows = torch.randperm(90, generator=generator)[:50].numpy()
    sides = (x.x[rows], y.x) if n > m else (x.x, y.x[rows])
    expected = written_out(*sides, axes(5, 40, generator))
    plain, debiased = mind(x, y, Context(), directions=40, seed=11)
    assert plain.number == pytest.approx(expected, rel=1e-12)
    assert plain.n == {Role.GENERATED: 50, Role.REFERENCE: 50}
    assert "50 of 90" in debiased.finding


def test_a_shift_has_a_closed_form() -> None:
    """Every coordinate moved by μ gives 3dμ², of which the drawn directions see 3d·mean (u·μ)²."""
    x = np.random.default_rng(2).normal(size=(100, 12))
    plain, debiased = mind(features(x + 0.5), features(x), Context(), seed=4)
    seen = (axes(12, 1000, torch.Generator().manual_seed(4)) @ np.full(12, 0.5)) ** 2
    assert plain.number == pytest.approx(3 * 12 * seen.mean(), rel=1e-9)
    # (u·μ)² varies by at most √2 of its mean; 4 standard errors of 1,000 directions.
    assert plain.number == pytest.approx(3 * 12 * 0.25, rel=4 * (2 / 1000) ** 0.5)
    # A pure shift has no bias, and its directions are known exactly.
    assert debiased.number == pytest.approx(plain.number, rel=1e-9)
    assert f"directions {36 * seen.std(ddof=1) / 1000**0.5:.3g}" in debiased.finding


def test_a_wider_cloud_has_a_closed_form() -> None:
    """Scaled by s, the projections move by (s − 1) times themselves: 3d(s − 1)² mean (u·y)²."""
    y = np.random.default_rng(3).normal(size=(200, 4))
    unit = axes(4, 64, torch.Generator().manual_seed(2020))
    plain, _ = mind(features(1.5 * y), features(y), Context(), directions=64)
    assert plain.number == pytest.approx(12 * 0.25 * ((y @ unit.T) ** 2).mean(), rel=1e-9)


def test_the_farther_the_worse() -> None:
    """The value grows with the shift."""
    found = [
        mind(*clouds(100, 100, 5, seed=4, shift=shift), Context(), directions=50)[0].number
        for shift in (0.0, 0.3, 0.6, 1.2)
    ]
    assert found == sorted(found, key=float)


def test_influence_is_the_derivative_of_the_distance() -> None:
    """Repeating one sample moves the distance by its influence over n."""
    x, y = clouds(400, 400, 3, seed=5, shift=0.6)
    _, debiased = mind(x, y, Context(), directions=60)
    psi = debiased.evidence[Role.GENERATED].rows
    unit = axes(3, 60, torch.Generator().manual_seed(2020))
    row = int(np.argmax(psi))

    def repeated(times: int) -> float:
        # Every sample 20 times, so that one more copy is a small change of its weight.
        weights = np.full(400, 20)
        weights[row] += times
        p, q = np.repeat(x.x, weights, axis=0), np.repeat(y.x, 20, axis=0)
        at = (np.arange(8000 + times) + 0.5) / (8000 + times) * 8000
        total = 0.0
        for u in unit:
            other = np.sort(q @ u)[np.minimum(at.astype(int), 7999)]
            total += float(((np.sort(p @ u) - other) ** 2).mean())
        return 9 * total / 60

    derivative = (repeated(40) - repeated(0)) / 40 * 8000
    # The finite step and the trapezoid between projections leave a few per cent.
    assert psi[row] == pytest.approx(derivative, rel=0.1)


def test_debiased_takes_the_bias_off_and_covers() -> None:
    """At d = 16, n = m = 200 over 100 draws: plain too high, debiased not, the interval covers.

    Every draw has other directions, so the population interval has to count them.
    """
    truth = 3 * 16 * 0.25**2
    runs = [
        mind(*clouds(200, 200, 16, seed, shift=0.25), Context(), directions=100, seed=seed)
        for seed in range(100)
    ]
    plain, debiased = (np.array([run[i].number for run in runs]) for i in (0, 1))
    noise = debiased.std() / 10
    assert plain.mean() > truth + 5 * noise
    # What the jackknife leaves is below a tenth of the bias.
    assert abs(debiased.mean() - truth) < 3 * noise + 0.1 * (plain.mean() - truth)
    intervals = [run[1].interval for run in runs]
    hits = sum(i is not None and i.low <= truth <= i.high for i in intervals)
    # Binomial(100, 0.95): P(X < 87) < 0.001
    assert hits >= 87
    assert {i.target for i in intervals if i is not None} == {"population"}


def test_the_plain_interval_is_the_spread_over_redraws() -> None:
    """With the directions kept, the SE agrees with the spread of the number over 100 redraws."""
    runs = [
        mind(*clouds(200, 200, 8, seed, shift=0.4), Context(), directions=60)[0]
        for seed in range(100)
    ]
    spread = np.std([run.number for run in runs if run.number is not None], ddof=1)
    errors = [(run.interval.high - run.number) / 1.959964 for run in runs if run.interval]
    # A standard deviation of 100 draws is known within 20 % (three of its standard errors).
    assert np.mean(errors) == pytest.approx(spread, rel=0.2)
    assert {run.interval.target for run in runs if run.interval} == {"at_n"}


def test_one_set_against_itself_is_zero() -> None:
    """No projection moves."""
    x, _ = clouds(50, 50, 4, seed=6)
    assert [one.number for one in mind(x, x, Context(), directions=9)] == [0.0, 0.0]


def test_too_few_samples_is_a_problem() -> None:
    """Blocks need two samples each; the sentence names the option."""
    with pytest.raises(Undefined, match="set blocks lower"):
        mind(*clouds(50, 19, 2, seed=0), Context())
