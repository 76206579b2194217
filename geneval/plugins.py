"""Other people's code: entry points of distributions, and functions named `module:function`.

Entry points are loaded once and can never take the harness down; a function that is named is
wanted, so what stands in its way is an error with one sentence.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from geneval.errors import CheckpointError, UsageError, unknown
from geneval.source import source_of


@cache
def load_plugins(group: str) -> tuple[str, ...]:
    """Load every entry point of a group; a sentence for each that does not load."""
    broken = []
    for point in entry_points(group=group):
        try:
            point.load()
        except Exception as error:  # a stranger's code may raise anything
            owner = point.dist.name if point.dist else "an unknown distribution"
            broken.append(f"plug-in {point.name} of {owner} does not load: {error}")
    return tuple(broken)


def named_function(what: str, name: str, written: str) -> Callable[..., Any]:
    """The function of `module:function`; `what` and `name` are what the user calls it.

    Modules are sought in the working folder and among what is installed. Raises `UsageError` when
    there is no such thing, `CheckpointError` when its module fails.
    """
    module_name, _, function_name = written.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), function_name)):
        raise UsageError(f"{what} {name}: write module:function, such as my_models:load")
    if str(Path.cwd()) not in sys.path:  # such a module usually lies beside the suite
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{what} {name}: there is no module {error.name!r} in {Path.cwd()} or installed"
        ) from error
    except Exception as error:  # the module is the user's code
        raise CheckpointError(
            f"{what} {name}: {module_name} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    function = getattr(module, function_name, None)
    if function is None:
        reason = unknown("function", function_name, (n for n in dir(module) if n[0] != "_"))
        raise UsageError(f"{what} {name}: {reason}")
    if not callable(function):
        raise UsageError(f"{what} {name}: {function_name} is no function")
    source_of(function)  # of the code as it is now, before anyone can edit its file
    found: Callable[..., Any] = function
    return found
