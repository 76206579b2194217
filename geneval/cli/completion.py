"""Shell completion of names, without loading what the names stand for."""

from __future__ import annotations

from pathlib import Path


def suites(incomplete: str) -> list[str]:
    """Shipped suites, and suite files in the working folder."""
    import importlib.resources

    folder = Path(str(importlib.resources.files("geneval.suites")))
    shipped = [path.stem for path in folder.glob("**/*.yaml")]
    local = [str(path) for path in Path().glob("*.y*ml")]
    return sorted(name for name in (*shipped, *local) if name.startswith(incomplete))


def metrics_and_suites(incomplete: str) -> list[str]:
    """Suites and metrics; after a comma, metrics."""
    from geneval.metric import all_metrics

    before, comma, last = incomplete.rpartition(",")
    metrics = [before + comma + name for name in all_metrics() if name.startswith(last)]
    return sorted([*metrics, *([] if comma else suites(incomplete))])


def shown(incomplete: str) -> list[str]:
    """What can be shown: suites, metrics and perturbations."""
    from geneval.perturb.perturbation import all_perturbations

    perturbations = (name for name in all_perturbations() if name.startswith(incomplete))
    return sorted([*metrics_and_suites(incomplete), *perturbations])
