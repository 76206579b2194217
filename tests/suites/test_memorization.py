"""The suite `memorization` on digits: planted copies are counted, shown and fail the gates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from geneval.evaluator import open_job
from geneval.examples.digits.data import Split
from geneval.ledger import Ledger
from geneval.reports.write import RUN_WRITERS
from geneval.run import Outcome, execute
from geneval.suite import load_suite
from geneval.value import Role
from geneval.verdict import Status

COPIES = 60


def outcome(
    digits: tuple[Split, Split], ledger: Ledger, copies: int, out: Path | None, shown: str = "none"
) -> Outcome:
    """Every other held-out digit as a sample, with copies of training digits, against the rest.

    The digits lie in the order of their writers, so that a first and a second half would differ.
    """
    train, held_out = digits
    suite = load_suite("memorization", ["extractor=digits", f"report.train_images={shown}"])
    job = open_job(
        suite,
        ledger,
        samples=np.concatenate([train.images[:copies], held_out.images[::2]]),
        reference=held_out.images[1::2],
        train=train.images,
    )
    return execute(job, out, RUN_WRITERS)


def test_fresh_samples_pass(digits: tuple[Split, Split], ledger: Ledger) -> None:
    """Held-out digits beside others: no copies, C_T about 0, not told from the reference."""
    found = outcome(digits, ledger, 0, None)
    assert found.judgement.status is Status.PASS
    result = found.result
    assert result["nearest_train.exact_copies"].number == 0
    assert abs(result["ct"].number or 0.0) < 3
    interval = result["two_sample.auroc"].interval
    assert interval is not None
    assert interval.low < 0.5 < interval.high
    ratio = result["nearest_train.relative_distance"].interval
    assert ratio is not None
    assert ratio.low < 1 < ratio.high


@pytest.mark.parametrize("shown", ["none", "thumbnails"])
def test_planted_copies_fail_and_are_shown(
    digits: tuple[Split, Split], ledger: Ledger, tmp_path: Path, shown: str
) -> None:
    """All of them and none besides; training pictures only where the suite allows them."""
    fresh = outcome(digits, ledger, 0, None).result
    found = outcome(digits, ledger, COPIES, tmp_path, shown)
    assert found.judgement.status is Status.FAIL
    result = found.result
    assert result["nearest_train.exact_copies"].number == COPIES / (COPIES + 300)
    for address, sign in (("authenticity", -1), ("ct", -1), ("fld", 1), ("fld.gap", 1)):
        assert sign * ((result[address].number or 0) - (fresh[address].number or 0)) > 0
    mine, theirs = result["nearest_train.exact_copies"].galleries
    assert (mine.role, theirs.role) == (Role.GENERATED, Role.TRAIN)
    assert found.directory is not None
    index = json.loads((found.directory / "media" / "index.json").read_text())
    pictured = {entry["id"] for entry in index if entry["role"] == "train"}
    assert set(theirs.ids) <= pictured if shown == "thumbnails" else not pictured
    page = (found.directory / "report.html").read_text()
    assert ("The training samples next to these" in page) == (shown == "thumbnails")
