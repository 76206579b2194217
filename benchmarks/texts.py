"""Time the metrics of texts beside the packages that define them, on the same texts.

    python benchmarks/texts.py                 # three rounds, some three minutes
    python benchmarks/texts.py --rounds 1
    python benchmarks/texts.py --json FILE     # the rows as JSON, for docs/performance.md

Every figure is the median of several processes, in each round one of ours after one of the peer's,
so that a machine whose speed drifts slows both. A process makes the texts, imports its tool, calls
it on a few of them and then takes the processor's time of the call, on one thread, and the
process's peak of resident memory, imports and texts included. Slow peers get fewer segments: what
counts is the time per segment. Work on whole corpora is done once. Ours also gives intervals,
evidence and, of ROUGE, precision and recall.
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
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 3
LARGE = 10_000  # segments, from which on work is done in the first round alone
FOUR = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
RESAMPLES = 1_000
WARM = 10  # texts of the first call, which imports what is imported late


@dataclass(frozen=True)
class Work:
    """A metric under options, on segments of so many words on so many lines.

    `peer_segments` 0 says that no peer does the work in reasonable time. The last three are what is
    aimed at: times faster than the peer, seconds of all segments, peak memory; 0 is no aim.
    """

    metric: str
    options: dict[str, Any] = field(default_factory=dict)
    tokens: int = 25
    lines: int = 1
    segments: int = 2_000
    peer_segments: int = 2_000
    peer: str = "rouge-score"
    times_faster: float = 0
    most_seconds: float = 0
    most_gib: float = 0


WORK = {
    "ROUGE-L, 400 tokens": Work(
        "rouge", {"types": ["rougeL"]}, 400, peer_segments=20, times_faster=50
    ),
    "ROUGE-Lsum, 400 tokens on 16 lines": Work(
        "rouge", {"types": ["rougeLsum"]}, 400, 16, 200, peer_segments=20
    ),
    "ROUGE-1, 2, L, Lsum, 25 tokens": Work("rouge", {"types": FOUR}, times_faster=3),
    "ROUGE-1, stemmed, 25 tokens": Work(
        "rouge", {"types": ["rouge1"], "use_stemmer": True}, times_faster=3
    ),
    "BLEU of 100,000 segments, 1,000 resamples": Work(
        "bleu",
        segments=100_000,
        peer_segments=100_000,
        peer="sacrebleu",
        times_faster=1,
        most_gib=1,
    ),
    "self-BLEU of 10,000 items": Work(
        "self_bleu", segments=10_000, peer_segments=0, peer="none in this time", most_seconds=30
    ),
}


@dataclass(frozen=True)
class Row:
    """Microseconds per segment and peak memory in MiB of one piece of work, medians."""

    work: str
    peer: str
    segments: int
    ours_us: float
    peer_us: float | None
    ours_mib: float
    peer_mib: float | None


def draw(n: int, tokens: int, lines: int) -> tuple[list[str], list[str]]:
    """Hypotheses and references: words as frequent as by Zipf's law, four in ten replaced."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    endings = np.array(["", "", "s", "ed", "ing", "ation"])
    vocabulary = [
        "".join(rng.choice(letters, size=rng.integers(2, 8))) + str(rng.choice(endings))
        for _ in range(20_000)
    ]
    shares = 1 / np.arange(1, len(vocabulary) + 1)
    drawn = rng.choice(len(vocabulary), size=(2, n, tokens), p=shares / shares.sum())
    wanted = drawn[0]
    made = np.where(rng.random((n, tokens)) < 0.6, wanted, drawn[1])

    def text(codes: Sequence[int]) -> str:
        words = [vocabulary[code] for code in codes]
        step = tokens // lines
        return "\n".join(" ".join(words[i : i + step]) for i in range(0, tokens, step))

    return list(map(text, made.tolist())), list(map(text, wanted.tolist()))


# ------------------------------------------------------------------------------------ calls


