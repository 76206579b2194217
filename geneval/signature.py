"""What makes two values comparable: declared fields, their digest, and one printed line.

A signature is built from fields that a metric, an extractor and a reference declare; it is never
parsed back from its printed line. Two values may be compared only when every field agrees.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Digest = str  # 64 lower-case hexadecimal digits of a SHA-256
Scalar = str | int | float | bool | None

N_TOLERANCE = 0.01  # n may differ by this share where the signature does not ask for equality
_DIGEST_FIELDS = ("ref", "train", "weights", "target")
_NOTED = ("sacrebleu",)  # another tool's signature, whose parts stand among the fields already


def canonical(content: Any) -> bytes:
    """`content` as JSON bytes that depend on nothing but its meaning; NaN and infinity raise."""
    text = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def digest(content: Any) -> Digest:
    """SHA-256 of the canonical JSON of `content`."""
    return hashlib.sha256(canonical(content)).hexdigest()


@dataclass(frozen=True)
class Signature:
    """Ordered declared fields; `exact_n` asks for the same n, as diversity metrics do."""

    fields: tuple[tuple[str, Scalar], ...]
    exact_n: bool = False

    @property
    def digest(self) -> Digest:
        """Digest of the fields, independent of their order."""
        return digest(dict(self.fields))

    def line(self) -> str:
        """One printed line, such as `fid|ext:digits@6726825d/features|resize:area8|n:5000|v:1`."""
        values = dict(self.fields)
        weights, layer = values.get("weights"), values.get("layer")
        parts = []
        for key, value in self.fields:
            if key in ("weights", "layer"):
                continue
            if key == "metric":
                parts.append(str(value))
            elif key == "ext":
                at = f"@{str(weights)[:8]}" if weights else ""
                parts.append(f"ext:{value}{at}" + (f"/{layer}" if layer else ""))
            else:
                parts.append(f"{key}:{_printed(key, value)}")
        return "|".join(parts)

    def differences(self, other: Signature) -> tuple[str, ...]:
        """Names of the fields that forbid a comparison with `other`, in this signature's order."""
        mine, theirs = dict(self.fields), dict(other.fields)
        names = list(mine) + [name for name in theirs if name not in mine]
        exact = self.exact_n or other.exact_n
        return tuple(
            name
            for name in names
            if not _agree(name, mine.get(name, ...), theirs.get(name, ...), exact)
        )

    def describe(self, names: Iterable[str], other: Signature) -> str:
        """The differing fields with both values: `resize clean ≠ tf1`."""
        mine, theirs = dict(self.fields), dict(other.fields)
        return ", ".join(
            f"{name} {_printed(name, mine.get(name))} ≠ {_printed(name, theirs.get(name))}"
            for name in names
        )


def _printed(key: str, value: Scalar) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key in _DIGEST_FIELDS:
        return str(value)[:8]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _agree(name: str, a: Any, b: Any, exact_n: bool) -> bool:
    if name in _NOTED:
        return True
    if name == "n" and not exact_n and isinstance(a, int) and isinstance(b, int):
        return abs(a - b) <= N_TOLERANCE * max(a, b)
    return bool(a == b)
