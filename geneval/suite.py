"""Suites: YAML in, a checked and complete `Suite` out.

A suite is found by path, by the name of one that ships with geneval, or written on the command line
as metric names with commas. `extends:` merges mappings deeply and metrics by key, `--set` overrides
single places, and every error names file and line. Paths in a suite are relative to its file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from geneval.errors import UsageError, unknown
from geneval.metric import MetricSpec, all_metrics, find_metric
from geneval.samples.images import Alpha
from geneval.signature import Digest, digest
from geneval.strict_yaml import Marks, Place, load, loads

AD_HOC = "ad-hoc"
_RESERVED = ("as", "extractor", "by", "n", "optional")
_PATHS = ("path", "checkpoint", "weights", "baselines")  # where data lies is not what a suite is
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_Key = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
_Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SamplesSpec(_Strict):
    """A sample set: its kind, where it lies, and how many of it (lowest hashed ids first)."""

    kind: Literal["images"] = "images"
    path: str | None = None
    n: _Count | None = None
    alpha: Alpha = "drop"


class GenerateSpec(_Strict):
    """How a checkpoint is asked: `seed` is the run's unless given."""

    adapter: str | None = None
    checkpoint: str | None = None
    n: _Count = 5000
    repeats: _Count = 1
    seed: int | None = None
    batch_size: _Count = 256


class ExtractorChoice(_Strict):
    """An extractor by name with its options."""

    name: str
    options: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """How passes and reports call it: the name, with options where some are set."""
        chosen = ",".join(f"{k}={self.options[k]}" for k in sorted(self.options))
        return f"{self.name}({chosen})" if chosen else self.name


class MetricEntry(_Strict):
    """One measurement: a metric with its key, options and what the suite may set for any metric."""

    key: _Key
    metric: str
    options: dict[str, Any] = {}
    extractor: ExtractorChoice | None = None
    by: str | None = None
    n: _Count | None = None
    optional: bool = False

    @property
    def spec(self) -> MetricSpec:
        """The registered metric."""
        return find_metric(self.metric)


class ReportSpec(_Strict):
    """What a report may show."""

    train_images: Literal["none", "thumbnails"] = "none"


