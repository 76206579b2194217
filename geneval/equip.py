"""The extractors a suite chooses: built, their weights fetched, probes handed the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from geneval.checkpoint import GeneratedSet
from geneval.errors import UsageError, unknown
from geneval.extractors.extractor import FeatureExtractor, build_extractor, weights_name
from geneval.extractors.weights import PUBLISHED, present
from geneval.plan import Plan, chosen_extractors, uses_own_extractor
from geneval.samples.sampleset import SampleSet
from geneval.suite import ExtractorChoice, Suite


def require_used_weights(suite: Suite) -> None:
    """Refuse weights for an extractor that nothing uses: a slip there would go unnoticed."""
    used = {
        weights_name(choice.name, choice.options) for choice in chosen_extractors(suite).values()
    }
    for name in suite.weights:
        if name not in used:
            raise UsageError(f"{suite.at('weights', name)}{unknown('extractor', name, used)}")


def built(
    suite: Suite, device: str, ready: Mapping[str, FeatureExtractor] | None = None
) -> tuple[dict[str, FeatureExtractor], dict[str, str]]:
    """The extractors by key, and why those that only optional metrics use cannot be had.

    Those that are `ready`, from an earlier job of the same suite and device, are not built again.
    """
    there = ready or {}
    by_suite = suite.metrics if uses_own_extractor(suite) else []
    needed = {suite.extractor.key for e in by_suite if not (e.own_extractor or e.optional)}
    needed |= {e.own_extractor.key for e in suite.metrics if e.own_extractor and not e.optional}
    found, unbuilt = dict[str, FeatureExtractor](), dict[str, str]()
    for key, choice in chosen_extractors(suite).items():
        optional = key not in needed and any(e.optional for e in suite.metrics)
        try:
            found[key] = there.get(key) or built_extractor(suite, choice, device)
        except UsageError as error:
            if not optional:
                raise
            unbuilt[key] = str(error)
    if suite.precision not in {"fp32", *(one.identity.get("prec") for one in found.values())}:
        where, names = suite.at("precision"), ", ".join(found)
        raise UsageError(f"{where}precision {suite.precision}: {names} runs in fp32 only")
    return found, unbuilt


def built_extractor(suite: Suite, choice: ExtractorChoice, device: str) -> FeatureExtractor:
    """The extractor of a choice; errors name the place where it was chosen."""
    named = weights_name(choice.name, choice.options)
    weights = Path(suite.weights[named]) if named in suite.weights else None
    try:
        return build_extractor(choice.name, choice.options, device, weights, suite.precision)
    except UsageError as error:
        users = [e.key for e in suite.metrics if e.extractor and e.extractor.key == choice.key]
        own = choice.key == suite.extractor.key or not users
        where = suite.at("extractor") if own else suite.at("metrics", users[0], "extractor")
        raise UsageError(f"{where}{error}") from None


def absent_weights(suite: Suite, plan: Plan) -> dict[str, str]:
    """The weights that are published and not here, by the key of the extractor that needs them."""
    used = {key for one in plan.passes for key in one.layers}
    found = {}
    for key, choice in chosen_extractors(suite).items():
        name = weights_name(choice.name, choice.options)
        needed = key in used and name in PUBLISHED and name not in suite.weights
        if needed and not present(name):
            found[key] = name
    return found


def fetched(
    suite: Suite,
    extractors: Mapping[str, FeatureExtractor],
    plan: Plan,
    device: str,
    fetch: Callable[[str], Any],
) -> dict[str, FeatureExtractor]:
    """The extractors once the weights that the plan wants are there."""
    absent = absent_weights(suite, plan)
    for name in sorted(set(absent.values())):
        fetch(name)
    choices = chosen_extractors(suite)
    return {
        key: built_extractor(suite, choices[key], device) if key in absent else one
        for key, one in extractors.items()
    }


def learn(extractors: Mapping[str, FeatureExtractor], samples: SampleSet | None) -> None:
    """Hand the references of the samples to the extractors that count what stands in them."""
    if samples is None or "references" not in samples.fields:
        return
    for one in extractors.values():
        if hasattr(one, "learn_frequencies"):
            one.learn_frequencies(samples.column("references"))


def bind(extractors: Mapping[str, FeatureExtractor], samples: SampleSet | None) -> None:
    """Hand the checkpoint to the probes among the extractors."""
    for one in extractors.values():
        if isinstance(samples, GeneratedSet) and hasattr(one, "bind"):
            one.bind(samples.checkpoint)
