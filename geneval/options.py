"""Typed keyword options of a function: what a suite may set, checked once and for all.

Metrics and extractors declare their options as keyword-only parameters with a default; the types
are checked strictly (a string is never a number) and an unknown name offers the nearest one.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from geneval.errors import UsageError, unknown


class OptionError(UsageError):
    """An option that is unknown or does not fit; `option` is its name as given."""

    def __init__(self, option: str, sentence: str) -> None:
        super().__init__(sentence)
        self.option = option


@dataclass(frozen=True)
class AtLeast:
    """The least value of an option: `k: Annotated[int, AtLeast(1)] = 3`."""

    value: float


@dataclass(frozen=True)
class AtMost:
    """The largest value of an option: `rate: Annotated[float, AtLeast(0), AtMost(1)] = 0.1`."""

    value: float


@dataclass(frozen=True)
class Option:
    """One declared option: its default, its type, and the least and largest value it may have."""

    name: str
    default: Any
    type: Any
    least: float | None = None
    most: float | None = None

    def described(self) -> str:
        """`k: int = 3`, for listings."""
        name = getattr(self.type, "__name__", None)
        shown = name if name and not typing.get_args(self.type) else str(self.type)
        return f"{self.name}: {shown.replace('typing.', '')} = {self.default!r}"


@cache
def declared(function: Callable[..., Any]) -> tuple[Option, ...]:
    """The keyword-only parameters of `function` that have a default."""
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    return tuple(
        _option(p.name, p.default, hints.get(p.name, Any))
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.default is not p.empty
    )


def _option(name: str, default: Any, hint: Any) -> Option:
    if typing.get_origin(hint) is not typing.Annotated:
        return Option(name, default, hint)
    plain, *marks = typing.get_args(hint)
    least = next((mark.value for mark in marks if isinstance(mark, AtLeast)), None)
    most = next((mark.value for mark in marks if isinstance(mark, AtMost)), None)
    return Option(name, default, plain, least, most)


def checked(what: str, function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of `function`, the given ones validated; raises `OptionError` naming `what`."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    options = {option.name: option for option in declared(function)}
    values = {name: option.default for name, option in options.items()}
    for name, value in given.items():
        if name not in options:
            raise OptionError(name, f"{what}: {unknown('option', name, options)}")
        adapter = TypeAdapter(options[name].type, config=ConfigDict(allow_inf_nan=False))
        try:
            values[name] = adapter.validate_python(value, strict=True)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise OptionError(
                name,
                f"{what}: option {name} = {value!r} does not fit `{options[name].described()}`: "
                f"{reason.lower()}",
            ) from None
        least = options[name].least
        if least is not None and values[name] is not None and values[name] < least:
            raise OptionError(name, f"{what}: option {name} = {value!r} must be at least {least:g}")
        most = options[name].most
        if most is not None and values[name] is not None and values[name] > most:
            raise OptionError(name, f"{what}: option {name} = {value!r} must be at most {most:g}")
    return values