class Suite(_Strict):
    """A complete suite. `gates` are kept as written; `geneval.gate` reads them."""

    version: Literal[1] = 1
    name: _Name = AD_HOC
    description: str = ""
    seed: int = 0
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    samples: SamplesSpec = SamplesSpec()
    generate: GenerateSpec = GenerateSpec()
    reference: SamplesSpec | None = None
    train: SamplesSpec | None = None
    extractor: ExtractorChoice = ExtractorChoice(name="digits")
    weights: dict[str, str] = {}
    on_bad_sample: Literal["fail", "skip"] = "fail"
    keep_samples: Literal["all", "gallery", "none"] = "gallery"
    pair_by: Literal["id"] | None = None
    metrics: list[MetricEntry]
    baselines: dict[str, str] = {}
    gates: list[str | dict[str, Any]] = []
    report: ReportSpec = ReportSpec()
    where: dict[str, str] = Field(default={}, exclude=True, repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """The suite as plain data without paths, which is what results carry."""
        whole = self.model_dump(mode="json", exclude_none=True)
        whole.pop("weights", None), whole.pop("baselines", None)
        for part in ("samples", "generate", "reference", "train"):
            for name in _PATHS:
                (whole.get(part) or {}).pop(name, None)
        return whole

    @property
    def digest(self) -> Digest:
        """Digest of the document."""
        return digest(self.document)

    @property
    def written(self) -> dict[str, Any]:
        """The document in the form in which suites are written."""
        whole = self.document
        whole["extractor"] = _flat(whole["extractor"])
        metrics = []
        for entry in whole["metrics"]:
            options = {**entry["options"], **_without(entry, "key", "metric", "options")}
            if entry["key"] != entry["metric"]:
                options["as"] = entry["key"]
            if "extractor" in options:
                options["extractor"] = _flat(options["extractor"])
            metrics.append({entry["metric"]: options} if options else entry["metric"])
        return {**whole, "metrics": metrics}

    def at(self, *place: str | int) -> str:
        """`file:line: ` of a place as written, or '' when it was not written in a file."""
        found = self.where.get(_joined(place))
        return f"{found}: " if found else ""


_SECTIONS: Mapping[str, type[BaseModel]] = {
    "samples": SamplesSpec,
    "reference": SamplesSpec,
    "train": SamplesSpec,
    "generate": GenerateSpec,
    "report": ReportSpec,
}


def load_suite(source: str, overrides: Sequence[str] = ()) -> Suite:
    """The suite of a path, a shipped name or metrics with commas, with `key=value` overrides."""
    content, marks = _find(source)
    content, marks = _extended(content, marks, ())
    for override in overrides:
        _override(content, override)
    return _checked(content, marks)


def overridden(document: Mapping[str, Any], overrides: Sequence[str]) -> Suite:
    """The suite of a result's document again, with overrides."""
    content = dict(document)
    content["metrics"] = {
        entry["key"]: {**entry.get("options", {}), **_without(entry, "key", "options")}
        for entry in document["metrics"]
    }
    for override in overrides:
        _override(content, override)
    return _checked(content, {})


def shipped_suites() -> dict[str, Path]:
    """The suites that come with geneval, by name."""
    folder = Path(str(files("geneval.suites")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def _find(source: str) -> tuple[dict[str, Any], Marks]:
    path, shipped = Path(source), shipped_suites()
    if source in shipped and not path.is_file():
        path = shipped[source]
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UsageError(f"suite {source} does not exist")
        return _read(path)
    names = [name.strip() for name in source.split(",")]
    known = all_metrics()
    strays = [name for name in names if name not in known]
    if strays and len(names) == 1:
        raise UsageError(unknown("suite or metric", source, [*shipped, *known]))
    if strays:
        raise UsageError(unknown("metric", strays[0], known))
    if len(set(names)) < len(names):
        raise UsageError(f"{source} names a metric twice; use a suite and `as:`")
    return {"version": 1, "name": AD_HOC, "metrics": _by_key(names, {}, "")}, {}


def _read(path: Path) -> tuple[dict[str, Any], Marks]:
    """A suite file with metrics by key and paths made relative to the working folder."""
    content, marks = load(path)
    if not isinstance(content, dict):
        raise UsageError(f"{path} is no suite: it must be a mapping with `metrics:`")
    if "version" not in content:
        raise UsageError(f"{path}: `version: 1` is missing")
    content["metrics"] = _by_key(content.get("metrics", []), marks, str(path))
    if "baseline" in content:
        if "baselines" in content:
            raise UsageError(f"{marks['baseline',]}: give either baseline or baselines")
        content["baselines"] = {"baseline": content.pop("baseline")}
    _anchor(content, path.parent)
    return content, marks


def _by_key(entries: Any, marks: Marks, name: str) -> dict[str, Any]:
    """The metrics list as {key: entry}; `null` stands for an entry that an extension removes."""
    if not isinstance(entries, list):
        raise UsageError(f"{marks.get(('metrics',), name)}: metrics is a list")
    found: dict[str, Any] = {}
    for i, entry in enumerate(entries):
        where = marks.get(("metrics", i), name)
        metric, options = _pair(entry, where)
        key = metric if options is None else options.pop("as", metric)
        if not isinstance(key, str) or key in found:
            raise UsageError(f"{where}: the key {key!r} is given twice; choose another with `as:`")
        found[key] = None if options is None else {"metric": metric, **options}
        for place in [p for p in marks if p[:2] == ("metrics", i)]:
            tail = place[3:] if isinstance(entry, dict) else ()
            marks["metrics", key, *tail] = marks[place]
    return found


def _pair(entry: Any, where: str) -> tuple[str, dict[str, Any] | None]:
    """A list item as metric name and options; options are None for `key: null`."""
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        ((metric, options),) = entry.items()
        if options is None or isinstance(options, dict):
            return metric, None if options is None else dict(options)
    raise UsageError(
        f"{where}: a metric is a name, or a name with options: `- kid: {{subsets: 50}}`"
    )


def _anchor(content: dict[str, Any], folder: Path) -> None:
    """Make the paths of a suite file relative to that file."""

    def anchored(value: Any) -> Any:
        return str(folder / value) if isinstance(value, str) else value

    for part in ("samples", "generate", "reference", "train"):
        section = content.get(part)
        if isinstance(section, dict):
            for name in ("path", "checkpoint"):
                if name in section:
                    section[name] = anchored(section[name])
    for part in ("weights", "baselines"):
        if isinstance(content.get(part), dict):
            content[part] = {name: anchored(value) for name, value in content[part].items()}


def _extended(
    content: dict[str, Any], marks: Marks, seen: tuple[str, ...]
) -> tuple[dict[str, Any], Marks]:
    """The content laid over what it extends."""
    parent_name = content.pop("extends", None)
    if parent_name is None:
        gone = [key for key, entry in content["metrics"].items() if entry is None]
        if gone:
            where = marks.get(("metrics", gone[0]), "")
            raise UsageError(f"{where}: {gone[0]} is null but nothing is extended; write its name")
        return content, marks
    where = marks["extends",]
    if not isinstance(parent_name, str) or parent_name in seen:
        raise UsageError(f"{where}: cannot extend {parent_name!r}")
    path = shipped_suites().get(parent_name, Path(where.rsplit(":", 1)[0]).parent / parent_name)
    if not path.is_file():
        raise UsageError(f"{where}: {unknown('suite', parent_name, shipped_suites())}")
    parent, parent_marks = _extended(*_read(path), (*seen, parent_name))
    for key, entry in content["metrics"].items():
        if entry is None and key not in parent["metrics"]:
            gone_from = f"{marks.get(('metrics', key), '')}: nothing to remove"
            raise UsageError(f"{gone_from}: {unknown('metric key', key, parent['metrics'])}")
    gates = [*parent.get("gates", []), *content.pop("gates", [])]
    shifted = {
        (("gates", int(str(p[1])) + len(parent.get("gates", [])), *p[2:]) if _is_gate(p) else p): at
        for p, at in marks.items()
    }
    merged = _merged(parent, content)
    merged["gates"] = gates
    merged["metrics"] = {k: e for k, e in merged["metrics"].items() if e is not None}
    return merged, {**parent_marks, **shifted}


def _is_gate(place: Place) -> bool:
    return len(place) > 1 and place[0] == "gates"


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        deep = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if deep else value
    return merged


def _override(content: dict[str, Any], override: str) -> None:
    """Apply one `dotted.key=value`; metrics are reached by their key."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UsageError(f"--set {override}: write key=value, such as metrics.kid.subsets=50")
    *parents, last = path.split(".")
    section = content
    for depth, name in enumerate(parents):
        if parents[:1] == ["metrics"] and depth == 1 and name not in section:
            raise UsageError(f"--set {override}: {unknown('metric key', name, section)}")
        inner = section.setdefault(name, {})
        if not isinstance(inner, dict):
            inner = section[name] = {"name": inner} if name == "extractor" else {}
        section = inner
    section[last] = _scalar(text)


def _scalar(text: str) -> Any:
    """A value from the command line: JSON where it is JSON (so 1e-3 is a number), else YAML."""
    try:
        return json.loads(text)
    except ValueError:
        return loads(text, "--set")[0]


def _checked(content: dict[str, Any], marks: Marks) -> Suite:
    """The suite of merged content; every complaint names its line."""
    where = {_joined(place): at for place, at in marks.items()}

    def complain(place: Place, sentence: str) -> UsageError:
        known = next((marks[place[:i]] for i in range(len(place), 0, -1) if place[:i] in marks), "")
        return UsageError(f"{known}: {sentence}" if known else sentence)

    if not content["metrics"]:
        raise UsageError(f"{marks.get((), 'the suite')}: a suite needs at least one metric")
    content = dict(content, where=where)
    if "extractor" in content:
        content["extractor"] = _extractor(content["extractor"])
    entries = []
    for key, entry in content["metrics"].items():
        try:
            entries.append(_entry(key, entry))
        except UsageError as error:
            raise complain(("metrics", key), str(error)) from None
    content["metrics"] = entries
    try:
        return Suite.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(first["loc"])
        raise complain(place, _sentence(first, place)) from None


def _entry(key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """One metric's content, its own options checked against the metric."""
    given = dict(given)
    metric = given.pop("metric")
    reserved = {name: given.pop(name) for name in _RESERVED if name in given}
    if reserved.get("extractor") is not None:
        reserved["extractor"] = _extractor(reserved["extractor"])
    spec = find_metric(metric)
    options = spec.check_options(given)
    return {"key": key, "metric": metric, "options": options, **reserved}


def _extractor(given: Any) -> Any:
    """`digits`, or `{name: pixels, side: 16}`, as an ExtractorChoice's content."""
    if isinstance(given, str):
        return {"name": given}
    if isinstance(given, dict) and isinstance(given.get("name"), str):
        nested = given.get("options", {})  # the form in which a result's document has it
        return {"name": given["name"], "options": {**nested, **_without(given, "name", "options")}}
    raise UsageError("an extractor is a name, or a mapping with `name:` and its options")


def _flat(extractor: Mapping[str, Any]) -> Any:
    """An extractor choice as a suite writes it: a name, or a mapping of name and options."""
    options = extractor.get("options") or {}
    return {"name": extractor["name"], **options} if options else extractor["name"]


def _without(content: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in names}


def _sentence(error: Any, place: Place) -> str:
    dotted = _joined(place)
    if error["type"] == "extra_forbidden":
        model = _SECTIONS.get(str(place[0]), Suite) if len(place) > 1 else Suite
        return unknown("key", str(place[-1]), set(model.model_fields) - {"where"})
    given = error.get("input")
    hint = "; a number is written 0.001, not 1e-3" if _looks_numeric(given) else ""
    return f"{dotted} = {given!r}: {error['msg'].lower()}{hint}"


def _looks_numeric(given: Any) -> bool:
    try:
        return isinstance(given, str) and bool(float(given) or True)
    except ValueError:
        return False


def _joined(place: Sequence[Any]) -> str:
    return ".".join(str(part) for part in place)
