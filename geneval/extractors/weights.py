"""Where an extractor's weights come from: the suite's path, `$GENEVAL_WEIGHTS`, the package."""

from __future__ import annotations

import os
from pathlib import Path

from geneval.errors import UsageError


def find_weights(name: str, given: Path | None, embedded: Path | None = None) -> Path:
    """The weights file of an extractor; raises `UsageError` saying where it was looked for."""
    if given is not None:
        if given.is_file():
            return given
        raise UsageError(f"weights of {name}: {given} does not exist")
    looked = []
    folder = os.environ.get("GENEVAL_WEIGHTS")
    if folder:
        beside = Path(folder) / f"{name}.safetensors"
        if beside.is_file():
            return beside
        looked.append(str(beside))
    if embedded is not None and embedded.is_file():
        return embedded
    looked.append(str(embedded) if embedded else "no copy comes with the package")
    raise UsageError(
        f"weights of {name} not found (looked: {', '.join(looked)}); set "
        f"`weights: {{{name}: PATH}}` in the suite or put the file into $GENEVAL_WEIGHTS"
    )
