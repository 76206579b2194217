"""Suites: YAML in, a checked and complete `Suite` out.

A suite is found by path, by the name of one that ships with geneval, or written on the command line
as metric names with commas. `extends:` merges mappings deeply and metrics by key, `--set` overrides
single places, and every error names file and line. Paths in a suite are relative to its file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from geneval import suite_file
from geneval.errors import UsageError, unknown
from geneval.extractors.runtime import Precision
from geneval.metric import READERS, MetricSpec, find_metric
from geneval.options import OptionError
from geneval.perturb.perturbation import Applied, applied
from geneval.samples.images import Alpha
from geneval.signature import Digest, digest
from geneval.strict_yaml import Marks, Place
from geneval.suite_file import AD_HOC
from geneval.value import PERTURB

_RESERVED = ("extractor", "by", "n", "optional")
_PATHS = (
    "path",
    "checkpoint",
    "prompts",
    "weights",
    "baselines",
)  # where data lies is not what a suite is
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_Key = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
_Count = Annotated[int, Field(ge=1)]
_ALARMS = re.compile(r"([1-9]\d*) per ([1-9]\d*) runs?")


def _day(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError("write a day such as 2026-12-31")
    date.fromisoformat(text)
    return text


def _alarms(text: str) -> str:
    found = _ALARMS.fullmatch(text)
    if found is None or 2 * int(found[1]) > int(found[2]):
        raise ValueError("write N per M runs, such as 1 per 365 runs, at most 1 per 2")
    return text


def _told(text: str) -> str:
    if not text.strip():
        raise ValueError("say why")
    return text


def _columns(given: Any) -> Any:
    """A column, several, or none, as written; a union's own complaint would name its branches."""
    several = isinstance(given, list) and given and all(isinstance(one, str) for one in given)
    if given is None or isinstance(given, str) or several:
        return given
    raise PydanticCustomError("columns", "A column, or a list of columns to intersect")


