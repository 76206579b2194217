"""geneval.probes.attacks: closed forms, torchattacks side by side, never out of bounds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchattacks import FGSM, PGD, PGDL2

from geneval.probes.attacks import (
    Found,
    Goal,
    Norm,
    ascent,
    fgsm,
    inside,
    pgd,
    random_starts,
    size,
    square,
    tried,
)

SHAPE = (3, 5, 6)
SLACK = 1e-6  # rounding of a difference of two numbers in 0..1


def chance(n: int, seed: int = 0) -> list[np.random.Generator]:
    """A generator for each of n samples."""
    return [np.random.default_rng([seed, row]) for row in range(n)]


def line(weights: torch.Tensor) -> Goal:
    """The loss ⟨w, x⟩, which wins above 0."""

    def goal(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loss = x.flatten(1) @ weights.flatten()
        return loss, loss > 0

    return goal


class Net(torch.nn.Module):
    """A small classifier of images [b, 3, 5, 6] into four classes."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.conv = torch.nn.Conv2d(3, 8, 3)
            self.out = torch.nn.Linear(8 * 12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        found: torch.Tensor = self.out(torch.tanh(3 * self.conv(x)).flatten(1))
        return found

    def goal(self, labels: torch.Tensor) -> Goal:
        """The cross entropy of these labels, which wins where another class leads."""

        def goal(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = self(x)
            loss = torch.nn.functional.cross_entropy(logits, labels[: len(x)], reduction="none")
            return loss, logits.argmax(1) != labels[: len(x)]

        return goal


def images(n: int, seed: int = 0) -> torch.Tensor:
    """Images well inside of 0..1."""
    return 0.3 + 0.4 * torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_on_a_line_the_optimum_is_reached(norm: Norm) -> None:
    """A linear loss rises by ε‖w‖₁ in L∞ and by ε‖w‖₂ in L2, the duals of the norms."""
    weights = torch.randn(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x, eps = images(4).double(), 0.05
    rise = eps * float(weights.norm(p=1 if norm == "linf" else 2))
    before = line(weights)(x)[0]
    for found in (
        fgsm(line(weights), x, eps, norm=norm),
        pgd(line(weights), x, eps, norm=norm, steps=5),
        pgd(line(weights), x, eps, [random_starts(x, eps, chance(4), norm)], norm=norm, step=eps),
    ):
        assert (found.loss - before).numpy() == pytest.approx(np.full(4, rise), rel=1e-9)
        assert torch.equal(found.won, found.loss > 0)


def test_squares_come_near_the_optimum_on_a_line() -> None:
    """Random search with single pixels at its end finds the corner of the L∞ ball or nearly."""
    weights = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    x, eps = images(6), 0.05
    before = line(weights)(x)[0]
    share = (square(line(weights), x, eps, chance(6), queries=800).loss - before) / (
        eps * weights.abs().sum()
    )
    assert float(share.min()) > 0.8
    few = square(line(weights), x, eps, chance(6), queries=20).loss
    assert (few > before).all()


@pytest.mark.parametrize("steps", [1, 7])
def test_it_is_torchattacks(steps: int) -> None:
    """FGSM, PGD and PGDL2 without a random start make the same images of the same network."""
    net, x = Net().eval(), images(9)
    labels = torch.arange(9) % 4
    ours = {
        "fgsm": list(ascent(net.goal(labels), x, x, 0.1, "linf", 0.1, 1))[-1],
        "pgd": list(ascent(net.goal(labels), x, x, 0.1, "linf", 0.03, steps))[-1],
        "l2": list(ascent(net.goal(labels), x, x, 0.5, "l2", 0.2, steps))[-1],
    }
    peers = {
        "fgsm": FGSM(net, eps=0.1),
        "pgd": PGD(net, eps=0.1, alpha=0.03, steps=steps, random_start=False),
        "l2": PGDL2(net, eps=0.5, alpha=0.2, steps=steps, random_start=False),
    }
    for name, peer in peers.items():
        apart = (ours[name].x - peer(x, labels)).abs().max()
        assert float(apart) <= 1e-6, name
    best = pgd(net.goal(labels), x, 0.1, step=0.03, steps=steps)
    assert (best.loss >= ours["pgd"].loss).all()


def attacked(name: str, goal: Goal, x: torch.Tensor, eps: float, norm: Norm) -> Found:
    """One of the attacks with few steps."""
    if name == "fgsm":
        return fgsm(goal, x, eps, norm=norm)
    if name == "square":
        return square(goal, x, eps, chance(len(x)), norm=norm, queries=12)
    starts = [x, random_starts(x, eps, chance(len(x), 1), norm)]
    return pgd(goal, x, eps, starts, norm=norm, steps=4)


@given(
    st.sampled_from(["fgsm", "pgd", "square"]),
    st.sampled_from(["linf", "l2"]),
    st.floats(0, 3),
    st.integers(0, 2**20),
    st.sampled_from(["ends", "anywhere"]),
)
@settings(max_examples=60, deadline=None)
def test_attacks_stay_inside(name: str, norm: Norm, eps: float, seed: int, where: str) -> None:
    """Whatever the input: within ε of it, within 0..1, no worse than the input itself."""
    x = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(seed))
    x = x.round() if where == "ends" else x
    goal = Net(seed).goal(torch.tensor([0, 1, 2]))
    found = attacked(name, goal, x, eps, norm)
    move = found.x - x
    far = move.abs().amax((1, 2, 3)) if norm == "linf" else size(move)
    assert float(far.max()) <= eps + SLACK
    assert 0 <= float(found.x.min()) <= float(found.x.max()) <= 1
    assert (found.loss >= tried(goal, x).loss).all()
    again = tried(goal, found.x)
    assert (again.won == found.won).all()
    assert (again.loss <= found.loss + 1e-5).all()


@given(st.sampled_from(["linf", "l2"]), st.floats(0, 2), st.integers(0, 2**20))
@settings(max_examples=60, deadline=None)
def test_a_point_inside_stays_and_one_outside_is_brought_back(
    norm: Norm, eps: float, seed: int
) -> None:
    """The projection is one: doing it twice changes nothing, and a start lies where it leads."""
    x = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(seed))
    there = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(seed + 1))
    once = inside(there, x, eps, norm)
    assert torch.allclose(inside(once, x, eps, norm), once, atol=SLACK)
    start = random_starts(x, eps, chance(4, seed), norm)
    assert torch.allclose(inside(start, x, eps, norm), start, atol=SLACK)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "square"])
