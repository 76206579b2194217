"""Time FID from features against torch-fidelity and pytorch-fid on the same arrays.

    python benchmarks/frechet.py                        # 10,000 x 2,048 a side, some minutes
    python benchmarks/frechet.py --n 2000 --d 256       # a quick trial
    python benchmarks/frechet.py --json frechet.json    # the rows as well

Every figure is the median of several whole processes that alternate, so that a machine whose speed
drifts slows all. Peers give the plain distance; `geneval` gives it with the debiased estimate, both
intervals and every sample's influence. Memory is what a process adds to libraries and features.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Work = Callable[[Array, Array], float]


def torch_fidelity() -> Work:
    """torch-fidelity's two functions."""
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    def work(x: Array, y: Array) -> float:
        sides = [fid_features_to_statistics(torch.as_tensor(side)) for side in (x, y)]
        found = fid_statistics_to_metric(*sides, verbose=False)
        return float(found["frechet_inception_distance"])

    return work


def pytorch_fid() -> Work:
    """pytorch-fid's statistics of float64 features, and its distance."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    def work(x: Array, y: Array) -> float:
        wide = (side.astype(np.float64) for side in (x, y))
        sides = [(side.mean(axis=0), np.cov(side, rowvar=False)) for side in wide]
        return float(calculate_frechet_distance(*sides[0], *sides[1]))

    return work


def ours() -> Work:
    """The metric `fid`."""
    from geneval.data import Features
    from geneval.metrics.fidelity.fid import fid
    from geneval.resample import Context

    def work(x: Array, y: Array) -> float:
        ids = tuple(f"{i:06d}" for i in range(len(x)))
        plain, _ = fid(Features(ids, x), Features(ids, y), Context())
        assert plain.number is not None
        return plain.number

    return work


WORKS = {"torch-fidelity": torch_fidelity, "pytorch-fid": pytorch_fid, "geneval": ours}


def alone(name: str, n: int, d: int) -> dict[str, float]:
    """Seconds, MiB added and the number, in this very process."""
    from geneval.extractors.torchvision_schemas import declare_schemas

    declare_schemas()
    rng, work = np.random.default_rng(0), WORKS[name]()
    spread = np.arange(1, d + 1, dtype=np.float32) ** -0.5
    x, y = (rng.standard_normal((n, d), dtype=np.float32) * spread for _ in range(2))
    x += 0.1 * spread
    work(x[:50, :8], y[:50, :8])
    before, started = peak(), time.perf_counter()
    number = work(x, y)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "mib": peak() - before, "number": number}


def peak() -> float:
    """The largest memory of this process so far, MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def rows(n: int = 10_000, d: int = 2048, rounds: int = 3) -> list[dict[str, float | str]]:
    """Medians of every package."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WORKS}
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    for _ in range(rounds):
        for name, runs in found.items():
            command = [sys.executable, __file__, "--alone", name, "--n", str(n), "--d", str(d)]
            told = subprocess.run(command, env=environment, check=True, capture_output=True)
            runs.append(json.loads(told.stdout.splitlines()[-1]))
    return [
        {"package": name, "n": n, "d": d}
        | {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in found.items()
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="FID from features, against the peers")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", choices=WORKS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        print(json.dumps(alone(asked.alone, asked.n, asked.d)))
        return
    table = rows(asked.n, asked.d, asked.rounds)
    base = table[-1]
    print(f"| FID of {asked.n:,} x {asked.d:,} a side | number | s | of geneval's | MiB added |")
    print("|---|---|---|---|---|")
    for one in table:
        ratio = float(one["seconds"]) / float(base["seconds"])
        print(
            f"| {one['package']} | {one['number']:.7g} | {one['seconds']:.2f} "
            f"| {ratio:.2f}x | {one['mib']:.0f} |"
        )
    if asked.json:
        asked.json.write_text(json.dumps(table, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
