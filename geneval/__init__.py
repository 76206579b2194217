"""geneval evaluates generative models: numbers with intervals, a verdict, and a report.

`evaluate` is the way in, `Evaluator` the same in a training loop, `Generator` what a checkpoint
adapter returns, `Result` what comes out, `Role` what samples are to a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geneval.checkpoint import Generator as Generator
    from geneval.evaluator import Evaluator as Evaluator
    from geneval.evaluator import evaluate as evaluate
    from geneval.result import Result as Result
    from geneval.value import Role as Role

__version__ = "0.1.0"

_HOMES = {
    "Evaluator": "geneval.evaluator",
    "Generator": "geneval.checkpoint",
    "Result": "geneval.result",
    "Role": "geneval.value",
    "evaluate": "geneval.evaluator",
}


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that `geneval --help` needs no torch."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'geneval' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
