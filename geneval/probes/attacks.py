"""Attacks: the worst point near a sample, sought along a gradient or by trying.

All are functions of a goal, which maps points [b, …] to the loss [b] that is to become large and
to whether a point has won [b], of the samples `x`, and of a radius `eps` in a norm:

- `fgsm`: one step of the whole radius along the gradient (its sign in L∞, its direction in L2);
- `pgd`: many small steps, each brought back into the ball, from the sample and from other starts;
- `square`: no gradient; squares of random colours are tried and kept where the loss grows. In L2
  each square is as strong as the radius allows and the sum is brought back into the ball, which is
  simpler than the paper's moving of mass.

Every point tried lies within `eps` of its sample and within `bounds`, and what is returned is the
best of all of them, the sample itself included: so no attack makes a sample look sturdier than it
is. Chance comes from one generator a sample, so that no batch changes what is tried.

Papers: Goodfellow et al. 2015, arXiv:1412.6572; Madry et al. 2018, arXiv:1706.06083; Andriushchenko
et al. 2020, arXiv:1912.00049.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch

Norm = Literal["linf", "l2"]
Goal = Callable[["torch.Tensor"], tuple["torch.Tensor", "torch.Tensor"]]
Bounds = tuple[float, float]
UNIT: Bounds = (0.0, 1.0)
_HALVED = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # shares of the queries, as the paper
_FIRST = 0.8  # share of the image that the first square covers


@dataclass(frozen=True)
class Found:
    """The best point `x` of each sample, the largest loss [b] of any, whether any has won [b].

    A point that has won is better than one that has not; among equals the larger loss decides.
    """

    x: torch.Tensor
    loss: torch.Tensor
    won: torch.Tensor

    def or_better(self, other: Found, stop: bool = False) -> Found:
        """With the points that are better than the ones there are; a loss of NaN never is.

        With `stop` what has won is left as it is.
        """
        larger = (other.loss > self.loss) & ~(self.won & stop)
        better = (other.won & ~self.won) | ((other.won == self.won) & larger)
        return Found(
            other.x.where(_along(better, self.x), self.x),
            other.loss.where(larger, self.loss),
            self.won | other.won,
        )


def tried(goal: Goal, x: torch.Tensor) -> Found:
    """The samples themselves."""
    import torch

    with torch.no_grad():
        loss, won = goal(x)
    return Found(x, loss, won)


def fgsm(
    goal: Goal, x: torch.Tensor, eps: float, *, norm: Norm = "linf", bounds: Bounds | None = UNIT
) -> Found:
    """The fast gradient method: one step of length `eps`."""
    return pgd(goal, x, eps, norm=norm, steps=1, step=eps, bounds=bounds)


def pgd(
    goal: Goal,
    x: torch.Tensor,
    eps: float,
    starts: Sequence[torch.Tensor] | None = None,
    *,
    norm: Norm = "linf",
    steps: int = 20,
    step: float | None = None,
    bounds: Bounds | None = UNIT,
    stop: bool = False,
) -> Found:
    """Projected gradient ascent from every one of `starts`, the samples themselves unless given.

    `step` is 2.5 eps / steps unless given; with `stop` a sample rests as soon as it has won.
    """
    best = tried(goal, x)
    length = 2.5 * eps / steps if step is None else step
    for start in [x] if starts is None else starts:
        for point in ascent(goal, x, start, eps, norm, length, steps, bounds):
            best = best.or_better(point, stop)
            if stop and bool(best.won.all()):
                return best
    return best


def ascent(
    goal: Goal,
    x: torch.Tensor,
    start: torch.Tensor,
    eps: float,
    norm: Norm,
    step: float,
    steps: int,
    bounds: Bounds | None = UNIT,
) -> Iterator[Found]:
    """The start and the points after each step."""
    import torch

    at = start
    for _ in range(steps):
        with torch.enable_grad():
            at = at.detach().requires_grad_()
            loss, won = goal(at)
            (slope,) = torch.autograd.grad(loss.sum(), at)
        at = at.detach()
        yield Found(at, loss.detach(), won)
        at = inside(at + step * direction(slope, norm), x, eps, norm, bounds)
    yield tried(goal, at)


def square(
    goal: Goal,
    x: torch.Tensor,
    eps: float,
    chance: Sequence[np.random.Generator],
    *,
    norm: Norm = "linf",
    queries: int = 200,
    bounds: Bounds | None = UNIT,
    stop: bool = False,
) -> Found:
    """Random search over squares of images [b, c, h, w], `queries` of them after the sample."""
    import torch

    best = at = tried(goal, x)
    places = torch.as_tensor(np.stack([one.random((queries, 2)) for one in chance])).to(x)
    signs = np.stack([one.integers(0, 2, (queries, x.shape[1])) for one in chance])
    colours = torch.as_tensor(2 * signs - 1).to(x)[..., None, None]
    for k in range(queries):
        if stop and bool(best.won.all()):
            break
        side = _side(k / queries, x.shape[2:])
        patch = _squares(places[:, k], side, x.shape[2:])[:, None] * colours[:, k]
        move = 2 * eps * patch if norm == "linf" else eps * direction(patch, "l2")
        point = tried(goal, inside(at.x + move, x, eps, norm, bounds))
        best = best.or_better(point, stop)
        keep = point.loss > at.loss
        kept = point.x.where(_along(keep, x), at.x)
        at = Found(kept, point.loss.where(keep, at.loss), point.won)
    return best


def inside(
    point: torch.Tensor, x: torch.Tensor, eps: float, norm: Norm, bounds: Bounds | None = UNIT
) -> torch.Tensor:
    """The points brought into the ball about their samples, then into the bounds.

    The second step moves no coordinate away from the sample's, so that it leaves no ball.
    """
    move = point - x
    if norm == "linf":
        move = move.clamp(-eps, eps)
    else:
        length = size(move)
        move = move * _along((eps / length).where(length > eps, 1.0), x)
    found = x + move
    return found if bounds is None else found.clamp(*bounds)


def random_starts(
    x: torch.Tensor,
    eps: float,
    chance: Sequence[np.random.Generator],
    norm: Norm = "linf",
    bounds: Bounds | None = UNIT,
) -> torch.Tensor:
    """A point for each sample, uniform in the ball about it, then brought into the bounds."""
    import torch

    shape, d = x.shape[1:], x[0].numel()
    if norm == "linf":
        moves = [one.uniform(-eps, eps, shape) for one in chance]
        return inside(x + torch.as_tensor(np.stack(moves)).to(x), x, eps, norm, bounds)
    way = torch.as_tensor(np.stack([one.standard_normal(shape) for one in chance])).to(x)
    far = torch.as_tensor(np.stack([one.random() ** (1 / d) for one in chance])).to(x)
    return inside(x + eps * _along(far, x) * direction(way, norm), x, eps, norm, bounds)


def direction(slope: torch.Tensor, norm: Norm) -> torch.Tensor:
    """The step of length 1 that climbs a slope [b, …] the most; none where it is flat or NaN."""
    slope = slope.nan_to_num()
    if norm == "linf":
        return slope.sign()
    length = size(slope)
    return slope / _along(length.where(length > 0, 1.0), slope)


def size(move: torch.Tensor) -> torch.Tensor:
    """Euclidean length [b]."""
    found: torch.Tensor = move.flatten(1).norm(dim=1)
    return found


def _side(done: float, shape: Sequence[int]) -> int:
    """Side of the squares once a share of the queries is done: ever smaller ones."""
    share = _FIRST / 2 ** sum(done > one for one in _HALVED)
    wanted = round(math.sqrt(share * shape[0] * shape[1]))
    return max(1, min(*shape, wanted))


def _squares(places: torch.Tensor, side: int, shape: Sequence[int]) -> torch.Tensor:
    """Masks [b, h, w] of squares whose corners lie at `places` [b, 2] in 0..1."""
    import torch

    found = []
    for axis, whole in enumerate(shape):
        first = (places[:, axis] * (whole - side + 1)).floor().clamp(max=whole - side)[:, None]
        at = torch.arange(whole, device=places.device)
        found.append((at >= first) & (at < first + side))
    return (found[0][:, :, None] & found[1][:, None, :]).to(places)


def _along(each: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Something a sample [b], shaped to go with points [b, …]."""
    return each.reshape(-1, *[1] * (like.ndim - 1))
