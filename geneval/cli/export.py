"""`geneval export`: a result for a model's page on the Hugging Face Hub."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    """The forms in which the Hub reads results."""

    MODEL_INDEX = "model-index"
    EVAL_RESULTS = "eval-results"


def command(
    result: Annotated[Path, typer.Argument(help="A run directory or its result.json.")],
    dataset: Annotated[str, typer.Option(help="The data set's id on the Hub.")],
    format_: Annotated[
        Form, typer.Option("--format", help="For the model card, or for .eval_results/.")
    ] = Form.MODEL_INDEX,
    value: Annotated[
        list[str] | None, typer.Option(help="Only this value; may be repeated.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The Hub's task, for a model card.")] = None,
    revision: Annotated[str | None, typer.Option(help="The data set's revision.")] = None,
) -> None:
    """Print a result as YAML for the Hub.

    geneval export runs/quality/model/20260101T120000Z-1a2b3c4d --dataset me/prompts --value fid
    """
    import yaml

    from geneval.errors import UsageError
    from geneval.hub import eval_results, model_index
    from geneval.result import Result

    found, values = Result.load(result), value or []
    if format_ is Form.MODEL_INDEX:
        content: object = model_index(found, values, dataset, task=task, revision=revision)
    elif task is not None:
        raise UsageError("--task is for --format model-index")
    else:
        content = eval_results(found, values, dataset, revision=revision)
    print(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000), end="")
