"""Time the main job: a first run, the same run again, another checkpoint on the same reference.

    python benchmarks/spine.py              # about two minutes on two cores

Each figure is the median of several whole processes; first and second run alternate, so that a
machine whose speed drifts slows both. Absolute times are of the machine at hand; the ratio is the
point.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from processes import geneval, timed

from geneval.examples.digits.data import Split, load_split
from geneval.result import Result

SAMPLES = 20_000
ROUNDS = 3


def jittered(split: Split, n: int, seed: int, path: Path) -> Path:
    """So many digits drawn from a split, each with a little noise, as npz."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(split.images), n)
    noise = rng.integers(-6, 7, (n, *split.images.shape[1:]))
    images = np.clip(split.images[rows].astype(np.int64) + noise, 0, 255).astype(np.uint8)
    return Split(images, split.labels[rows]).save(path)


def seconds(folder: Path, cache: Path, *words: str) -> float:
    """Seconds of one `geneval` process."""
    return timed(geneval(*words), folder, {"GENEVAL_CACHE": str(cache)})[0]


def made_of_reference(folder: Path) -> int:
    """How many reference samples the newest run took through the extractor again."""
    newest = max(folder.rglob("result.json"), key=lambda path: path.stat().st_mtime)
    one = Result.load(newest.parent).document.timing["passes"]["reference"]
    return int(one["samples"] - one["cached"])


def main() -> None:
    """Print the medians."""
    train, held_out = load_split()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        a = jittered(train, SAMPLES, 1, folder / "a.npz")
        b = jittered(held_out, SAMPLES, 2, folder / "b.npz")
        other = jittered(train, SAMPLES, 3, folder / "c.npz")
        options = ["--set", "metrics.kid.subset_size=500", "--reference", str(b)]
        run = ["run", "fid,kid,precision_recall", *options, "--samples"]
        first, second, next_one = [], [], []
        for attempt in range(ROUNDS):
            cache = folder / f"cache-{attempt}"
            first.append(seconds(folder, cache, *run, str(a)))
            second.append(seconds(folder, cache, *run, str(a)))
            next_one.append(seconds(folder, cache, *run, str(other)))
        remade = made_of_reference(folder)
        helps = [seconds(folder, folder / "none", "--help") for _ in range(5)]
    if "--json" in sys.argv:
        named = {"first": first, "again": second, "another": next_one, "help": helps}
        found = {name: statistics.median(times) for name, times in named.items()}
        found["remade"] = remade
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(found) + "\n")
    print(f"fid, kid, precision and recall of {SAMPLES:,} digits a side, median of {ROUNDS}:")
    base = statistics.median(first)
    for what, times in (
        ("first run", first),
        ("the same run again", second),
        ("another set against the same reference", next_one),
        ("geneval --help", helps),
    ):
        median = statistics.median(times)
        print(f"  {what:40} {median:6.2f} s  {median / base:6.2f} of the first run")


if __name__ == "__main__":
    main()
