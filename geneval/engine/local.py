"""The engine on one machine: shards in this process, or in a pool of processes.

It maps one function over the shards of a pass and holds nothing in between, which is all that an
engine on a cluster has to do as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from geneval.engine.extract import PassWork, ShardReport, extract_shard

_work: PassWork | None = None


def run_pass(
    work: PassWork, workers: int = 0, seen: Callable[[int], None] = lambda n: None
) -> Iterator[ShardReport]:
    """Extract every shard of a pass, here (0 workers) or in so many processes, in shard order.

    `seen` hears of every batch that is done in this process.
    """
    shards = range(len(work.shards))
    if workers < 1 or len(work.shards) < 2:
        yield from (extract_shard(work, shard, seen=seen) for shard in shards)
        return
    _ = work.content  # known before the pass travels, so that no worker hashes the samples again
    import torch

    # As many threads as here: kernels add up in another order with another number of threads, and
    # any number of workers shall give the same bytes.
    threads = torch.get_num_threads()
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_install, initargs=(work, threads)
    ) as pool:
        yield from pool.map(_extract, shards)


def _install(work: PassWork, threads: int) -> None:
    """Keep the pass in a worker process, so that only shard numbers travel afterwards."""
    global _work
    import torch

    torch.set_num_threads(threads)
    _work = work


def _extract(shard: int) -> ShardReport:
    assert _work is not None
    return extract_shard(_work, shard)
