"""What a paper says of its numbers: the sentence for the method section, and the references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from geneval import __version__
from geneval.bibliography import PAPERS, network_paper
from geneval.metric import find_metric
from geneval.result import Document
from geneval.signature import Scalar
from geneval.value import Role, Value

_SOFTWARE = "@software{{geneval,\n  title = {{geneval}},\n  version = {{{version}}}\n}}"
_OF_DATA = {
    *("metric", "ext", "weights", "layer", "resize", "prec", "n", "ref", "train", "v", "of"),
    *("target", "prompt", "source_prompt", "source_image", "references", "weights2", "layer2"),
}


def method(document: Document) -> str:
    """One sentence for each measurement of a result, with what makes its numbers comparable."""
    sentences = []
    for measured in document.metrics:
        value = next((value for value in measured.values if value.number is not None), None)
        if value is not None:
            paper = PAPERS.get(find_metric(measured.metric).paper)
            sentences.append(_sentence(value, paper.short if paper else ""))
    version = document.provenance.get("packages", {}).get("geneval", __version__)
    protocol = [PAPERS[p].short for p in _protocol(document) if p in PAPERS]
    how = "with the settings" if document.cautions else "following the protocol"
    told = f" {how} of {'; '.join(protocol)}" if protocol else ""
    but = f" But: {'; '.join(document.cautions)}." if document.cautions else ""
    return f"All numbers were computed with geneval {version}{told}. {' '.join(sentences)}{but}"


def references(document: Document) -> str:
    """BibTeX of every paper the result rests on, and of geneval."""
    wanted = list(_protocol(document))
    for measured in document.metrics:
        wanted.append(find_metric(measured.metric).paper)
        for value in measured.values[:1]:
            extractor = str(_fields(value).get("ext", ""))
            wanted.append(network_paper(extractor) or "")
    entries = [PAPERS[one].bibtex(one) for one in sorted(set(wanted) & set(PAPERS))]
    version = document.provenance.get("packages", {}).get("geneval", __version__)
    return "\n\n".join([*entries, _SOFTWARE.format(version=version)])


def _protocol(document: Document) -> Iterable[str]:
    found: list[str] = list(document.suite.document.get("papers", []))
    return found


def _sentence(value: Value, paper: str) -> str:
    """What was measured, on what, with which network and which choices."""
    fields = _fields(value)
    about = f"{value.key} ({paper})" if paper else value.key
    counts = [
        f"{n:,} {role} samples" if n is not None else f"{role} moments"
        for role, n in value.n.items()
        if role in Role
    ]
    told = f"{about}: {' and '.join(counts)}"
    if "ext" in fields:
        told += f"; {fields['ext']}"
        if fields.get("layer"):
            told += f", layer {fields['layer']}"
        if fields.get("weights"):
            told += f", weights sha256 {str(fields['weights'])[:8]}"
        if fields.get("resize"):
            told += f", resize rule {fields['resize']}"
        told += f", {fields.get('prec', 'fp32')}"
    choices = ", ".join(
        f"{k} {v}" for k, v in fields.items() if k not in _OF_DATA and v is not None
    )
    if choices:
        told += f"; {choices}"
    if value.interval is not None:
        told += f"; {value.interval.level:.0%} intervals by {value.interval.method}"
    return f"{told}."


def _fields(value: Value) -> Mapping[str, Scalar]:
    return dict(value.signature.fields)
