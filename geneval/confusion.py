"""Shares of classes behind the labels of a classifier whose mistakes are counted.

A classifier that takes a class c for j with probability M[j, c] turns shares p into M p. Of the
shares it reports, the least squares solution with p ≥ 0 is the estimate of p: M⁻¹ times them where
that is nowhere negative. It holds where mistakes within a class are as frequent among the samples
as among those they were counted on.

Source: the correction by the confusion matrix that Saerens, Latinne and Decaestecker 2002 compare
with, its shares kept from becoming negative.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geneval.data import Labels
from geneval.shares import Floats, Ints

CONDITION = 100.0  # of the matrix, beyond which errors of shares may grow a hundredfold


def confusions(truth: Labels, predicted: Labels, names: Sequence[str]) -> Ints:
    """How many samples [true, predicted] of each named class were taken for each."""
    code = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    for true, found in zip(truth.names(), predicted.names(), strict=True):
        table[code[true], code[found]] += 1
    return table


def rates(table: Ints) -> Floats:
    """M [predicted, true], whose columns add up to 1, of counts [true, predicted].

    A class of which no sample was counted is taken to be recognised without mistakes.
    """
    seen = table.sum(axis=1)
    known = np.where((seen > 0)[:, None], table / np.maximum(seen, 1)[:, None], np.eye(len(seen)))
    return np.ascontiguousarray(known.T)


def condition(matrix: Floats) -> float:
    """Condition number of M in the 2-norm: infinite where two classes cannot be told apart."""
    return float(np.linalg.cond(matrix))


def corrected_shares(matrix: Floats, shares: Floats) -> Floats:
    """The shares p [k] behind the shares [k] that were predicted, under M [k, k].

    Shares that no p explains at all, which only a near singular M leaves, stay as they are.
    """
    from scipy.optimize import nnls

    try:
        found = np.linalg.solve(matrix, shares)
    except np.linalg.LinAlgError:
        found = np.full(len(shares), -1.0)
    if found.min() < 0:
        found, _ = nnls(matrix, shares)
    total = found.sum()
    return np.asarray(found / total) if total else shares
