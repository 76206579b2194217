"""Questions about pairs: the same numbers together and alone, and one sweep for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geneval import pairs
from geneval.data import Features, Neighbours
from geneval.metric import find_metric
from geneval.neighbours import nearest
from geneval.pairs import Asks, Shared, sharing
from geneval.resample import Context

OPTIONS: dict[str, dict[str, Any]] = {
    "kid": {"subset_size": 50, "subsets": 4},
    "cmmd": {},
    "precision_recall": {},
    "density_coverage": {},
}


def measured(shared: Shared | None) -> list[float | None]:
    """All numbers of four metrics on two sets."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 200, 8)) + 1
    sides = {
        role: Features(tuple(map(str, range(200))), rows)
        for role, rows in (("generated", x), ("reference", y))
    }
    found = []
    for name, given in OPTIONS.items():
        spec = find_metric(name)
        options = spec.check_options(given)
        inputs: dict[str, Any] = {}
        for parameter, need in spec.needs(options).items():
            side = sides[need.role]
            near = need.kind == "neighbours"
            inputs[parameter] = Neighbours(side.ids, *nearest(side.x, need.k)) if near else side
        with sharing(shared):
            found += [one.number for one in spec.measure(inputs, Context(), options)]
    return found


def test_metrics_together_give_what_they_give_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four metrics, seven questions, one set of answers; counts equal, sums to rounding."""
    asked = Asks()
    for name, given in OPTIONS.items():
        spec = find_metric(name)
        asks = spec.asks(spec.check_options(given))
        assert asks is not None
        asked |= asks
    calls: list[Asks] = []
    answer = pairs.answer

    def counted(x: Any, y: Any, asks: Asks) -> pairs.Answers:
        """Answers, and keeps what was asked."""
        calls.append(asks)
        return answer(x, y, asks)

    alone = measured(None)
    monkeypatch.setattr(pairs, "answer", counted)
    together = measured(Shared(asked))
    assert calls == [asked]
    assert len(together) == 8
    assert together == pytest.approx(alone, rel=1e-10)
