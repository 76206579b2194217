"""What metrics ask of all pairs of two sets, and one sweep that answers all of it.

Metrics call `kernel_pair`, `balls_around` and `nearest_across`. Inside `sharing(known)` the first
question about two sets answers everything that is known to be asked of them, so that every product
of two rows is computed once for all metrics. The answers are the same either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from geneval.data import Neighbours
from geneval.kernels import Kernel, PairSums, pair_takers
from geneval.linalg import Floats, Ints
from geneval.neighbours import Balls, Members, Nearest, balls, nearest
from geneval.tiles import Rows, sweep


@dataclass(frozen=True)
class Around:
    """Balls around the rows of y that reach their k-th neighbour in y: which hold which rows of x?

    `swapped`: around the rows of x. A row at the radius itself is inside if `inclusive`.
    """

    k: int
    inclusive: bool
    swapped: bool = False


@dataclass(frozen=True)
class Asks:
    """What is asked of two sets x and y.

    `k` nearest rows of each row within its own set, `across` nearest rows of y of each row of x.
    """

    kernels: frozenset[Kernel] = frozenset()
    balls: frozenset[Around] = frozenset()
    k: int = 0
    across: int = 0

    def __or__(self, other: Asks) -> Asks:
        return Asks(
            self.kernels | other.kernels,
            self.balls | other.balls,
            max(self.k, other.k),
            max(self.across, other.across),
        )


@dataclass(frozen=True)
class Answers:
    """Sums by kernel, memberships by balls, nearest rows within either side and from x to y.

    What a side is too small for is not there.
    """

    sums: dict[Kernel, PairSums]
    balls: dict[Around, Balls]
    near: tuple[tuple[Floats, Ints] | None, ...]
    across: tuple[Floats, Ints] | None = None


def answer(x: Rows, y: Rows, asks: Asks) -> Answers:
    """Everything asked of x [n, d] and y [m, d], by three sweeps: within x, within y, between."""
    takers = {kernel: pair_takers(kernel, x, y) for kernel in asks.kernels}
    deepest = max([asks.k, *(ask.k + 1 for ask in asks.balls)])
    near: list[tuple[Floats, Ints] | None] = []
    for number, side in enumerate((x, y)):
        k = min(deepest, len(side) - 1)
        nearest = [Nearest(side, k, None)] if k else []
        sweep(side, None, [*nearest, *(three[number] for three in takers.values())])
        near.append(nearest[0].result() if nearest else None)
    members = {}
    for ask in asks.balls:
        found = near[0 if ask.swapped else 1]
        if found is not None and found[0].shape[1] > ask.k:
            inner, outer = found[0][:, ask.k - 1], found[0][:, ask.k]
            rows = len(y if ask.swapped else x)
            members[ask] = Members(rows, inner, outer, ask.inclusive, ask.swapped)
    across = [Nearest(x, min(asks.across, len(y)), y)] if asks.across else []
    sweep(x, y, [*members.values(), *across, *(three[2] for three in takers.values())])
    return Answers(
        {kernel: PairSums(*(one.result() for one in three)) for kernel, three in takers.items()},
        {ask: one.result() for ask, one in members.items()},
        tuple(near),
        across[0].result() if across else None,
    )


class Shared:
    """The answers to all that is `asked` of two sets: of those that are asked about first."""

    def __init__(self, asked: Asks) -> None:
        self.asked = asked
        self._of: tuple[Rows, Rows] | None = None
        self._answers: Answers | None = None

    def of(self, x: Rows, y: Rows) -> Answers:
        """All answers about x and y, which `is_of` says to be the two sets."""
        if self._answers is None:
            self._of, self._answers = (x, y), answer(x, y, self.asked)
        return self._answers

    def is_of(self, x: Rows, y: Rows) -> bool:
        """Whether these very arrays are the two sets, or may become them."""
        return self._of is None or (self._of[0] is x and self._of[1] is y)


_shared: ContextVar[Shared | None] = ContextVar("geneval_pairs_shared", default=None)


@contextmanager
def sharing(shared: Shared | None) -> Iterator[None]:
    """Let the questions inside the block be answered together; None answers each by itself."""
    token = _shared.set(shared)
    try:
        yield
    finally:
        _shared.reset(token)


def kernel_pair(x: Rows, y: Rows, kernel: Kernel) -> PairSums:
    """Sums of a kernel within x [n, d], within y [m, d] (pairs i ≠ j) and between them."""
    shared = _shared.get()
    if shared is not None and kernel in shared.asked.kernels and shared.is_of(x, y):
        return shared.of(x, y).sums[kernel]
    return answer(x, y, Asks(frozenset({kernel}))).sums[kernel]


def nearest_across(x: Rows, y: Rows, k: int) -> tuple[Floats, Ints]:
    """Distance and row of the k nearest rows of y [m, d] for every row of x [n, d], both [n, k]."""
    shared = _shared.get()
    if shared is not None and shared.asked.across >= k and shared.is_of(x, y):
        found = shared.of(x, y).across
        assert found is not None
        return found[0][:, :k], found[1][:, :k]
    return nearest(x, k, y)


def balls_around(centres: Rows, near: Neighbours, x: Rows, k: int, inclusive: bool) -> Balls:
    """Membership of x [n, d] in the balls around `centres` [m, d] up to their k-th neighbour.

    `near` holds at least k + 1 neighbours of the centres; the shell reaches to the next one.
    """
    shared = _shared.get()
    for pair, swapped in (((x, centres), False), ((centres, x), True)):
        ask = Around(k, inclusive, swapped)
        if shared is not None and ask in shared.asked.balls and shared.is_of(*pair):
            return shared.of(*pair).balls[ask]
    return balls(x, centres, near.radius(k), near.radius(k + 1), inclusive)
