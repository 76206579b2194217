"""Where an extractor's weights come from, and whether they are the published ones.

Looked for in this order: the suite's path, `$GENEVAL_WEIGHTS`, the cache, the package, and then the
published address, from which a run fetches them into the cache, checked by SHA-256. `--offline` and
`HF_HUB_OFFLINE=1` forbid that.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from geneval.download import blocks_of
from geneval.errors import UsageError, unknown
from geneval.ledger import default_root, file_digest
from geneval.signature import Digest

_OTHER_NAME = re.compile(r"digits|sscd|[\w-]+:[\w.-]+")  # no file or digest of theirs is known
SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class Published:
    """A weights file as its authors publish it; `digest` is its SHA-256 or the start of it."""

    url: str
    digest: Digest

    @property
    def suffix(self) -> str:
        """The file's extension."""
        return Path(self.url).suffix


# Files made for torch.hub bear the first eight digits of their SHA-256 in their names, OpenAI's the
# whole of it in their addresses. DINOv2's were read off the downloads that others have pinned.
_DINO = "https://dl.fbaipublicfiles.com/dinov2"
_CLIP = "https://openaipublic.azureedge.net/clip/models"
PUBLISHED: Mapping[str, Published] = {
    "inception-v3": Published(
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
        "weights-inception-2015-12-05-6726825d.pth",
        "6726825d",
    ),
    "vgg16": Published("https://download.pytorch.org/models/vgg16-397923af.pth", "397923af"),
    "dinov2-vits14": Published(
        f"{_DINO}/dinov2_vits14/dinov2_vits14_pretrain.pth",
        "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    ),
    "dinov2-vitb14": Published(
        f"{_DINO}/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
        "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    ),
    "dinov2-vitl14": Published(
        f"{_DINO}/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    ),
    "clip-vit-b-32": Published(
        f"{_CLIP}/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
    ),
    "clip-vit-l-14": Published(
        f"{_CLIP}/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
    ),
    "clip-vit-l-14-336": Published(
        f"{_CLIP}/3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02/"
        "ViT-L-14-336px.pt",
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
    ),
    "lpips-alex": Published(
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", "7be5be79"
    ),
    "lpips-vgg": Published("https://download.pytorch.org/models/vgg16-397923af.pth", "397923af"),
}


def is_published(name: str, digest: Digest) -> bool:
    """Whether a file's SHA-256 is that of the published weights of an extractor."""
    return name in PUBLISHED and digest.startswith(PUBLISHED[name].digest)


def doubts(name: str, digest: Digest) -> tuple[str, ...]:
    """A sentence when weights are not the published ones, whose numbers are those of papers."""
    if is_published(name, digest):
        return ()
    if name not in PUBLISHED:
        return (f"the weights of {name} (sha256 {digest[:16]}…) are published nowhere it knows",)
    told = f"sha256 {digest[:16]}…, published is {PUBLISHED[name].digest[:16]}…"
    return (f"the weights of {name} are not the published ones ({told})",)


def find_weights(name: str, given: Path | None, embedded: Path | None = None) -> Path:
    """The weights file of an extractor, or the one that a download would make.

    Raises `UsageError` saying where it was looked for and how to bring it.
    """
    if given is not None:
        if given.is_file():
            return given
        raise UsageError(f"weights of {name}: {given} does not exist")
    found = present(name)
    if found is None and embedded is not None and embedded.is_file():
        found = embedded
    if found is not None:
        return found
    if name in PUBLISHED and not is_offline():
        return cache_folder() / _file_name(name, PUBLISHED[name].suffix)
    looked = ", ".join(str(folder) for folder in _folders())
    pull = f"run `geneval weights pull {name}` online, " if name in PUBLISHED else ""
    raise UsageError(
        f"weights of {name} not found (looked in {looked}): {pull}add a file with "
        f"`geneval weights add {name} PATH`, or set `weights: {{{name}: PATH}}` in the suite"
    )


def present(name: str) -> Path | None:
    """The weights file of an extractor in `$GENEVAL_WEIGHTS` or the cache, if there is one."""
    places = (folder / _file_name(name, suffix) for folder in _folders() for suffix in SUFFIXES)
    return next((place for place in places if place.is_file()), None)


def unpublished() -> list[Path]:
    """The weights files that are kept for extractors whose weights nobody published."""
    files = [path for folder in _folders() for path in sorted(folder.glob("*"))]
    return [path for path in files if path.suffix in SUFFIXES and path.stem not in PUBLISHED]


def _file_name(name: str, suffix: str) -> str:
    return name.replace(":", "-") + suffix


def weights_digest(name: str, path: Path) -> Digest:
    """SHA-256 of a weights file; before its download, that of the published one."""
    return file_digest(path) if path.exists() else PUBLISHED[name].digest


def is_offline() -> bool:
    """Whether the network must not be used."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


def cache_folder() -> Path:
    """Where fetched and added weights are kept."""
    return default_root() / "weights"


def pull(name: str) -> Path:
    """Fetch the published weights into the cache; raises `UsageError` unless they are the ones."""
    known = published(name)
    if is_offline():
        raise UsageError(
            f"weights of {name} are at {known.url}, but this is offline: fetch the file on "
            f"another machine and run `geneval weights add {name} PATH`"
        )
    with _kept(name, known.suffix) as (partial, target):
        try:
            _, blocks = blocks_of(known.url)
            with partial.open("wb") as to:
                to.writelines(blocks)
        except OSError as error:
            raise UsageError(
                f"weights of {name} cannot be fetched from {known.url}: {error}; fetch the file on "
                f"another machine and run `geneval weights add {name} PATH`"
            ) from error
        _require_published(name, partial)
    return target


def add(name: str, path: Path, other: bool = False) -> Path:
    """Copy a file into the cache as an extractor's weights; `other` allows unpublished ones."""
    if not path.is_file():
        raise UsageError(f"{path} does not exist")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: weights are {', '.join(SUFFIXES)}")
    if name not in PUBLISHED and not _OTHER_NAME.fullmatch(name):
        raise UsageError(unknown("weights", name, PUBLISHED))
    if not other and name in PUBLISHED:
        _require_published(name, path)
    with _kept(name, path.suffix) as (partial, target):
        shutil.copyfile(path, partial)
    return target


@contextlib.contextmanager
def _kept(name: str, suffix: str) -> Iterator[tuple[Path, Path]]:
    """A file to fill and the one it becomes, in the place of any other weights of that name."""
    target = cache_folder() / _file_name(name, suffix)
    partial = target.with_name(f"{target.name}.{uuid.uuid4().hex}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial, target
        for each in SUFFIXES:
            target.with_name(_file_name(name, each)).unlink(missing_ok=True)
        partial.replace(target)
    except OSError as error:
        raise UsageError(f"{target.parent} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def published(name: str) -> Published:
    """The published weights of an extractor; raises `UsageError`."""
    if name not in PUBLISHED:
        raise UsageError(unknown("weights", name, PUBLISHED))
    return PUBLISHED[name]


def _require_published(name: str, path: Path) -> None:
    said = doubts(name, file_digest(path))
    if said:
        raise UsageError(f"{said[0]}; --other takes them all the same")


def _folders() -> list[Path]:
    chosen = os.environ.get("GENEVAL_WEIGHTS")
    return [*([Path(chosen)] if chosen else []), cache_folder()]
