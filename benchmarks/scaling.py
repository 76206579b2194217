"""What ten times the samples cost: seconds of the run itself and its peak memory.

    python benchmarks/scaling.py --json scaling.json        # about ten minutes on two cores

FID, KID, Inception Score, precision and recall of PNGs of 256 x 256 under Inception with random
weights, from an empty cache. Seconds are those that the result notes, without starting Python.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from images import FOUR, KID, write_images, write_weights
from processes import geneval, timed

from geneval.result import Result


def measured(n: int, factor: int = 10) -> dict[str, Any]:
    """Seconds and peak memory in MiB of n images a side and of `factor` times as many."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in (n, factor * n):
            a, b = (
                write_images(folder / f"{side}{size}", size, i) for i, side in enumerate("ab", 1)
            )
            if size == n:
                weights = write_weights(folder / "weights" / "inception-v3.pth", b)
            words = ["run", FOUR, "--samples", a.name, "--reference", b.name, *KID]
            words += ["--set", "extractor=inception-v3", "--set", "floor=false"]
            words += ["--device", "cpu", "--out", f"runs-{size}", "--cache", f"cache-{size}"]
            _, memory = timed(geneval(*words), folder, {"GENEVAL_WEIGHTS": str(weights.parent)})
            (path,) = (folder / f"runs-{size}").rglob("result.json")
            timing = Result.load(path.parent).document.timing
            found.append({"n": size, "seconds": timing["seconds"], "memory": memory / 2**20})
    return {"factor": factor, "runs": found}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description="What ten times the samples cost.")
    parser.add_argument("--n", type=int, default=300, help="images a side of the small run")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    text = json.dumps(measured(chosen.n), indent=1)
    print(text)
    if chosen.json:
        chosen.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
