"""The ranking of systems by pairwise preferences, with intervals, tie groups and agreement.

`rank` makes of records (see `geneval.judgements`), or of their file,

- the win rate of each system, a tie counting half, with Wilson's (1927) interval, which takes the
  records as independent and is too narrow where items have several;
- Elo ratings. They depend on the order, which is that of the records; initial 1000, base 10, scale
  400, and K as given: 4 unless told, slow, as for systems that do not change;
- Bradley–Terry strengths (Bradley and Terry 1952): natural log-odds θ with mean 0, so that
  P(i beats j) = 1 / (1 + exp(θ_j − θ_i)). A tie is half a win for each. They are undefined (Ford
  1957) where a group of systems was never compared with the others, or never lost or tied against
  them; the sentence names the group;
- ranks: one more than the number of systems whose strength is higher by an interval of the
  difference that excludes 0, at the level of each pair. Systems that are not told apart tie;
- Krippendorff's α of the raters, nominal: a unit is an item with its two systems, a value which of
  the two won (the first or the second by name) or a tie.

Elo, strengths, their differences and α have percentile bootstrap intervals. Resampled are the
items where the records have them, since judgements of one item go together, else the records; the
same resamples serve every system. A resample in which a number is undefined lies beyond both ends
of its interval: an interval that cannot be had is missing, and never too narrow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from geneval.errors import UsageError
from geneval.judgements import (
    BASE,
    INITIAL,
    SCALE,
    Floats,
    Judgements,
    Ratings,
    alpha,
    bradley_terry,
    elo,
    ratings,
    read_judgements,
    require_human,
)
from geneval.metric import Undefined
from geneval.resample import Context, wilson
from geneval.value import Interval, Measured

SCHEMA = 1
K = 4.0
RESAMPLES = 1000
FEWEST = 100  # resamples, below which the ends of an interval are chance


@dataclass(frozen=True)
class Standing:
    """One system; `tied` are those that it is not told apart from."""

    system: str
    games: int
    wins: int
    ties: int
    losses: int
    win_rate: Measured
    elo: Measured
    strength: Measured
    rank: int | None
    tied: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """By how much the first system is stronger than the second, in log-odds."""

    first: str
    second: str
    difference: Measured


@dataclass(frozen=True)
class Ranking:
    """Standings, the strongest first; the differences of all pairs, each from the stronger.

    `agreement` is None without raters; `method` holds the counts and constants behind the numbers.
    """

    standings: tuple[Standing, ...]
    differences: tuple[Difference, ...]
    agreement: Measured | None
    method: Mapping[str, str | int | float]


@dataclass(frozen=True, eq=False)
class Draws:
    """What r resamples gave: Elo and strengths [r, s], α [r]; NaN where undefined."""

    elo: Floats
    strengths: Floats
    alpha: Floats


def rank(
    given: Path | str | Sequence[Mapping[str, Any]],
    *,
    fields: Mapping[str, str] | None = None,
    k: float = K,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Ranking:
    """The ranking of systems by preferences: a path (jsonl, csv, parquet) or a list of records.

    `fields` says which column holds a field, such as `{"a": "model_a"}`. Raises `UsageError` for a
    path or column that is not there, for an option out of range and without `geneval[human]`,
    `SampleError` for records that cannot be meant.

    >>> rank([{"a": "x", "b": "y", "winner": w} for w in "aab"]).standings[0].system
    'x'
    """
    if k <= 0 or resamples < FEWEST or not 0 < level < 1:
        raise UsageError(f"k must be above 0, resamples {FEWEST} or more, level between 0 and 1")
    require_human()
    found = read_judgements(given, fields)
    context = Context(seed=seed, level=level)
    shared, unshared = _shared(found)
    draws = draw(found, shared, k, resamples, context)
    said = _Intervals(level, "record" if found.items is None else "item")
    ratings_elo = elo(found, np.arange(len(found.a)), k)
    try:
        strengths = bradley_terry(found.wins(), found.systems)
    except Undefined as reason:
        order = np.argsort(-found.wins().sum(1) / _games(found), kind="stable")
        told = [Measured(problem=str(reason))] * len(order)
        differences: tuple[Difference, ...] = ()
    else:
        order = np.argsort(-strengths, kind="stable")
        told = [said.of(*one) for one in zip(strengths, draws.strengths.T, strict=True)]
        differences = _differences(found.systems, strengths, draws.strengths, order.tolist(), said)
    elos = [said.of(*one) for one in zip(ratings_elo, draws.elo.T, strict=True)]
    return Ranking(
        tuple(_standing(found, i, elos[i], told[i], differences, level) for i in order),
        differences,
        unshared if shared is None else _agreement(shared, draws.alpha, said),
        _method(found, k, resamples, context),
    )


def draw(
    found: Judgements, shared: Ratings | None, k: float, resamples: int, context: Context
) -> Draws:
    """Elo, strengths and α of resampled units; none where there is one unit alone."""
    units, s = found.units, len(found.systems)
    count = int(units.max()) + 1
    r = resamples if count > 1 else 0
    draws = Draws(np.full((r, s), np.nan), np.full((r, s), np.nan), np.full(r, np.nan))
    rng = context.generator("preferences")
    rows = np.arange(len(units))
    for i in range(r):
        weights = np.bincount(rng.integers(0, count, count), minlength=count)
        draws.elo[i] = elo(found, np.repeat(rows, weights[units]), k)
        with contextlib.suppress(Undefined):
            draws.strengths[i] = bradley_terry(found.wins(weights[units]), found.systems)
        if shared is not None:
            with contextlib.suppress(Undefined):
                draws.alpha[i] = alpha(np.repeat(shared.counts, weights[shared.units], axis=0))
    return draws


@dataclass(frozen=True)
class _Intervals:
    """Percentile intervals at a level, of resampled records or items."""

    level: float
    unit: str

    def of(self, number: float, draws: Floats) -> Measured:
        """A number with the interval of its resamples [r], or the reason why it has none."""
        if not len(draws):
            why = f"there is one {self.unit} alone to resample"
            return Measured(number=float(number), no_interval=why)
        tail = (1 - self.level) / 2
        low = np.quantile(np.nan_to_num(draws, nan=-np.inf), tail, method="lower")
        high = np.quantile(np.nan_to_num(draws, nan=np.inf), 1 - tail, method="higher")
        if not np.isfinite([low, high]).all():
            share = np.isnan(draws).mean()
            why = f"undefined in {share:.0%} of the resamples: too few {self.unit}s"
            return Measured(number=float(number), no_interval=why)
        method = f"percentile bootstrap of {self.unit}s"
        interval = Interval(float(low), float(high), self.level, method, "population")
        return Measured(number=float(number), interval=interval)


def _shared(found: Judgements) -> tuple[Ratings | None, Measured | None]:
    """What raters judged together, or why their agreement is undefined; neither without raters."""
    if found.raters is None:
        return None, None
    try:
        return ratings(found), None
    except Undefined as reason:
        return None, Measured(problem=str(reason))


def _agreement(shared: Ratings, draws: Floats, said: _Intervals) -> Measured:
    try:
        return said.of(alpha(shared.counts), draws)
    except Undefined as reason:
        return Measured(problem=str(reason))


def _differences(
    systems: Sequence[str],
    strengths: Floats,
    draws: Floats,
    order: Sequence[int],
    said: _Intervals,
) -> tuple[Difference, ...]:
    """The differences of all pairs, from the stronger to the weaker."""
    return tuple(
        Difference(
            systems[i], systems[j], said.of(strengths[i] - strengths[j], draws[:, i] - draws[:, j])
        )
        for i, j in combinations(order, 2)
    )


def _told_apart(one: Difference) -> bool:
    """Whether the interval of a difference excludes 0 on the side of the stronger system."""
    interval = one.difference.interval
    return interval is not None and interval.low > 0


def _standing(
    found: Judgements,
    i: int,
    elo_: Measured,
    strength: Measured,
    differences: Sequence[Difference],
    level: float,
) -> Standing:
    system = found.systems[i]
    got = np.concatenate([found.won[found.a == i], 1 - found.won[found.b == i]])
    above = [one for one in differences if one.second == system and _told_apart(one)]
    tied = [
        one.first if one.second == system else one.second
        for one in differences
        if system in (one.first, one.second) and not _told_apart(one)
    ]
    return Standing(
        system=system,
        games=len(got),
        wins=int((got == 1).sum()),
        ties=int((got == 0.5).sum()),
        losses=int((got == 0).sum()),
        win_rate=Measured(
            number=float(got.mean()),
            interval=wilson(float(got.sum()), len(got), level, "population"),
        ),
        elo=elo_,
        strength=strength,
        rank=len(above) + 1 if differences else None,
        tied=tuple(tied),
    )


def _games(found: Judgements) -> Floats:
    """How many comparisons each system [s] was in."""
    wins = found.wins()
    return np.asarray((wins + wins.T).sum(1))


def _method(
    found: Judgements, k: float, resamples: int, context: Context
) -> dict[str, str | int | float]:
    """The counts and constants of a ranking."""
    counted: dict[str, str | int | float] = {"records": len(found.a)}
    if found.items is not None:
        counted["items"] = len(set(found.items))
    if found.raters is not None:
        counted["raters"] = len(set(found.raters))
    return counted | {
        "resampled": "records" if found.items is None else "items",
        "resamples": resamples,
        "seed": context.seed,
        "level": context.level,
        "elo_order": "as recorded",
        "elo_initial": INITIAL,
        "elo_base": BASE,
        "elo_scale": SCALE,
        "elo_k": k,
        "strength": "log-odds with mean 0, ties half a win for each",
        "alpha": "nominal",
    }


def to_json(ranking: Ranking) -> dict[str, Any]:
    """The document of a ranking, preferences.json."""
    return {
        "schema": SCHEMA,
        "method": dict(ranking.method),
        "systems": [
            {name: _told(part) for name, part in vars(one).items()} for one in ranking.standings
        ],
        "differences": [
            {name: _told(part) for name, part in vars(one).items()} for one in ranking.differences
        ],
        "agreement": _told(ranking.agreement),
    }


def _told(part: Any) -> Any:
    """A number with its interval as a mapping; anything else as it is."""
    if not isinstance(part, Measured):
        return part
    return {
        "number": part.number,
        "interval": part.interval and asdict(part.interval),
        "problem": part.problem,
        "no_interval": part.no_interval,
    }
