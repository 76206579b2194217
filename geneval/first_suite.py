"""A first suite, fitted to the samples there are, and the workflow that runs it.

What is written is a start: metrics that these samples allow, their counts, labels, prompts and
languages, and gates to fill in, as comments, once the first run has shown the numbers.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from geneval.errors import UsageError
from geneval.extractors.weights import present
from geneval.ledger import Ledger
from geneval.metric import find_metric
from geneval.samples.open import open_images, open_moments
from geneval.samples.pairs import SUFFIXES, read_columns
from geneval.samples.sampleset import WRITTEN, SampleSet
from geneval.samples.texts import open_texts

Kind = Literal["images", "image-text", "texts"]
CI = Literal["github", "gitlab"]
WORKFLOWS: Mapping[CI, str] = {
    "github": ".github/workflows/geneval.yml",
    "gitlab": ".gitlab-ci.yml",
}
_OTHER_NAMES = {  # under which columns often come
    "hypothesis": ("prediction", "output", "generated", "response", "translation", "summary"),
    "references": ("reference", "target", "ref", "label", "answer"),
    "prompt": ("caption", "instruction", "question", "text"),
    "source": ("src", "input", "document"),
    "lang": ("language", "locale"),
}
_FEW = 8  # names listed in a comment

_GITHUB = """\
# Evaluates the samples at every push. A gate that fails fails the job, as does what could not be
# evaluated; the worst ten verdicts are annotated and the step's summary has the table.
name: geneval
on: [push, pull_request]
permissions:
  contents: read
jobs:
  quality:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - uses: actions/cache@v4
        with:
          path: ~/.cache/geneval
          key: geneval-${{ github.sha }}
          restore-keys: geneval-
      - run: pip install geneval
      - run: geneval run %s --out runs
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: geneval
          path: runs
"""
_GITLAB = """\
# Evaluates the samples in every pipeline. A gate that fails fails the job, as does what could not
# be evaluated; merge requests show the gates as tests.
quality:
  image: python:3.11
  variables:
    GENEVAL_CACHE: $CI_PROJECT_DIR/.cache/geneval
  cache:
    key: geneval
    paths: [.cache/geneval]
  script:
    - pip install geneval
    - geneval run %s --out runs
  artifacts:
    when: always
    paths: [runs]
    reports:
      junit: runs/*/*/*/junit.xml
"""


@dataclass(frozen=True)
class Found:
    """What samples and reference are: `columns` they have, `labels` and `languages` in them.

    `fields` names the columns that hold a field under another name. `m` counts the reference, 0
    where there is none or moments alone.
    """

    kind: Kind
    samples: Path
    n: int
    columns: frozenset[str]
    fields: Mapping[str, str] = field(default_factory=dict)
    reference: Path | None = None
    m: int = 0
    reference_fields: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


def look(samples: Path, reference: Path | None, ledger: Ledger) -> Found:
    """What lies at these places; raises `UsageError` or `SampleError` where nothing can be read."""
    given: SampleSet
    kind: Kind
    if _of_texts(samples):
        fields = _renamings(samples, ("hypothesis", "references", "prompt", "source", "lang"))
        given, kind = open_texts(samples, "samples", fields), "texts"
    else:
        fields = _renamings(samples, ("prompt",)) if samples.suffix in SUFFIXES else {}
        given, kind = open_images(samples, ledger, fields=fields), "images"
        kind = "image-text" if "prompt" in given.fields else kind
    columns, theirs, m = set(given.fields), dict[str, str](), 0
    if reference is not None and kind == "texts":
        if _of_texts(reference) and reference.suffix in SUFFIXES:
            theirs = _renamings(reference, ("references",))
        m = len(open_texts(reference, "reference", theirs, "references").ids)
        columns.add("references")
    elif reference is not None and (open_moments(reference) is None):
        m = len(open_images(reference, ledger).ids)
    return Found(
        kind=kind,
        samples=samples,
        n=len(given.ids),
        columns=frozenset(columns),
        fields=fields,
        reference=reference,
        m=m,
        reference_fields=theirs,
        labels=_different(given, "label"),
        languages=_different(given, "lang"),
    )


def _of_texts(path: Path) -> bool:
    """Whether a path holds texts: plain lines, or records without an image."""
    if path.suffix in SUFFIXES and path.is_file():
        return "image" not in read_columns(path, loose=True)[0]
    return path.is_file() and path.suffix in (".txt", "")


def _renamings(path: Path, names: Sequence[str]) -> dict[str, str]:
    """The fields of records that stand under one of their other names."""
    if path.suffix not in SUFFIXES:
        return {}
    columns = read_columns(path, loose=True)[0]
    found: dict[str, str] = {}
    for name in names:
        others = [one for one in _OTHER_NAMES[name] if one in columns]
        is_there = name in columns or (name == "hypothesis" and set(WRITTEN) & set(columns))
        if others and not is_there:
            found[name] = others[0]
    return found


def _different(samples: SampleSet, column: str) -> tuple[str, ...]:
    if column not in samples.fields:
        return ()
    return tuple(sorted({str(cell) for cell in samples.column(column)}))


def suite_text(found: Found, path: Path) -> str:
    """The suite as it is written to `path`, whose folder its paths are relative to."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", path.name.split(".")[0]).strip("-._") or "quality"
    lines = [
        "# Made by `geneval init` for the samples below; change what you like.",
        "# `geneval list metrics` has more, `geneval show metric NAME` their options.",
        "version: 1",
        f"name: {json.dumps(name)}",
        "samples:",
        f"  kind: {found.kind}",
        f"  path: {_relative(found.samples, path)}  # --samples PATH on the command line wins",
        f"  n: {found.n}  # all there are now; the same n keeps later runs comparable",
        *_fields(found.fields),
    ]
    if found.reference is not None:
        counted = (
            f"  # {found.m} samples" if found.m else "  # moments, of which no sample is known"
        )
        lines += ["reference:", f"  path: {_relative(found.reference, path)}{counted}"]
        lines += _fields(found.reference_fields)
    lines += _text_metrics(found) if found.kind == "texts" else _image_metrics(found)
    return "\n".join(lines) + "\n"


