"""Calibration: a model against itself raises alarms at the stated rate, a shift is seen as stated.

A short form of the table in docs/statistics.md, made by the same program.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
RUNS = {"score": 200, "fid": 50, "kid": 40, "bleu": 12}


def program() -> ModuleType:
    """benchmarks/calibration.py as a module."""
    path = ROOT / "benchmarks" / "calibration.py"
    spec = importlib.util.spec_from_file_location("calibration", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibration"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


CALIBRATION = program()


@pytest.mark.parametrize("case", CALIBRATION.CASES, ids=lambda case: case.name)
def test_a_model_against_itself(case: CALIBRATION.Case) -> None:  # type: ignore[name-defined]
    """No more claims and failures than a true 5 % gives in 99 of 100 simulations."""
    found = CALIBRATION.calibrate(case, RUNS[case.address])
    allowed = CALIBRATION.allowed(found.runs)
    assert found.claimed <= allowed
    assert found.failed <= allowed


@pytest.mark.parametrize(
    "case", [case for case in CALIBRATION.CASES if case.address != "bleu"], ids=lambda c: c.name
)
def test_a_shift_is_seen_with_the_stated_power(case: CALIBRATION.Case) -> None:  # type: ignore[name-defined]
    """Within four standard deviations of the binomial share; without a shift it would be 5 %."""
    found = CALIBRATION.calibrate(case, RUNS[case.address] // 2, case.shift)
    spread = (found.stated * (1 - found.stated) / found.runs) ** 0.5
    assert 0.4 < found.stated < 0.95
    assert found.claimed == pytest.approx(found.stated, abs=4 * spread)
    assert found.failed >= found.claimed - 1e-9  # one-sided sees more of what is worse


def test_the_limit_is_the_binomials() -> None:
    """99 % of binomial(500, 0.05) lie at or below 37 (scipy.stats.binom), so 7.4 % are allowed."""
    assert CALIBRATION.allowed(500) == 37 / 500
