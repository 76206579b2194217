"""geneval.engine.memory: a stored estimate is the very one, or not found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneval.engine.memory import recall, remember
from geneval.ledger import Ledger
from geneval.value import (
    DetailTable,
    Estimate,
    Evidence,
    Gallery,
    Interval,
    Role,
    measured_fields,
)

KEY = "ef" * 32
IDS = ("a", "b", "ü/3")
SCORES = Evidence("scores", IDS, np.array([0.1, -2.5, 1e-300]))
INFLUENCE = Evidence("influence", IDS[:2], np.array([1 / 3, -1 / 3]))
STATISTICS = Evidence("statistics", IDS, np.arange(6.0).reshape(3, 2))

FULL = Estimate(
    output="precision",
    number=1 / 3,
    n={Role.GENERATED: 3, Role.REFERENCE: None},
    interval=Interval(0.1, 0.5, 0.95, "wilson", "population"),
    at={"label": "3", "perturb": "jpeg"},
    finding="Two of three lie – “inside”.",
    tables=(
        DetailTable("By class", {"class": ["0", "1"], "n": [2, 1], "share": [0.5, None]}, "bars"),
        DetailTable("Curve", {"x": [1, 2], "y": [0.1, 0.2]}, "line"),
    ),
    galleries=(Gallery("Worst", Role.GENERATED, ("b", "a"), ("0.1", "0.2")),),
    evidence={Role.GENERATED: SCORES, Role.REFERENCE: INFLUENCE},
)
BARE = Estimate(output="recall", number=0.0, no_interval="one sample", evidence={})
PROBLEM = Estimate(
    output="coverage", problem="3 samples are too few", evidence={Role.TRAIN: STATISTICS}
)


def _same(a: Estimate, b: Estimate) -> bool:
    """Whether two estimates agree in every field, their evidence to the bit."""
    return (
        a.output == b.output
        and measured_fields(a) == measured_fields(b)
        and list(a.evidence) == list(b.evidence)
        and all(
            (mine.kind, mine.ids) == (theirs.kind, theirs.ids)
            and mine.rows.dtype == theirs.rows.dtype
            and np.array_equal(mine.rows, theirs.rows)
            for mine, theirs in zip(a.evidence.values(), b.evidence.values(), strict=True)
        )
    )


@pytest.mark.parametrize("estimates", [[FULL], [BARE], [PROBLEM], [FULL, BARE, PROBLEM], []])
def test_what_is_remembered_is_recalled(ledger: Ledger, estimates: list[Estimate]) -> None:
    """Numbers, problems, intervals, tables, galleries and evidence come back in their order."""
    remember(ledger, KEY, estimates)
    found = recall(Ledger(ledger.root), KEY)
    assert found is not None
    assert len(found) == len(estimates)
    assert all(_same(a, b) for a, b in zip(found, estimates, strict=True))


def test_roles_and_cells_keep_their_types(ledger: Ledger) -> None:
    """Roles are roles again, counts stay integers and shares floats."""
    remember(ledger, KEY, [FULL])
    (found,) = recall(ledger, KEY) or []
    assert all(isinstance(role, Role) for role in (*found.n, *found.evidence))
    assert found.galleries[0].role is Role.GENERATED
    assert [type(cell) for cell in found.tables[0].columns["n"]] == [int, int]
    assert [type(cell) for cell in found.tables[0].columns["class"]] == [str, str]


@given(
    number=st.floats(allow_nan=False, allow_infinity=False),
    rows=st.lists(st.floats(), min_size=1, max_size=4),
)
def test_every_float_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, number: float, rows: list[float]
) -> None:
    """A number is the very float, signed zeros and subnormals included, and so is evidence."""
    ledger = Ledger(tmp_path_factory.mktemp("floats"))
    evidence = Evidence("scores", tuple(map(str, range(len(rows)))), np.array(rows))
    told = Estimate(output="x", number=number, no_interval="-", evidence={Role.GENERATED: evidence})
    remember(ledger, KEY, [told])
    (found,) = recall(ledger, KEY) or []
    assert found.number is not None
    assert found.number == number
    assert math.copysign(1, found.number) == math.copysign(1, number)
    assert found.evidence[Role.GENERATED].rows.tobytes() == evidence.rows.tobytes()


def test_another_key_recalls_nothing(ledger: Ledger) -> None:
    """What was not remembered is None, not an empty list."""
    remember(ledger, KEY, [FULL])
    assert recall(ledger, "01" * 32) is None


def test_a_damaged_memory_is_no_memory(ledger: Ledger) -> None:
    """A stored estimate whose file is cut is measured anew."""
    remember(ledger, KEY, [FULL])
    (path,) = ledger.root.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-8])
    assert recall(ledger, KEY) is None