def _fields(fields: Mapping[str, str]) -> list[str]:
    named = ", ".join(f"{name}: {json.dumps(column)}" for name, column in fields.items())
    return [f"  fields: {{{named}}}  # which column holds what"] if fields else []


def _relative(path: Path, suite: Path) -> str:
    """A path as text of YAML, relative to the suite's folder."""
    return json.dumps(os.path.relpath(path.absolute(), suite.absolute().parent), ensure_ascii=False)


def _text_metrics(found: Found) -> list[str]:
    lines = ["pair_by: id  # records of one id are compared with each other between runs"]
    if found.languages:
        lines.append(f"groups: [lang]  # every metric by language too: {_few(found.languages)}")
    lines.append("metrics:")
    if "references" in found.columns:
        lines += ["  - chrf", "  - bleu", "  - rouge", "  - edit_similarity"]
    if found.languages:
        lines.append(
            "  - language_fidelity: {optional: true}  # written in the language asked for?"
        )
    lines += [
        "  - degenerate_outputs  # empty and repeated outputs",
        "  - repetition  # within an output",
        "  - distinct_n  # diversity over all outputs",
        "  - length",
    ]
    first = "chrf" if "references" in found.columns else "distinct_n.distinct_2"
    return [*lines, *_gates("degenerate_outputs.empty <= 0.05", first, "at_least")]


def _image_metrics(found: Found) -> list[str]:
    inception = present("inception-v3") is not None
    lines = [
        "extractor: inception-v3" if inception else "extractor: {name: pixels, side: 8}",
        "# inception-v3 gives the numbers that papers report: geneval weights pull inception-v3",
        "metrics:",
    ]
    both = min(found.n, found.m)
    if found.reference is not None:
        lines.append("  - fid  # fid.debiased is the one that can be compared between n")
    if found.m:
        lines += [
            f"  - kid: {{subset_size: {min(1000, both)}}}  # papers use 1000",
            "  - precision_recall",
            "  - density_coverage",
        ]
    if found.m and found.labels:
        lines.append(f"  - class_balance  # labels: {_few(found.labels)}")
    lines.append("  - vendi  # diversity")
    if found.kind == "image-text":
        mark = "" if present("clip-vit-b-32") else "# "
        lines.append(
            f"  {mark}- clip_score  # with the prompts; needs the weights of clip-vit-b-32"
        )
    if both < find_metric("fid").min_n and found.m:
        lines = [line for line in lines if not line.startswith("  - fid")]
        lines.append(f"  # fid needs {find_metric('fid').min_n} samples a side")
    first, kind = ("kid", "at_most") if found.m else ("vendi", "at_least")
    return [*lines, *_gates("vendi >= 1.01", first, kind)]


def _few(names: Sequence[str]) -> str:
    """Some names for a comment, which no name can end."""
    shown = ", ".join(json.dumps(name, ensure_ascii=True) for name in names[:_FEW])
    return shown + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")


def _gates(collapsed: str, value: str, kind: str) -> list[str]:
    """A gate that only a collapsed model fails, and two more to fill in."""
    return [
        "gates:",
        f"  - {collapsed}  # only a collapsed model fails this one",
        "  # Run it once, then set limits by the numbers and their intervals:",
        f"  # - {{value: {value}, {kind}: 0.5, judge: interval}}",
        "  # or keep a run's directory, and ask that it is not worsened:",
        f"  # - {{value: {value}, no_worse_than: last, margin: 5%}}",
        "# baselines: {last: kept/run}",
    ]


def workflow_text(ci: CI, suite: Path) -> str:
    """The workflow that runs a suite, in the form of a CI system."""
    plain = suite.as_posix()
    if not re.fullmatch(r"[\w./-]+", plain):
        raise UsageError(f"{plain}: name the suite with letters, digits, . _ - to use it in CI")
    return (_GITHUB if ci == "github" else _GITLAB) % plain


def write_new(path: Path, text: str, force: bool) -> None:
    """Write a file that is not there yet, or any with `force`; raises `UsageError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists; --force overwrites it") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
