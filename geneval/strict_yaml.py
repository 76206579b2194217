"""YAML as data and nothing else: no aliases, no duplicate keys, no odd types, and line numbers.

The safe loader alone lets a 300-byte file expand to billions of leaves, lets the last of two equal
keys win, and reads `12:30` as a number.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from geneval.errors import UsageError

MAX_BYTES = 2**20
MAX_DEPTH = 20
_TAG = "tag:yaml.org,2002:"
Place = tuple[Hashable, ...]
Marks = dict[Place, str]


class _Loader(yaml.SafeLoader):
    """Booleans are true and false only; no timestamps, no base-60 numbers."""


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _starts in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^[-+]?(?:0|[1-9][0-9_]*)$", "-+0123456789"),
    ("float", r"^[-+]?[0-9][0-9_]*\.[0-9]*(?:[eE][-+]?[0-9]+)?$", "-+0123456789"),
    ("null", r"^(?:~|null|)$", ["~", "n", ""]),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(_pattern), list(_starts))


def load(path: Path) -> tuple[Any, Marks]:
    """The content of a YAML file, and `file:line` for every place in it."""
    try:
        text = path.read_bytes()
        if len(text) > MAX_BYTES:
            raise UsageError(f"{path} is larger than {MAX_BYTES:,} bytes")
        return loads(text.decode(), str(path))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text: {error}") from None


def loads(text: str, name: str) -> tuple[Any, Marks]:
    """The same for text; `name` stands in for the file."""
    try:
        _refuse_events(text, name)
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        if "'\\t'" in reason:
            reason = "indent with spaces, not tabs"
        raise UsageError(f"{where}: not YAML: {reason}") from None
    marks: Marks = {}
    return (None if node is None else _content(loader, node, name, (), marks)), marks


def _refuse_events(text: str, name: str) -> None:
    """Aliases, tags and deep nesting are refused before anything is built of them."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise UsageError(f"{_at(name, event)}: aliases are not allowed; write it out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise UsageError(f"{_at(name, event)}: the tag {tag} is not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UsageError(f"{_at(name, event)}: nested deeper than {MAX_DEPTH} levels")


def _content(loader: _Loader, node: yaml.Node, name: str, place: Place, marks: Marks) -> Any:
    marks[place] = _at(name, node)
    if isinstance(node, yaml.SequenceNode):
        return [
            _content(loader, child, name, (*place, i), marks) for i, child in enumerate(node.value)
        ]
    if isinstance(node, yaml.MappingNode):
        content: dict[str, Any] = {}
        for key_node, child in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key == "<<":
                raise UsageError(f"{_at(name, key_node)}: keys are plain words")
            if key in content:
                raise UsageError(f"{_at(name, key_node)}: the key {key!r} is given twice")
            content[key] = _content(loader, child, name, (*place, key), marks)
            marks[*place, key] = _at(name, key_node)
        return content
    try:
        return loader.construct_object(node, deep=True)
    except ValueError:  # an integer of thousands of digits
        raise UsageError(
            f"{_at(name, node)}: {node.value[:20]}… is no number to work with"
        ) from None


def _at(name: str, thing: Any) -> str:
    return f"{name}:{thing.start_mark.line + 1}"
