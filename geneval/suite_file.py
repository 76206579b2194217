"""Suite files before they are checked: found, read, laid over what they extend, overridden.

The content is plain data with metrics by key, so that extensions and `--set` can reach them; marks
say where each place was written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from geneval.errors import UsageError, unknown
from geneval.metric import MetricSpec, all_metrics
from geneval.samples.sampleset import WRITTEN
from geneval.strict_yaml import Marks, Place, load, loads

AD_HOC = "ad-hoc"
_APPENDED = ("gates", "waivers")  # lists to which a suite that extends another adds


def shipped_suites() -> dict[str, Path]:
    """The suites that come with geneval, by name."""
    folder = Path(str(files("geneval.suites")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} | protocols()


def protocols() -> dict[str, Path]:
    """The shipped suites that fix a published protocol, by name."""
    folder = Path(str(files("geneval.suites"))) / "protocols"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read(source: str, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], Marks]:
    """The whole content of a suite, extensions and overrides included, not yet checked."""
    content, marks = extended(*find(source))
    for setting in overrides:
        override(content, setting)
    return content, marks


def find(source: str) -> tuple[dict[str, Any], Marks]:
    """The content of a suite file, of a shipped suite, or of metrics named with commas."""
    shipped = shipped_suites()
    path = shipped.get(source, Path(source))
    if path.suffix in (".yaml", ".yml"):
        if not _is_file(path):
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
    content = {"version": 1, "name": AD_HOC, "metrics": _by_key(names, {}, "")}
    if any(_reads_texts(known[name]) for name in names):
        content |= {"samples": {"kind": "texts"}, "pair_by": "id"}  # ids are those of the asked
    return content, {}


def _reads_texts(spec: MetricSpec) -> bool:
    """Whether a metric is of texts, or reads what a model wrote."""
    if spec.chapter == "text":
        return True
    needs = spec.needs(spec.check_options({})).values()
    return any(name in WRITTEN for need in needs for name in need.columns)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system is no file
        return False


def _read(path: Path) -> tuple[dict[str, Any], Marks]:
    """A suite file with metrics by key and paths made relative to the working folder."""
    content, marks = load(path)
    if not isinstance(content, dict):
        raise UsageError(f"{path} is no suite: it must be a mapping with `metrics:`")
    if "version" not in content:
        raise UsageError(f"{path}: `version: 1` is missing")
    for name in _APPENDED:
        if not isinstance(content.get(name, []), list):
            raise UsageError(f"{marks[name,]}: {name} = {content[name]!r}: {name} is a list")
    content["metrics"] = _by_key(content.get("metrics", []), marks, str(path))
    if "baseline" in content:
        if "baselines" in content:
            raise UsageError(f"{marks['baseline',]}: give either baseline or baselines")
        content["baselines"] = {"baseline": content.pop("baseline")}
    _anchor(content, path.parent)
    return content, marks


def _by_key(entries: Any, marks: Marks, name: str) -> dict[str, Any]:
    """The metrics list as {key: {metric, options}}; None stands for one that is to be removed."""
    if not isinstance(entries, list):
        raise UsageError(f"{marks.get(('metrics',), name)}: metrics is a list")
    found: dict[str, Any] = {}
    for i, entry in enumerate(entries):
        where = marks.get(("metrics", i), name)
        metric, options = _pair(entry, where)
        key = metric if options is None else options.pop("as", metric)
        if not isinstance(key, str):
            raise UsageError(f"{where}: as = {key!r}: a key is a word")
        if key in found:
            raise UsageError(f"{where}: the key {key!r} is given twice; choose another with `as:`")
        found[key] = None if options is None else {"metric": metric, "options": options}
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
        if isinstance(value, list):
            return [anchored(one) for one in value]
        return str(folder / value) if isinstance(value, str) else value

    for part in ("samples", "generate", "reference", "train"):
        section = content.get(part)
        if isinstance(section, dict):
            for name in ("path", "checkpoint", "prompts"):
                if name in section:
                    section[name] = anchored(section[name])
    for part in ("weights", "baselines"):
        if isinstance(content.get(part), dict):
            content[part] = {name: anchored(value) for name, value in content[part].items()}


def extended(
    content: dict[str, Any], marks: Marks, seen: tuple[Path, ...] = ()
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
    here = Path(where.rsplit(":", 1)[0])
    if not isinstance(parent_name, str):
        raise UsageError(f"{where}: cannot extend {parent_name!r}: write one name or path")
    path = shipped_suites().get(parent_name, here.parent / parent_name)
    if not _is_file(path):
        raise UsageError(f"{where}: {unknown('suite', parent_name, shipped_suites())}")
    family = (*seen, here.resolve())
    if path.resolve() in family:
        raise UsageError(f"{where}: cannot extend {parent_name!r}: it extends this suite in turn")
    parent, parent_marks = extended(*_read(path), family)
    return _laid_over(parent, parent_marks, content, marks)


def _laid_over(
    parent: dict[str, Any], parent_marks: Marks, content: dict[str, Any], marks: Marks
) -> tuple[dict[str, Any], Marks]:
    """Mappings merge deeply, metrics by key, gates and waivers append."""
    metrics = dict(parent["metrics"])
    for key, entry in content["metrics"].items():
        if entry is None and key not in metrics:
            gone_from = f"{marks.get(('metrics', key), '')}: nothing to remove"
            raise UsageError(f"{gone_from}: {unknown('metric key', key, metrics)}")
        if entry is None:
            del metrics[key]
        elif key in metrics and metrics[key]["metric"] == entry["metric"]:
            metrics[key] = _merged(metrics[key], entry)
        else:
            metrics[key] = entry
    merged = {**_merged(parent, content), "metrics": metrics}
    for name in _APPENDED:
        before = parent.get(name, [])
        merged[name] = [*before, *content.get(name, [])]
        marks = {_shifted(place, name, len(before)): at for place, at in marks.items()}
    return merged, {**parent_marks, **marks}


def _shifted(place: Place, name: str, by: int) -> Place:
    """A place in the list of that name once `by` items stand before it."""
    if len(place) < 2 or place[0] != name:
        return place
    return (name, int(str(place[1])) + by, *place[2:])


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        deep = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if deep else value
    return merged


def override(content: dict[str, Any], setting: str) -> None:
    """Apply one `dotted.key=value`; metrics are reached by their key."""
    path, equals, text = setting.partition("=")
    names = path.split(".")
    if not equals or not all(names):
        raise UsageError(f"--set {setting}: write key=value, such as metrics.kid.subsets=50")
    section = content
    if names[0] == "metrics":
        if len(names) < 3:
            raise UsageError(f"--set {setting}: name an option, such as metrics.kid.subsets=50")
        if names[1] not in content["metrics"]:
            raise UsageError(
                f"--set {setting}: {unknown('metric key', names[1], content['metrics'])}"
            )
        section, names = content["metrics"][names[1]]["options"], names[2:]
    for name in names[:-1]:
        inner = section.setdefault(name, {})
        if not isinstance(inner, dict):
            inner = section[name] = {"name": inner} if name == "extractor" else {}
        section = inner
    section[names[-1]] = _scalar(text, setting)


def _scalar(text: str, setting: str) -> Any:
    """A value from the command line: JSON where it is JSON (so 1e-3 is a number), else YAML."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise UsageError(f"--set {setting}: nested too deeply") from None
    except ValueError:
        return loads(text, "--set")[0]


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")