def test_no_batch_changes_a_sample(name: str) -> None:
    """Alone or beside others a sample ends at the same point."""
    net, x, labels = Net(), images(5), torch.tensor([0, 1, 2, 3, 0])
    together = attacked(name, net.goal(labels), x, 0.1, "linf")
    for row in range(5):
        goal, own = net.goal(labels[row : row + 1]), [chance(5)[row]]
        if name == "square":
            alone = square(goal, x[row : row + 1], 0.1, own, queries=12)
        elif name == "pgd":
            one = x[row : row + 1]
            start = random_starts(one, 0.1, [chance(5, 1)[row]])
            alone = pgd(goal, one, 0.1, [one, start], steps=4)
        else:
            alone = fgsm(goal, x[row : row + 1], 0.1)
        assert torch.allclose(alone.x[0], together.x[row], atol=1e-6)


def test_a_larger_ball_holds_a_larger_loss() -> None:
    """On a smooth network projected ascent gains with ε, in both norms."""
    net, labels = Net(), torch.tensor([0, 1, 2, 3])
    for norm, radii in (("linf", (0.0, 0.02, 0.05, 0.1)), ("l2", (0.0, 0.2, 0.5, 1.0))):
        losses = [
            pgd(net.goal(labels), images(4), eps, norm=norm, steps=20).loss  # type: ignore[arg-type]
            for eps in radii
        ]
        for less, more in pairwise(losses):
            assert (more > less).all()


@pytest.mark.parametrize("name", ["pgd", "square"])
def test_who_has_won_rests(name: str) -> None:
    """With `stop` the first point that wins is kept; who wins is the same."""
    net, x = Net(), images(8)
    labels = net(x).argmax(1)
    goal = net.goal(labels)
    if name == "pgd":
        whole, early = (pgd(goal, x, 0.2, steps=20, stop=stop) for stop in (False, True))
    else:
        whole, early = (
            square(goal, x, 0.2, chance(8), queries=60, stop=stop) for stop in (False, True)
        )
    assert whole.won.any()
    assert torch.equal(whole.won, early.won)
    assert (early.loss[early.won] < whole.loss[whole.won]).any()
    assert (early.loss <= whole.loss + 1e-6).all()


def test_flat_and_broken_losses_leave_the_sample() -> None:
    """Where there is no slope, or the loss is no number, the sample itself is returned."""
    x = images(2)

    def broken(at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loss = at.flatten(1).sum(1)
        loss = torch.stack([loss[0] * 0, loss[1] * 0 + 1])
        far = (at - x).flatten(1).abs().sum(1) > 0
        return loss.where(~far, torch.nan), torch.zeros(2, dtype=torch.bool)

    for found in (fgsm(broken, x, 0.1), square(broken, x, 0.1, chance(2), queries=5)):
        assert torch.equal(found.x, x)
        assert found.loss.tolist() == [0, 1]
