"""Imported logs from the command line: what was read is said, and a run takes the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

Command = Callable[..., CompletedProcess[str]]
LM_EVAL = "samples_sums_2025-03-01T10-20-30.123456.jsonl"


def sums(i: int) -> dict[str, Any]:
    """A sample as lm-evaluation-harness 0.4.9 writes it; every fourth answer is wrong."""
    right = i % 4 > 0
    return {
        "doc_id": i,
        "doc": {"question": f"{i}+1"},
        "target": str(i + 1),
        "arguments": {"gen_args_0": {"arg_0": f"{i}+1=", "arg_1": {"until": ["\n"]}}},
        "resps": [[str(i + right)]],
        "filtered_resps": [str(i + right)],
        "filter": "none",
        "metrics": ["exact_match"],
        "exact_match": float(right),
    }


def test_an_import_of_lm_eval_runs(command: Command) -> None:
    """Counts on stdout, what was left out on stderr; exact match finds the harness' mean again."""
    Path(LM_EVAL).write_text("".join(json.dumps(sums(i)) + "\n" for i in range(8)))
    told = command("import", "lm-eval", LM_EVAL, "--out", "samples.jsonl")
    assert (told.returncode, told.stdout) == (0, "8 samples in, 8 records out: samples.jsonl\n")
    assert told.stderr == "not carried over: doc\n"
    told = command("run", "exact_match", "--samples", "samples.jsonl")
    assert told.returncode == 0
    assert "exact_match  0.75 " in told.stdout


def test_an_import_of_inspect_runs(command: Command) -> None:
    """Epochs are one record a sample, and the run reads the first."""
    samples = [
        {
            "id": n,
            "epoch": epoch,
            "input": f"{n}+1",
            "target": str(n + 1),
            "output": {"completion": str(n + 1)},
            "scores": {"match": {"value": "C"}},
        }
        for n in range(3)
        for epoch in (1, 2)
    ]
    content = {"version": 2, "status": "success", "eval": {"task": "sums"}, "samples": samples}
    Path("log.json").write_text(json.dumps(content))
    told = command("import", "inspect", "log.json", "--out", "samples.jsonl")
    assert (told.returncode, told.stdout) == (0, "6 samples in, 3 records out: samples.jsonl\n")
    told = command("run", "exact_match", "--samples", "samples.jsonl")
    assert told.returncode == 0
    assert "exact_match  1 " in told.stdout
    told = command("import", "inspect", "log.json", "--out", "apart.jsonl", "--epochs-apart")
    assert told.stdout == "6 samples in, 6 records out: apart.jsonl\n"


def test_what_cannot_be_imported(command: Command) -> None:
    """An absent file and a wrong name to write are wrong usage; broken content ends with 3."""
    told = command("import", "lm-eval", "x.jsonl", "--out", "samples.jsonl")
    assert (told.returncode, told.stderr) == (2, "geneval: x.jsonl does not exist\n")
    Path(LM_EVAL).write_text(json.dumps(sums(0)) + "\n")
    told = command("import", "lm-eval", LM_EVAL, "--out", "samples.csv")
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    Path("log.json").write_text("[]")
    told = command("import", "inspect", "log.json", "--out", "samples.jsonl")
    assert (told.returncode, told.stderr) == (3, "geneval: log.json is no JSON object\n")
    assert not Path("samples.jsonl").exists()
