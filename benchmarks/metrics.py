"""Time the metrics alone, from features, beside the functions of other tools on the same arrays.

    python benchmarks/metrics.py                 # 10,000 x 2,048 on both sides, half an hour
    python benchmarks/metrics.py --n 2000 --rounds 1
    python benchmarks/metrics.py --json FILE     # the rows as JSON, for docs/performance.md

Every figure is the median of several processes, in each round one of ours after one of the peer's,
so that a machine whose speed drifts slows both. A process loads the features, imports its tool and
then takes the time of the call and the process's peak of resident memory, imports and features
included. Ours computes more than the peers do: intervals, evidence, unbiased and debiased twins.
On a machine that others use as well, `--processor` counts the processor's seconds on one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
N, D, ROUNDS, SUBSET = 10_000, 2_048, 3, 1_000
TOTAL = "all of these"


@dataclass(frozen=True)
class Row:
    """Seconds and peak memory in MiB of one piece of work, ours and the peers', medians."""

    work: str
    peer: str
    ours_s: float
    peer_s: float
    ours_mib: float
    peer_mib: float


def draw(n: int, seed: int, shift: float) -> Rows:
    """Features [n, D] as of Inception's pool3: not negative, a power law for a spectrum."""
    world = np.random.default_rng(0)
    mixing = world.normal(size=(256, D)) / 16
    moved = 0.2 + shift * world.normal(size=D)
    rng = np.random.default_rng(seed)
    factors = 3 * rng.normal(size=(n, 256)) * np.arange(1, 257) ** -0.5
    x = factors @ mixing + 0.3 * rng.normal(size=(n, D)) + moved
    return np.maximum(x, 0).astype(np.float32)


# ------------------------------------------------------------------------------------ peers


def _tensors(x: Rows, y: Rows) -> tuple[Any, Any]:
    import torch

    return torch.from_numpy(x), torch.from_numpy(y)


def peer_fid(x: Rows, y: Rows) -> None:
    """torch-fidelity's Fréchet distance."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    sides = [fid_features_to_statistics(side) for side in _tensors(x, y)]
    fid_statistics_to_metric(*sides, verbose=False)


def peer_kid(x: Rows, y: Rows) -> None:
    """torch-fidelity's kernel distance, 100 subsets."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    size = min(SUBSET, len(x) // 2)
    kid_features_to_metric(*_tensors(x, y), kid_subset_size=size, verbose=False)


def peer_precision_recall(x: Rows, y: Rows) -> None:
    """torch-fidelity's precision and recall."""
    from torch_fidelity.metric_prc import prc_features_to_metric

    prc_features_to_metric(*_tensors(x, y), verbose=False)


def peer_density_coverage(x: Rows, y: Rows) -> None:
    """prdc's four numbers, which it does not give singly."""
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        compute_prdc(real_features=y, fake_features=x, nearest_k=5)


def peer_cmmd(x: Rows, y: Rows) -> None:
    """Three Gaussian kernel matrices of scikit-learn and their means."""
    from sklearn.metrics.pairwise import rbf_kernel

    a, b = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    _ = [rbf_kernel(*pair, gamma=1 / 200).mean() for pair in ((a, a), (b, b), (a, b))]


def peer_nearest(x: Rows, y: Rows) -> None:
    """scikit-learn's exact neighbours."""
    from sklearn.neighbors import NearestNeighbors

    NearestNeighbors(n_neighbors=1, algorithm="brute").fit(y).kneighbors(x)


# ------------------------------------------------------------------------------------- ours


