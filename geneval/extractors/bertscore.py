"""BERTScore's matching: which tokens of two texts stand for each other, and what a token weighs.

Tokens are matched greedily by the cosine of their states, special ones among them; precision is the
weighted mean over the hypothesis' tokens of their best match in the reference, recall the same the
other way round. Weights are 1, and 0 for the two tokens that begin and end a text; or with `idf`
log((N + 1) / (df + 1)), df being how many of N references hold the token.

Source: Zhang et al. 2020, arXiv:1904.09675.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geneval.signature import Digest, digest

if TYPE_CHECKING:
    import torch

Scores = tuple[float, float, float]  # precision, recall, f1


@dataclass(frozen=True)
class Weights:
    """What tokens weigh: by document frequencies `df` of `n` references, or 1 but for `special`."""

    special: frozenset[int]
    n: int = 0
    df: Counter[int] | None = None

    @classmethod
    def counted(cls, documents: Iterable[Collection[int]]) -> Weights:
        """Those of references, each the ids of its tokens."""
        df, n = Counter[int](), 0
        for ids in documents:
            df.update(set(ids))
            n += 1
        return cls(frozenset(), n, df)

    def of(self, ids: Sequence[int]) -> list[float]:
        """The weights of a text's tokens."""
        if self.df is None:
            return [float(one not in self.special) for one in ids]
        return [math.log((self.n + 1) / (self.df[one] + 1)) for one in ids]

    @property
    def digest(self) -> Digest:
        """What tells frequencies from others."""
        return digest([self.n, sorted((self.df or {}).items())])


@dataclass(frozen=True)
class Tokens:
    """A text as states of length 1 [t, d] of its tokens and their weights [t]; `blank` has none."""

    states: torch.Tensor
    weights: torch.Tensor
    blank: bool


def matched(made: Tokens, wanted: Tokens) -> Scores:
    """Precision, recall and F1 of two texts; 0 where either is blank, NaN where nothing weighs."""
    if made.blank or wanted.blank:
        return 0.0, 0.0, 0.0
    like = made.states @ wanted.states.T
    precision, recall = (
        float((best * side.weights).sum() / side.weights.sum())
        for best, side in ((like.amax(dim=1), made), (like.amax(dim=0), wanted))
    )
    if math.isnan(precision + recall):
        return math.nan, math.nan, math.nan
    both = precision > 0 and recall > 0
    return precision, recall, 2 * precision * recall / (precision + recall) if both else 0.0


def best(scores: Iterable[Scores]) -> Scores:
    """The greatest precision, recall and F1, each by itself; NaN if any is."""
    columns = list(zip(*scores, strict=True))
    p, r, f = (math.nan if any(map(math.isnan, one)) else max(one) for one in columns)
    return p, r, f