def peer_rouge(work: Work) -> Callable[[list[str], list[str]], None]:
    """rouge-score, pair by pair."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(work.options["types"], work.options.get("use_stemmer", False))

    def call(made: list[str], wanted: list[str]) -> None:
        for one, other in zip(made, wanted, strict=True):
            scorer.score(other, one)

    return call


def peer_bleu(work: Work) -> Callable[[list[str], list[str]], None]:
    """sacrebleu's corpus score with its bootstrap."""
    from sacrebleu.metrics.bleu import BLEU

    def call(made: list[str], wanted: list[str]) -> None:
        BLEU().corpus_score(made, [wanted], n_bootstrap=RESAMPLES)

    return call


def ours(work: Work) -> Callable[[list[str], list[str]], None]:
    """The metric as a run measures it."""
    from geneval.data import Fields
    from geneval.metric import find_metric
    from geneval.resample import Context

    spec = find_metric(work.metric)
    options = spec.check_options(work.options)

    def call(made: list[str], wanted: list[str]) -> None:
        ids = tuple(f"{i:06d}" for i in range(len(made)))
        columns = {"hypothesis": made, "written": made, "references": [[one] for one in wanted]}
        given = {
            name: Fields(ids, {column: columns[column] for column in need.columns})
            for name, need in spec.needs(options).items()
        }
        for one in spec.under(options).measure(given, Context(), options):
            assert one.number is not None, one.problem

    return call


CALLS = {"rouge": peer_rouge, "bleu": peer_bleu}


# --------------------------------------------------------------------------------- processes


def one_process(who: str, name: str) -> None:
    """In a process of its own: do the work, print microseconds a segment and peak MiB."""
    work = WORK[name]
    n = work.peer_segments if who == "peer" else work.segments
    made, wanted = draw(n, work.tokens, work.lines)
    call = CALLS[work.metric](work) if who == "peer" else ours(work)
    call(made[:WARM], wanted[:WARM])
    started = time.process_time()
    call(made, wanted)
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([seconds / n * 1e6, peak]))


def timed(who: str, name: str) -> tuple[float, float]:
    """Microseconds a segment and peak memory in MiB of a process that does the work."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--only", who, name]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    microseconds, peak = json.loads(done.stdout.splitlines()[-1])
    return microseconds, peak


def rows(rounds: int = ROUNDS) -> list[Row]:
    """A row for every piece of work whose metric there is."""
    from geneval.metric import all_metrics

    there = {name: work for name, work in WORK.items() if work.metric in all_metrics()}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for attempt in range(rounds):
        for name, work in there.items():
            if attempt and work.segments >= LARGE:
                continue
            for who in ("peer", "ours") if work.peer_segments else ("ours",):
                found.setdefault((who, name), []).append(timed(who, name))
    median = {
        place: [statistics.median(one) for one in zip(*times, strict=True)]
        for place, times in found.items()
    }
    made = []
    for name, work in there.items():
        (us, mib), (peer_us, peer_mib) = (
            median["ours", name],
            median.get(("peer", name), (None,) * 2),
        )
        made.append(Row(name, work.peer, work.segments, us, peer_us, mib, peer_mib))
    return made


def table(found: Sequence[dict[str, Any]]) -> str:
    """The rows, as JSON has them, in Markdown."""
    lines = [
        "| work | beside | µs a segment | theirs | times faster | MiB | theirs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found:
        theirs = ("–", "–", "–")
        if row["peer_us"] is not None:
            times = f"{row['peer_us'] / row['ours_us']:.1f}"
            theirs = (f"{row['peer_us']:,.0f}", times, f"{row['peer_mib']:,.0f}")
        lines.append(
            f"| {row['work']} | {row['peer']} | {row['ours_us']:,.0f} | {theirs[0]} | {theirs[1]} "
            f"| {row['ours_mib']:,.0f} | {theirs[2]} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table; `--json` keeps the rows as well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        one_process(*given.only)
        return
    found = [asdict(row) for row in rows(given.rounds)]
    print(f"Medians of {given.rounds}:\n\n{table(found)}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
