"""The demonstration: four generators of digits, from barely trained to collapsed, told apart.

Everything a person would type is printed as it is done, so that it can be repeated by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from geneval.compare import compare
from geneval.engine.progress import Progress
from geneval.evaluator import open_job
from geneval.examples.digits.data import load_split
from geneval.ledger import Ledger, default_root
from geneval.reports.write import RUN_WRITERS, write_comparison
from geneval.run import Outcome, execute, resolve_device
from geneval.suite import load_suite
from geneval.verdict import Status

FOLDER = Path(__file__).parent
EXPECTED: Mapping[str, Status] = {
    "step-000250": Status.FAIL,
    "step-001000": Status.FAIL,
    "step-004000": Status.PASS,
    "collapsed": Status.FAIL,
}


def run_demo(out: Path, progress: Progress) -> bool:
    """Evaluate, compare, report; whether the verdicts are the expected ones."""
    train, held_out = load_split()
    train_path = train.save(out / "digits" / "data" / "train.npz")
    held_out_path = held_out.save(out / "digits" / "data" / "held-out.npz")
    outcomes = {
        name: _evaluate(name, out, held_out_path, train_path, progress) for name in EXPECTED
    }
    results = [outcome.result for outcome in outcomes.values()]
    comparison = compare(results, against="step-004000")
    page = write_comparison(comparison, out / "digits" / "comparison")
    print("\n" + "\n".join(comparison.findings))
    print(f"comparison: {page}")
    surprises = [
        f"{name} is {outcome.judgement.status}, expected {EXPECTED[name]}"
        for name, outcome in outcomes.items()
        if outcome.judgement.status is not EXPECTED[name]
    ]
    print("\n".join(surprises) or "All four verdicts are the expected ones.")
    return not surprises


def _evaluate(name: str, out: Path, reference: Path, train: Path, progress: Progress) -> Outcome:
    """One checkpoint under the suite `digits`."""
    checkpoint = FOLDER / f"{name}.safetensors"
    command = (
        f"geneval run digits --checkpoint {checkpoint} --reference {reference} --train {train} "
        f"--out {out}"
    )
    job = open_job(
        load_suite("digits"),
        Ledger(default_root()),
        checkpoint=checkpoint,
        reference=reference,
        train=train,
        device=resolve_device("auto"),
        origin={"command": command},
    )
    print(f"\n$ {command}", flush=True)
    outcome = execute(job, out, RUN_WRITERS, progress)
    print(f"{outcome.judgement.status}: {outcome.judgement.sentence}")
    for verdict in outcome.judgement.verdicts:
        if verdict.status is not Status.PASS:
            print(f"  {verdict.sentence}")
    print(f"report: {outcome.directory}/report.html")
    return outcome
