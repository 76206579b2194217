"""A file from a public address, block by block."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from http.client import HTTPException

BLOCK = 1 << 20


def blocks_of(url: str) -> tuple[int, Iterator[bytes]]:
    """How many bytes an address announces (0 where it does not say), and its blocks.

    Raises `OSError` when it cannot be reached; the blocks do when too few bytes arrive.
    """
    try:
        answer = urllib.request.urlopen(url, timeout=60)  # noqa: S310 (addresses are ours)
    except HTTPException as error:
        raise OSError(str(error)) from error
    length = int(answer.headers.get("Content-Length") or 0)

    def blocks() -> Iterator[bytes]:
        size = 0
        with answer:
            try:
                while block := answer.read(BLOCK):
                    size += len(block)
                    yield block
            except HTTPException as error:
                raise OSError(str(error)) from error
        if length and size != length:
            raise OSError(f"{size:,} of {length:,} bytes arrived")

    return length, blocks()
