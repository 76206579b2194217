"""What has been measured before: estimates with their evidence, kept in the ledger.

The key holds everything an estimate follows from (metric, version, options, extractors, data,
scope, seed and level of the intervals, kind of device, the source code and the libraries), so a
stored estimate is either the very one or not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geneval.ledger import Ledger, Shard, file_digest
from geneval.signature import Digest, digest
from geneval.value import Estimate, Evidence, Measured, Role, measured_fields

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def recall(ledger: Ledger, key: Digest) -> list[Estimate] | None:
    """The estimates stored under a key, or None."""
    shard = ledger.read(key)
    if shard is None:
        return None
    found = []
    for i, fact in enumerate(shard.facts["estimates"]):
        evidence = {
            Role(role): Evidence(kind, tuple(ids), shard.arrays[f"{i}.{role}"])
            for role, (kind, ids) in fact["evidence"].items()
        }
        measured = _adapter().validate_python(fact["measured"])
        fields = measured_fields(measured)
        found.append(
            Estimate(**fields, output=fact["output"], evidence=evidence, signed=fact["signed"])
        )
    return found


def remember(ledger: Ledger, key: Digest, estimates: Sequence[Estimate]) -> None:
    """Store estimates with their evidence."""
    arrays = {
        f"{i}.{role}": np.asarray(e.rows, dtype=np.float64)
        for i, each in enumerate(estimates)
        for role, e in each.evidence.items()
    }
    facts = [
        {
            "output": each.output,
            "signed": dict(each.signed),
            "measured": _adapter().dump_python(Measured(**measured_fields(each)), mode="json"),
            "evidence": {str(role): (e.kind, e.ids) for role, e in each.evidence.items()},
        }
        for each in estimates
    ]
    ledger.write(key, Shard(arrays, {"estimates": facts}))


@cache
def own_source() -> Digest:
    """Digest of all of geneval's code: numbers of other code are not recalled."""
    import geneval
    import geneval.metrics

    roots = {*geneval.__path__, *geneval.metrics.__path__}
    files = {path for root in roots for path in Path(root).rglob("*.py")}
    return digest(sorted(file_digest(path) for path in files))


@cache
def _adapter() -> TypeAdapter[Measured]:
    from pydantic import TypeAdapter

    return TypeAdapter(Measured)