def measured(*names: str, across: bool = False) -> Callable[[Rows, Rows], None]:
    """Metrics as a run measures them: what they ask of pairs is answered together.

    With `across` the nearest row of y of every row of x is asked for as well.
    """

    def measure(x: Rows, y: Rows) -> None:
        from geneval.data import Features, Neighbours
        from geneval.metric import find_metric
        from geneval.pairs import Asks, Shared, nearest_across, sharing
        from geneval.resample import Context

        sides = {
            role: Features(tuple(map(str, range(len(rows)))), rows)
            for role, rows in (("generated", x), ("reference", y))
        }
        specs = {name: find_metric(name) for name in names}
        size = min(SUBSET, len(x) // 2)
        options = {
            name: spec.check_options({"subset_size": size} if name == "kid" else {})
            for name, spec in specs.items()
        }
        asks = [spec.asks(options[name]) for name, spec in specs.items()]
        asked = Asks(across=1 if across else 0)
        for one in asks:
            asked = asked | one if one else asked
        shared = Shared(asked)
        for name, spec in specs.items():
            given: dict[str, Any] = {}
            for parameter, need in spec.needs(options[name]).items():
                side = sides[need.role]
                given[parameter] = side
                if need.kind == "neighbours":
                    found = shared.of(x, y).near[need.role == "reference"]
                    assert found is not None
                    given[parameter] = Neighbours(side.ids, *found)
            with sharing(shared):
                estimates = spec.measure(given, Context(), options[name])
            assert all(one.number is not None for one in estimates), estimates
        if across:
            with sharing(shared):
                nearest_across(x, y, 1)

    return measure


WORK = {  # what is measured: the metrics that do it, the peer's function, the peer
    "FID": (("fid",), peer_fid, "torch-fidelity"),
    f"KID, 100 x {SUBSET:,}": (("kid",), peer_kid, "torch-fidelity"),
    "precision, recall": (("precision_recall",), peer_precision_recall, "torch-fidelity"),
    "density, coverage": (("density_coverage",), peer_density_coverage, "prdc"),
    "CMMD": (("cmmd",), peer_cmmd, "scikit-learn, for want of a package"),
    "nearest reference sample": ((), peer_nearest, "scikit-learn"),
}


def ours_of(work: str) -> Callable[[Rows, Rows], None]:
    """Our call for a piece of work; all of them share one sweep."""
    if work != TOTAL:
        names = WORK[work][0]
        return measured(*names, across=not names)
    return measured(*(name for names, _, _ in WORK.values() for name in names), across=True)


# --------------------------------------------------------------------------------- processes


def one_process(who: str, work: str, folder: Path, clocked: str) -> None:
    """In a process of its own: do the work, print seconds and peak memory in MiB."""
    import torch

    from geneval.extractors.torchvision_schemas import declare_schemas

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    x, y = (np.load(folder / f"{side}.npy") for side in "xy")
    if who == "peer":
        declare_schemas()
        import prdc
        import sklearn.neighbors
        import torch_fidelity

        assert prdc and sklearn and torch_fidelity
        call = WORK[work][1]
    else:
        from geneval.metric import all_metrics

        all_metrics()
        call = ours_of(work)
    clock = time.process_time if clocked == "processor" else time.perf_counter
    started = clock()
    call(x, y)
    seconds = clock() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([seconds, peak]))


def timed(who: str, work: str, folder: Path, processor: bool) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a process that does the work."""
    clocked, threads = ("processor", 1) if processor else ("wall", os.cpu_count())
    command = [sys.executable, __file__, "--only", who, work, str(folder), clocked]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def rows(n: int = N, rounds: int = ROUNDS, processor: bool = False) -> list[Row]:
    """A row for every piece of work, then that of all of them; the peers' total is their sum."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "x.npy", draw(n, 1, 0.05))
        np.save(folder / "y.npy", draw(n, 2, 0.0))
        for _ in range(rounds):
            for work in (*WORK, TOTAL):
                for who in ("peer", "ours"):
                    if (who, work) != ("peer", TOTAL):
                        place = found.setdefault((who, work), [])
                        place.append(timed(who, work, folder, processor))
    median = {
        place: [statistics.median(one) for one in zip(*times, strict=True)]
        for place, times in found.items()
    }
    peers = [median["peer", work] for work in WORK]
    median["peer", TOTAL] = [sum(one[0] for one in peers), max(one[1] for one in peers)]
    return [
        Row(work, peer, *(median[who, work][i] for i in (0, 1) for who in ("ours", "peer")))
        for work, peer in [*((w, of[2]) for w, of in WORK.items()), (TOTAL, "one after another")]
    ]


def table(found: list[Row]) -> str:
    """The rows in Markdown."""
    head = "| work | beside | s | theirs | times faster | MiB | theirs | share |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for row in found:
        lines.append(
            f"| {row.work} | {row.peer} | {row.ours_s:.1f} | {row.peer_s:.1f} "
            f"| {row.peer_s / row.ours_s:.1f} | {row.ours_mib:.0f} | {row.peer_mib:.0f} "
            f"| {row.ours_mib / row.peer_mib:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table; `--json` keeps the rows as well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=N, help="samples a side")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--processor", action="store_true", help="count processor time, one thread")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        who, work, folder, clocked = given.only
        one_process(who, work, Path(folder), clocked)
        return
    found = rows(given.n, given.rounds, given.processor)
    print(f"{given.n:,} x {D:,} features a side, medians of {given.rounds}:\n\n{table(found)}")
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
