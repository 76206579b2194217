"""Measure everything and write docs/performance.md.

    python benchmarks/performance.py docs/performance.md     # more than an hour on two cores

Each part is a script of this folder that can be run alone; `--keep FOLDER` holds their JSON and
takes from there what was measured already.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import texts

PARTS = ("spine", "metrics", "scaling", "images", "texts")
HERE = Path(__file__).parent
PEERS = ("torch-fidelity", "prdc", "vendi-score", "torchmetrics")


def gathered(kept: Path) -> dict[str, Any]:
    """What every part measured."""
    found = {}
    for part in PARTS:
        path = kept / f"{part}.json"
        if not path.is_file():
            print(f"{part} …", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, HERE / f"{part}.py", "--json", path], check=True)
        found[part] = json.loads(path.read_bytes())
    return found


def document(found: Mapping[str, Any]) -> str:
    """The page."""
    images = found["images"]
    parts = (
        _head(found),
        _images(images),
        _shift(images),
        _metrics(found["metrics"]),
        _texts(found["texts"]),
        _rest(found),
    )
    return "\n".join([*(line for part in parts for line in part), ""])


def targets(found: Mapping[str, Any]) -> Iterator[tuple[str, str, float, str, bool]]:
    """Work, what it is compared with, the figure, what was aimed at, and whether it was reached."""
    tools = {name: one["seconds"] for name, one in found["images"]["tools"].items()}
    fidelity, every = tools["torch-fidelity"], sum(tools[peer] for peer in PEERS)

    def faster(what: str, beside: str, ratio: float, least: float) -> tuple[Any, ...]:
        return what, beside, f"{ratio:.2f} times", f"at least {least:g} times", ratio >= least

    def at_most(what: str, beside: str, value: float, most: float, unit: str) -> tuple[Any, ...]:
        return what, beside, f"{value:.2f}{unit}", f"at most {most:g}{unit}", value <= most

    four = "FID, KID, IS, precision, recall of PNGs"
    for which, least in (("fp32", 1.8), ("fp32, OpenVINO", 1.8)):
        yield faster(f"{four}, {which}", "torch-fidelity", fidelity / tools[which], least)
    for which in ("bf16", "bf16, OpenVINO"):
        yield faster(f"{four}, {which}", "torch-fidelity", fidelity / tools[which], 3.2)
    yield faster(
        "the default image suite",
        f"the sum of {', '.join(PEERS)}",
        every / tools["default suite"],
        3,
    )
    total = found["metrics"][-1]
    ratio, share = total["peer_s"] / total["ours_s"], total["ours_mib"] / total["peer_mib"]
    yield faster("metrics alone, 10,000 x 2,048 a side", "the peers' functions", ratio, 4)
    yield at_most("peak memory of the same", "the peers' largest", share, 0.25, " of it")
    for row in found["texts"]:
        work, aim = row["work"], texts.WORK[row["work"]]
        if aim.times_faster:
            yield faster(work, row["peer"], row["peer_us"] / row["ours_us"], aim.times_faster)
        if aim.most_seconds:
            seconds = row["ours_us"] * row["segments"] / 1e6
            yield at_most(work, "", seconds, aim.most_seconds, " s")
        if aim.most_gib:
            yield at_most(
                f"peak memory of {work}", "", row["ours_mib"] / 1024, aim.most_gib, " GiB"
            )
    spine = found["spine"]
    again, helped = spine["again"], spine["help"]
    yield at_most("the same run again (20,000 digits a side)", "", again, 3, " s")
    yield at_most("`geneval --help`", "", helped, 0.5, " s")
    remade = f"{spine['remade']:,} reference samples extracted again"
    yield "another set, same reference", "the first set", remade, "none", spine["remade"] == 0
    small, large = found["scaling"]["runs"]
    times = large["seconds"] / small["seconds"]
    more = large["memory"] / small["memory"]
    told = f"{small['n']:,} images a side"
    yield "10 times the samples", told, f"{times:.1f} times the time", "9 to 11", 9 <= times <= 11
    yield "peak memory of the same", told, f"{more:.2f} times", "0.8 to 1.2", 0.8 <= more <= 1.2


def _head(found: Mapping[str, Any]) -> Iterator[str]:
    yield "# Performance"
    yield ""
    yield "Written by `make bench`, which measures whole processes in turn on the machine at hand"
    yield f"({platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()})."
    yield "Absolute seconds are of that machine; the ratios of medians are the point. Weights are"
    yield "random, which changes no step on the way. Nothing here was measured on a GPU."
    yield ""
    yield "## What was aimed at, and what is reached"
    yield ""
    yield "| work | compared with | measured | aimed at | reached |"
    yield "|---|---|---|---|---|"
    for work, beside, value, aim, reached in targets(found):
        yield f"| {work} | {beside} | {value} | {aim} | {'yes' if reached else '**no**'} |"
    yield ""
    yield "That FID of fewer samples, debiased, is nearer to the truth is simulated in"
    yield "[statistics.md](statistics.md), with the cases in which it is not."
    yield ""


def _images(images: Mapping[str, Any]) -> Iterator[str]:
    n, rounds = images["n"], images["rounds"]
    base = images["tools"]["torch-fidelity"]["seconds"]
    yield f"## From files: {n:,} PNGs of 256 x 256 a side"
    yield ""
    yield f"Medians of {rounds} rounds, `python benchmarks/images.py`. The rows below torchmetrics"
    yield "are geneval's, from an empty cache; *with floor* also scores the reference against"
    yield "itself, once more as JPEG, which no peer does."
    yield ""
    yield "| | seconds | torch-fidelity takes | peak MiB |"
    yield "|---|---|---|---|"
    for name, one in images["tools"].items():
        times = f"{base / one['seconds']:.2f} times as long"
        yield f"| {name} | {one['seconds']:.1f} | {times} | {one['memory']:,.0f} |"
    yield ""


def _shift(images: Mapping[str, Any]) -> Iterator[str]:
    values = images["values"]
    others = ("fp32, OpenVINO", "bf16", "bf16, OpenVINO")
    yield "### What the precision does to the values"
    yield ""
    yield "The change of every value against fp32, as a share of it."
    yield ""
    yield f"| value | fp32 | {' | '.join(others)} |"
    yield "|---|---|---|---|---|"
    for address, plain in values["fp32"].items():
        shifts = [_change(plain, values[which].get(address)) for which in others]
        yield f"| `{address}` | {plain:.6g} | {' | '.join(shifts)} |"
    yield ""


def _change(plain: float, other: float | None) -> str:
    """The change as a share of the plain value, or as such where that is 0."""
    if other is None:
        return "undefined"
    return f"{(other - plain) / abs(plain):+.1e}" if plain else f"{other:+.1e} (absolute)"


def _metrics(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "## The metrics alone: 10,000 x 2,048 features a side"
    yield ""
    yield "`python benchmarks/metrics.py`: the same arrays, each call in a process of its own. Ours"
    yield "also gives intervals, per-sample evidence, and the unbiased and debiased twins; what"
    yield "several metrics ask of all pairs is answered in one sweep, so the total is less than the"
    yield "sum. Memory counts the features (156 MiB) and the libraries."
    yield ""
    yield "| work | beside | s | theirs | times faster | MiB | theirs |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row['work']} | {row['peer']} | {row['ours_s']:.1f} | {row['peer_s']:.1f} "
            f"| {row['peer_s'] / row['ours_s']:.1f} | {row['ours_mib']:,.0f} "
            f"| {row['peer_mib']:,.0f} |"
        )
    yield ""


def _texts(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Metrics of texts"
    yield ""
    yield "`python benchmarks/texts.py`: the same texts, each call in a process of its own, seconds"
    yield "of the processor on one thread. Slow peers get fewer segments, so times are per segment."
    yield "Ours also gives intervals, per-sample evidence and, of ROUGE, precision and recall."
    yield ""
    yield texts.table(rows)
    yield ""


def _rest(found: Mapping[str, Any]) -> Iterator[str]:
    spine, (small, large) = found["spine"], found["scaling"]["runs"]
    yield "## Again, another, ten times as many"
    yield ""
    yield "FID, KID, precision and recall of 20,000 digits a side, whole processes"
    yield "(`python benchmarks/spine.py`):"
    yield ""
    yield "| | seconds | of the first run |"
    yield "|---|---|---|"
    told = {
        "first": "first run, with floor",
        "again": "the same run again: nothing is computed",
        "another": "another set against the same reference: no pass over the reference",
        "help": "`geneval --help`",
    }
    for name, what in told.items():
        yield f"| {what} | {spine[name]:.2f} | {spine[name] / spine['first']:.2f} |"
    yield ""
    yield "The four metrics of PNGs under Inception, seconds of the run without starting Python"
    yield "(`python benchmarks/scaling.py`):"
    yield ""
    yield "| images a side | seconds | peak MiB |"
    yield "|---|---|---|"
    for one in (small, large):
        yield f"| {one['n']:,} | {one['seconds']:.1f} | {one['memory']:,.0f} |"
    yield ""
    yield "Metrics of all pairs (KID, precision and recall) take time with the square of the"
    yield "samples; beside the network that shows from some ten thousand samples on. Features are"
    yield "held in float32: 8 KiB a sample of Inception's."


def main() -> None:
    """Measure what is not there yet and write the page."""
    parser = argparse.ArgumentParser(description="Measure everything and write the page.")
    parser.add_argument("page", type=Path)
    parser.add_argument("--keep", type=Path, help="a folder that holds what each part measured")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        kept = chosen.keep or Path(name)
        kept.mkdir(parents=True, exist_ok=True)
        chosen.page.write_text(document(gathered(kept)), encoding="utf-8")


if __name__ == "__main__":
    main()
