"""Models of the Hugging Face libraries: where their folder is, what it may hold, who it is.

A model is named by the path of a folder, or as on the hub: then it is the folder given under
`weights:`, else the one in the cache of downloads, else it is downloaded into that cache, unless
`--offline` or `HF_HUB_OFFLINE=1` forbids it. Weights are safetensors; pickles, and models that
bring code of their own, are refused. Identity is the digest of the files that make the model.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geneval.errors import CheckpointError, UsageError
from geneval.extractors.runtime import Running
from geneval.extractors.torchvision_schemas import declare_schemas
from geneval.extractors.weights import is_offline
from geneval.ledger import file_digest, walk
from geneval.signature import Digest, digest

if TYPE_CHECKING:
    import torch

WEIGHTS = ".safetensors"
MADE_OF = (WEIGHTS, ".json", ".txt", ".model")  # the kinds of files that make a model
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
UNKNOWN_LENGTH = 10**6  # from which on a tokeniser's greatest length says that it knows none


def require_package(user: str, package: str) -> None:
    """Raise `UsageError` where a package of the extra `geneval[hf]` is not installed."""
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"{user} needs the package {package}: pip install 'geneval[hf]'")


def model_folder(extractor: str, given: Path | None = None) -> Path:
    """The folder of the model in `family:NAME_OR_PATH`, checked; raises `UsageError`."""
    name = extractor.partition(":")[2]
    if not name:
        raise UsageError(f"extractor {extractor}: write {extractor}NAME or {extractor}PATH")
    folder = given or Path(name)
    if not folder.is_dir():
        if given is not None:
            raise UsageError(f"weights of {extractor}: {given} is no folder of a model")
        folder = _of_hub(extractor, name)
    require_safe(f"extractor {extractor}", folder)
    return folder


def short_name(extractor: str) -> str:
    """The name a model goes by: that of the hub, or the last part of a path."""
    prefix, _, name = extractor.partition(":")
    return f"{prefix}:{Path(name).resolve().name if Path(name).is_dir() else name}"


def folder_digest(folder: Path) -> Digest:
    """What tells a model from others: the names and contents of the files that make it."""
    files = [path for path in _files(folder) if path.suffix in MADE_OF]
    return digest({path.relative_to(folder).as_posix(): file_digest(path) for path in files})


@contextmanager
def loading() -> Iterator[None]:
    """Import the libraries and load by them, without progress bars and notes on their workings."""
    declare_schemas()  # transformers imports torchvision
    logging: Any = importlib.import_module("transformers.utils.logging")
    level, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if has_bar:
            logging.enable_progress_bar()


def load_model(kind: str, user: str, folder: Path, running: Running) -> Any:
    """The model of a folder, whole, by a class of transformers such as `AutoModel`."""
    with loading():
        import transformers

        try:
            model, told = getattr(transformers, kind).from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except Exception as error:  # whatever the library makes of a folder that is no model
            raise unreadable(user, folder, error) from error
    lacks = sorted(key for key in told["missing_keys"] if "pooler" not in key)
    if lacks:
        raise CheckpointError(f"{user}: {folder} lacks the tensor {lacks[0]!r}")
    return model.to(device=running.device, dtype=load_dtype(running)).eval()


def load_tokenizer(user: str, folder: Path) -> Any:
    """The tokeniser of a folder."""
    with loading():
        import transformers

        try:
            return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # as above
            raise unreadable(user, folder, error) from error


def load_config(user: str, folder: Path) -> Any:
    """The configuration of a folder's model."""
    with loading():
        import transformers

        try:
            return transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # as above
            raise unreadable(user, folder, error) from error


def unreadable(user: str, folder: Path, error: Exception) -> CheckpointError:
    """The error of a folder that a library cannot load, in one sentence."""
    return CheckpointError(f"{user}: {folder} cannot be loaded: {_reason(error)}")


def most_tokens(config: Any, tokenizer: Any) -> int | None:
    """How many tokens a model takes, special ones included; None where nothing bounds them.

    Models of RoBERTa's family count positions from behind the padding token's number.
    """
    known = getattr(tokenizer, "model_max_length", None)
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and "roberta" in config.model_type:
        positions -= config.pad_token_id + 1
    bounds = [n for n in (known, positions) if n is not None and 0 < n < UNKNOWN_LENGTH]
    return min(bounds, default=None)


def checked_length(extractor: str, asked: int | None, most: int | None) -> int | None:
    """The greatest number of tokens as asked for, within what the model takes."""
    if asked is not None and most is not None and asked > most:
        raise UsageError(f"extractor {extractor}: max_length = {asked}, the model takes {most}")
    return asked or most


def padded(
    ids: Sequence[Sequence[int]], pad: int, device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of token ids filled up on the right, and the mask of what is no filling, [b, t]."""
    import torch

    width = max(map(len, ids))
    rows = torch.full((len(ids), width), pad)
    mask = torch.zeros((len(ids), width), dtype=torch.long)
    for row, own in enumerate(ids):
        rows[row, : len(own)] = torch.tensor(own)
        mask[row, : len(own)] = 1
    return rows.to(device), mask.to(device)


def of_like_length(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows, the longest first, in chunks of at most `budget` tokens with their filling."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    while order:
        count = max(1, budget // max(1, lengths[order[0]]))
        yield order[:count]
        order = order[count:]


def load_dtype(running: Running) -> torch.dtype:
    """The numbers that a model of transformers works with."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16}[running.precision]


def _of_hub(extractor: str, name: str) -> Path:
    """The folder of a model by its name on the hub, from the cache of downloads or the hub."""
    require_package(f"extractor {extractor}", "huggingface_hub")
    from huggingface_hub import constants, snapshot_download

    patterns = [f"*{suffix}" for suffix in MADE_OF]
    try:
        try:
            return Path(snapshot_download(name, local_files_only=True))
        except Exception:  # not there, or no name that the hub could have
            if is_offline():
                raise
            return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:
        how = (
            "this is offline: fetch it on another machine and give its folder"
            if is_offline()
            else f"it cannot be fetched ({_reason(error)}): give a folder"
        )
        raise UsageError(
            f"extractor {extractor}: no model there (looked for the folder {name}, and for the "
            f"name in {constants.HF_HUB_CACHE}), and {how} with config.json and safetensors, as "
            f"the path in its name or with `weights: {{{extractor}: FOLDER}}` in the suite"
        ) from None


def require_safe(user: str, folder: Path) -> None:
    """Raise `CheckpointError` for a folder without safetensors, or with code or pickles in use."""
    files = _files(folder)
    beside = {path.parent for path in files if path.suffix == WEIGHTS}
    modules_of = {folder, *(path.parent for path in files if path.name == "config.json")}
    unsafe = modules_of - beside  # in folders of other formats, .bin is no pickle
    pickled = [p for p in files if p.suffix in PICKLED and p.parent in unsafe]
    if pickled:
        raise CheckpointError(
            f"{user}: {pickled[0]} is a pickle, which can run code; save the model "
            "as safetensors (`save_pretrained`)"
        )
    if not beside:
        raise CheckpointError(f"{user}: {folder} has no {WEIGHTS} file")
    modules = folder / "modules.json"
    if modules.is_file():
        kinds = [str(one.get("type")) for one in json.loads(modules.read_text("utf-8"))]
        foreign = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
        if foreign:
            raise CheckpointError(
                f"{user}: {modules} names {foreign[0]}, code of its own, which is not run"
            )


def _reason(error: Exception) -> str:
    """The first line of an error."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _files(folder: Path) -> list[Path]:
    return sorted(above / name for above, names in walk(folder) for name in names)