_By = Annotated[str | list[str] | None, PlainValidator(_columns)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SamplesSpec(_Strict):
    """A sample set: its kind, where it lies, and how many of it (lowest hashed ids first).

    `fields` says which column holds a field, such as `{prompt: caption}`. Samples of kind
    `image-text` must have a prompt. `texts` of the samples makes reference and train texts too;
    references may lie in several parallel files. `form` is what a protocol demands of a reference.
    """

    kind: Literal["images", "image-text", "texts"] = "images"
    path: str | list[str] | None = None
    n: _Count | None = None
    alpha: Alpha = "drop"
    fields: dict[str, str] = {}
    form: Literal["any", "samples", "moments", "both"] = "any"


class GenerateSpec(_Strict):
    """How a checkpoint is asked: `seed` is the run's unless given.

    `prompts` is a file with one prompt a line, or with records that have a column `prompt`; texts
    are written at records with `prompt`, `source` or `turns`. `options` are the adapter's own.
    """

    adapter: str | None = None
    checkpoint: str | None = None
    prompts: str | None = None
    n: _Count = 5000
    repeats: _Count = 1
    seed: int | None = None
    batch_size: _Count = 256
    options: dict[str, Any] = {}


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
    """One measurement: a metric with its key, options and what the suite may set for any metric.

    `by` is a column to group by, or several, whose intersections are the groups.
    """

    key: _Key
    metric: str
    options: dict[str, Any] = {}
    extractor: ExtractorChoice | None = None
    by: _By = None
    n: _Count | None = None
    optional: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in whose intersections it is given, in alphabetical order."""
        named = [self.by] if isinstance(self.by, str) else self.by or []
        return tuple(sorted(set(named)))

    @property
    def spec(self) -> MetricSpec:
        """The registered metric, with the outputs it has under these options."""
        return find_metric(self.metric).under(self.options)

    @property
    def own_extractor(self) -> ExtractorChoice | None:
        """The extractor that the suite names for it, else the metric's own, if it has one."""
        own = self.spec.extractor
        return self.extractor or (ExtractorChoice(name=own) if own else None)


class ScoreSpec(_Strict):
    """A column of the samples that holds a score of each, as a metric: COMET, a judge, a rating.

    `range` is what the scores lie in, `as` the metric's key (the column's name unless given).
    With `human` the other metrics are correlated with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    column: str
    direction: Literal["higher", "lower"] = "higher"
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    key: _Key | None = Field(default=None, alias="as")
    human: bool = False

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The metrics it stands for, by key, as a suite has them."""
        low, high = self.range or (None, None)
        key = self.key or self.column
        options = {"column": self.column, "direction": self.direction, "low": low, "high": high}
        found: dict[str, dict[str, Any]] = {key: {"metric": "score", "options": options}}
        if self.human:
            correlated = {"metric": "human_correlation", "options": {"human": key}}
            found[f"{key}_correlation"] = correlated
        return found


@dataclass(frozen=True)
class Setting:
    """A perturbation of the samples with its options, what its values are `at`, and its metrics."""

    step: Applied
    at: Mapping[str, str]
    metrics: frozenset[str]


class PerturbSpec(_Strict):
    """Perturbations put to the samples, and the keys of the metrics that are measured on these.

    An option with a list of values, such as `jpeg: {quality: [90, 50]}`, is one setting for each.
    """

    target: Literal["samples"] = "samples"
    apply: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    metrics: Annotated[list[str], Field(min_length=1)]

    @property
    def settings(self) -> list[Setting]:
        """Every combination of the options' values; raises `UsageError` for a wrong one."""
        found = []
        for name, given in self.apply.items():
            lists = [value if isinstance(value, list) else [value] for value in given.values()]
            for values in product(*lists):
                options = dict(zip(given, values, strict=True))
                at = {PERTURB: name, **{option: str(value) for option, value in options.items()}}
                found.append(Setting(applied(name, options), at, frozenset(self.metrics)))
        return found


class WaiverSpec(_Strict):
    """A gate, written as among the suite's gates, that may fail until a day has passed, and why."""

    gate: str | dict[str, Any]
    reason: Annotated[str, AfterValidator(_told)]
    until: Annotated[str, AfterValidator(_day)]


class ReportSpec(_Strict):
    """What a report may show."""

    train_images: Literal["none", "thumbnails"] = "none"


class Suite(_Strict):
    """A complete suite. `gates` are kept as written; `geneval.gate` reads them.

    Every metric is also given by each column in `groups`, under the key `KEY_by_COLUMN`.
    `false_alarms` bounds how often gates against a baseline may fail a model that breaks none.
    """

    version: Annotated[int, Field(ge=1, le=1)] = 1
    name: _Name = AD_HOC
    description: str = ""
    papers: list[str] = []
    seed: int = 0
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    samples: SamplesSpec = SamplesSpec()
    generate: GenerateSpec = GenerateSpec()
    reference: SamplesSpec | None = None
    train: SamplesSpec | None = None
    extractor: ExtractorChoice = ExtractorChoice(name="digits")
    precision: Precision = "fp32"
    weights: dict[str, str] = {}
    on_bad_sample: Literal["fail", "skip"] = "fail"
    keep_samples: Literal["all", "gallery", "none"] = "gallery"
    floor: bool = True
    pair_by: Literal["id"] | None = None
    groups: list[str] = []
    metrics: list[MetricEntry]
    perturb: list[PerturbSpec] | None = None
    baselines: dict[str, str] = {}
    gates: list[str | dict[str, Any]] = []
    false_alarms: Annotated[str, AfterValidator(_alarms)] | None = None
    waivers: list[WaiverSpec] = []
    report: ReportSpec = ReportSpec()
    _where: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The suite as plain data without paths, which is what results carry."""
        whole = self.model_dump(mode="json", exclude_none=True)
        whole.pop("weights", None), whole.pop("baselines", None)
        for part in ("samples", "generate", "reference", "train"):
            for name in _PATHS:
                (whole.get(part) or {}).pop(name, None)
        if self.samples.kind == "texts" and "extractor" not in self.model_fields_set:
            del whole["extractor"]
        return whole

    @property
    def settings(self) -> list[Setting]:
        """How the samples are perturbed."""
        return [setting for one in self.perturb or () for setting in one.settings]

    @property
    def alpha(self) -> float | None:
        """The share of runs that `false_alarms` allows, or None where nothing is said."""
        found = _ALARMS.fullmatch(self.false_alarms or "")
        return int(found[1]) / int(found[2]) if found else None

    @property
    def digest(self) -> Digest:
        """Digest of the document."""
        return digest(self.document)

    @property
    def written(self) -> dict[str, Any]:
        """The document in the form in which suites are written."""
        whole = self.document
        if "extractor" in whole:
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
        found = self._where.get(_joined(place))
        return f"{found}: " if found else ""


_SCORES = TypeAdapter(list[ScoreSpec])
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "samples": SamplesSpec,
    "reference": SamplesSpec,
    "train": SamplesSpec,
    "generate": GenerateSpec,
    "report": ReportSpec,
    "waivers": WaiverSpec,
    "scores": ScoreSpec,
    "perturb": PerturbSpec,
}


def load_suite(source: str, overrides: Sequence[str] = ()) -> Suite:
    """The suite of a path, a shipped name or metrics with commas, with `key=value` overrides."""
    return _checked(*suite_file.read(source, overrides))


def overridden(document: Mapping[str, Any], overrides: Sequence[str]) -> Suite:
    """The suite of a result's document again, with overrides."""
    content = dict(document)
    content["metrics"] = {
        entry["key"]: {
            "metric": entry["metric"],
            "options": {**entry.get("options", {}), **_without(entry, "key", "metric", "options")},
        }
        for entry in document["metrics"]
    }
    for setting in overrides:
        suite_file.override(content, setting)
    return _checked(content, {})


def _checked(content: dict[str, Any], marks: Marks) -> Suite:
    """The suite of merged content; every complaint names its line."""

    def complain(place: Place, sentence: str) -> UsageError:
        heads = (place[:i] for i in range(len(place), -1, -1))
        known = next((marks[head] for head in heads if head in marks), "")
        return UsageError(f"{known}: {sentence}" if known else sentence)

    content = _with_scores(content, complain)
    keys = list(content["metrics"])
    if not keys:
        strays = [key for key in content if key not in Suite.model_fields]
        known = (*Suite.model_fields, "extends", "scores")
        lacks = unknown("key", strays[0], known) if strays else "a suite needs at least one metric"
        raise complain(tuple(strays[:1]), lacks)
    if "extractor" in content:
        try:
            content["extractor"] = _extractor(content["extractor"])
        except UsageError as error:
            raise complain(("extractor",), str(error)) from None
    entries = []
    for key, entry in content["metrics"].items():
        try:
            entries.append(_entry(key, entry["metric"], entry["options"]))
        except OptionError as error:
            raise complain(("metrics", key, error.option), str(error)) from None
        except UsageError as error:
            raise complain(("metrics", key), str(error)) from None
    entries += _by_group(entries, content.get("groups") or [])
    try:
        suite = Suite.model_validate({**content, "metrics": entries})
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(first["loc"])
        if place[0] == "metrics" and len(place) > 1 and int(place[1]) < len(keys):
            place = ("metrics", keys[int(place[1])], *place[2:])
        raise complain(place, _sentence(first, place)) from None
    _require_settings(suite, complain)
    suite._where.update({_joined(place): at for place, at in marks.items()})
    return suite


def _require_settings(suite: Suite, complain: Callable[[Place, str], UsageError]) -> None:
    """Raise for the first perturbation that cannot be meant, or is meant twice for a metric."""
    seen = set[tuple[str, ...]]()
    for i, one in enumerate(suite.perturb or ()):
        try:
            settings = one.settings
        except UsageError as error:
            raise complain(("perturb", i), str(error)) from None
        for key in one.metrics:
            wrong = _unperturbed(key, suite)
            addresses = {(key, *map("=".join, sorted(s.at.items()))) for s in settings}
            if len(addresses) < len(settings) or addresses & seen:
                wrong = wrong or f"perturb: {key} is put to one setting twice"
            if wrong:
                raise complain(("perturb", i), wrong)
            seen |= addresses


def _unperturbed(key: str, suite: Suite) -> str:
    """Why a metric cannot be measured on perturbed samples, or ''."""
    entries = {entry.key: entry for entry in suite.metrics}
    if key not in entries:
        return f"perturb: {unknown('metric', key, entries)}"
    needs = entries[key].spec.needs(entries[key].options).values()
    if any(need.kind in READERS for need in needs):
        return f"perturb: {key} reads other metrics' values; name those that it reads"
    return ""


def _with_scores(
    content: Mapping[str, Any], complain: Callable[[Place, str], UsageError]
) -> dict[str, Any]:
    """The content with every score as the metrics that it stands for."""
    content = dict(content)
    try:
        scores = _SCORES.validate_python(content.pop("scores", []))
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        place = ("scores", *first["loc"])
        raise complain(place, _sentence(first, place)) from None
    metrics = dict(content["metrics"])
    for i, score in enumerate(scores):
        for key, entry in score.entries.items():
            if key in metrics:
                told = f"the key {key!r} is given twice; choose another with `as:`"
                raise complain(("scores", i), told)
            metrics[key] = entry
    return {**content, "metrics": metrics}


def _by_group(entries: Sequence[Mapping[str, Any]], groups: Any) -> list[dict[str, Any]]:
    """Every entry once more for each column to group by, where it is of samples and not grouped.

    A group that is too small for a metric is a problem of that group, not of the run.
    """
    known = {entry["key"] for entry in entries}
    found = []
    for column in groups if isinstance(groups, list) else ():
        for entry in entries:
            needs = find_metric(entry["metric"]).needs(entry["options"]).values()
            key = f"{entry['key']}_by_{re.sub('[^A-Za-z0-9_-]', '_', str(column))}"
            reads_values = any(need.kind in READERS for need in needs)
            if key not in known and not entry.get("by") and not reads_values:
                found.append({**entry, "key": key, "by": column, "optional": True})
    return found


def _entry(key: str, metric: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """One metric's content, its own options checked against the metric."""
    reserved = {name: given[name] for name in _RESERVED if name in given}
    if reserved.get("extractor") is not None:
        reserved["extractor"] = _extractor(reserved["extractor"])
    options = find_metric(metric).check_options(_without(given, *_RESERVED))
    return {"key": key, "metric": metric, "options": options, **reserved}


def _extractor(given: Any) -> Any:
    """`digits`, or `{name: pixels, side: 16}`, as an ExtractorChoice's content."""
    if isinstance(given, str):
        return {"name": given}
    if isinstance(given, dict) and isinstance(given.get("name"), str):
        nested = given.get("options", {})  # the form in which a result's document has it
        if isinstance(nested, dict):
            own = _without(given, "name", "options")
            return {"name": given["name"], "options": {**nested, **own}}
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
        known = (*model.model_fields, *(("extends", "scores") if model is Suite else ()))
        return unknown("key", str(place[-1]), known)
    given = error.get("input")
    if dotted == "version":
        return f"version = {given!r}: this geneval reads `version: 1`, a number without quotes"
    if error["type"] in ("model_type", "model_attributes_type") and isinstance(given, str):
        return f"{dotted} = {given!r}: write {dotted}: {{path: {given}}}"
    if error["type"] == "string_pattern_mismatch":
        return f"{dotted} = {given!r}: write letters, digits, _ or - (and . in a suite's name)"
    hint = "; a number is written 0.001, not 1e-3" if _looks_numeric(given) else ""
    told = error["msg"].removeprefix("Value error, ")
    reason = told[0].lower() + told[1:]
    return f"{dotted} = {given!r}: {reason}{hint}"


def _looks_numeric(given: Any) -> bool:
    try:
        return isinstance(given, str) and bool(float(given) or True)
    except ValueError:
        return False


def _joined(place: Sequence[Any]) -> str:
    return ".".join(str(part) for part in place)
