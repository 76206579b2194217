"""How a perturbation is declared and found: `@perturbation`, its severities, and the one registry.

A perturbation is a pure function `(x, rng, *, options) → x` of one image (uint8 [h, w, 3], the size
stays), one text, or one latent (float32 array). Its severities 1 to 5 stand for values of its
options; its defaults are those of severity 3. Packages add theirs as entry points of the group
`geneval.perturbations`.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

from geneval.errors import UsageError, unknown
from geneval.options import Option, checked, declared
from geneval.plugins import load_plugins
from geneval.source import source_of

PLUGINS = "geneval.perturbations"  # the group of entry points that add perturbations
SEVERITIES = 5
Kind = Literal["image", "text", "latent"]
Change = Callable[..., Any]
_RESERVED = ("severity", "field")
_COMMA = re.compile(r",(?=\s*\w+=)")  # one that parts options; others belong to a value


@dataclass(frozen=True)
class PerturbationSpec:
    """A registered perturbation; `severity` has five values for each option that it sets.

    `source` names what its severities were published in, '' where they are this project's own.
    """

    name: str
    kind: Kind
    change: Change
    severity: Mapping[str, Sequence[Any]]
    source: str = ""

    @property
    def options(self) -> tuple[Option, ...]:
        """The typed options that may be set."""
        return declared(self.change)

    @property
    def documentation(self) -> str:
        """The function's docstring."""
        return inspect.getdoc(self.change) or ""

    def at(self, severity: int) -> dict[str, Any]:
        """The options that a severity stands for; raises `UsageError` where there is none."""
        if not self.severity:
            raise UsageError(f"perturbation {self.name} has no severities; set its options")
        if type(severity) is not int or not 1 <= severity <= SEVERITIES:
            raise UsageError(f"perturbation {self.name}: severity = {severity!r} is not 1 to 5")
        return {name: values[severity - 1] for name, values in self.severity.items()}


@dataclass(frozen=True)
class Applied:
    """A perturbation by name with all its options, and the field it is put to, if one is named."""

    name: str
    options: Mapping[str, Any]
    field: str | None = None

    @property
    def spec(self) -> PerturbationSpec:
        """The registered perturbation."""
        return find_perturbation(self.name)

    def __call__(self, x: Any, rng: np.random.Generator) -> Any:
        """An image, text or latent perturbed; nothing but `rng` is random."""
        return self.spec.change(x, rng, **self.options)

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self.options.items())
        return f"{self.name} ({told})" if told else self.name


_registry: dict[str, PerturbationSpec] = {}


def perturbation(
    name: str,
    kind: Kind,
    *,
    severity: Mapping[str, Sequence[Any]] | None = None,
    source: str = "",
) -> Callable[[Change], Change]:
    """Register the decorated function as the perturbation `name` of images, texts or latents.

    `severity` has five values, from weak to strong, for each option that severities set.
    """
    severities = severity or {}

    def register(change: Change) -> Change:
        source_of(change)  # of the code as it is now, before anyone can edit its file
        known = {option.name: option.default for option in declared(change)}
        taken = set(_RESERVED) & set(known)
        if taken:
            raise ValueError(f"perturbation {name!r}: {taken.pop()} is set for every perturbation")
        for option, values in severities.items():
            if option not in known or len(values) != SEVERITIES or values[2] != known[option]:
                raise ValueError(
                    f"perturbation {name!r}: {option} needs five values, the third its default"
                )
        if name in _registry and _registry[name].change.__module__ != change.__module__:
            raise ValueError(f"perturbation {name!r} is registered by two modules")
        _registry[name] = PerturbationSpec(name, kind, change, severities, source)
        return change

    return register


@cache
def _load_all() -> None:
    import geneval.perturb

    for module in pkgutil.iter_modules(geneval.perturb.__path__, "geneval.perturb."):
        importlib.import_module(module.name)
    load_plugins(PLUGINS)


def all_perturbations() -> Mapping[str, PerturbationSpec]:
    """Every registered perturbation by name."""
    _load_all()
    return dict(sorted(_registry.items()))


def find_perturbation(name: str) -> PerturbationSpec:
    """The perturbation of that name; raises `UsageError` with the nearest one."""
    known = all_perturbations()
    if name not in known:
        raise UsageError(unknown("perturbation", name, known))
    return known[name]


def applied(name: str, given: Mapping[str, Any] | None = None) -> Applied:
    """A perturbation with its options checked: its own, `severity` (1 to 5), and `field`.

    A severity sets what is not set beside it. Raises `UsageError`.
    """
    spec, given = find_perturbation(name), given or {}
    own = {option: value for option, value in given.items() if option not in _RESERVED}
    severe = spec.at(given["severity"]) if "severity" in given else {}
    field = given.get("field")
    if field is not None and not isinstance(field, str):
        raise UsageError(f"perturbation {name}: field = {field!r} is no name of a field")
    return Applied(name, checked(f"perturbation {name}", spec.change, {**severe, **own}), field)


def parsed(text: str) -> Applied:
    """A perturbation as written on a command line: `jpeg:quality=50` or `fog:severity=2`."""
    name, _, options = text.partition(":")
    given = {}
    for setting in _COMMA.split(options) if options else ():
        option, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"{text}: write NAME:option=value, such as jpeg:quality=50")
        given[option.strip()] = _value(value)
    return applied(name.strip(), given)


def _value(text: str) -> Any:
    """A number or truth value where the text is one, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
