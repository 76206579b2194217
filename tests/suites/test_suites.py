"""Every shipped suite: it loads, plans, and says what it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from geneval.bibliography import PAPERS
from geneval.errors import UsageError
from geneval.evaluator import open_job
from geneval.examples.digits.data import Split
from geneval.examples.digits.demo import EXPECTED, FOLDER
from geneval.extractors.weights import PUBLISHED
from geneval.gate import read_gates
from geneval.ledger import Ledger
from geneval.run import Job, execute
from geneval.samples.images import encode_png
from geneval.suite import load_suite
from geneval.suite_file import protocols, shipped_suites
from geneval.value import AddressBook, Role, parse_address

SUITES = sorted(shipped_suites().keys() - protocols().keys())
PROTOCOLS = sorted(protocols())
EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.usefixtures("twin_weights")


@pytest.fixture(autouse=True)
def stand_ins(twin_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inception's twin, and empty files for the networks that a plan needs by name only."""
    for name in PUBLISHED:
        (tmp_path / f"{name}.pth").touch()
    (tmp_path / "inception-v3.pth").unlink()
    (tmp_path / "inception-v3.pth").symlink_to(twin_weights / "inception-v3.pth")
    monkeypatch.setenv("GENEVAL_WEIGHTS", str(tmp_path))


def with_prompts(path: Path, ledger: Ledger) -> Path:
    """The digits of an npz as a file of records with a prompt each."""
    from geneval.samples.open import open_images

    digits, folder = open_images(path, ledger), path.parent / "prompted"
    if not folder.exists():
        folder.mkdir()
        batch = digits.read(digits.ids)
        for sample, image in zip(batch.ids, batch.columns["image"], strict=True):
            (folder / f"{sample}.png").write_bytes(encode_png(image))
        lines = [json.dumps({"image": f"{i}.png", "prompt": f"digit {i}"}) for i in batch.ids]
        (folder / "pairs.jsonl").write_text("\n".join(lines))
    return folder / "pairs.jsonl"


def planned(name: str, digit_files: tuple[Path, Path], ledger: Ledger) -> Job:
    """A suite ready to run: on a checkpoint where it names an adapter, else on samples."""
    suite = load_suite(name)
    train, held_out = digit_files
    checkpoint = FOLDER / "step-004000.safetensors" if suite.generate.adapter else None
    samples = None if checkpoint else train
    if suite.samples.kind == "texts":  # the example that the suite is shipped with
        found = sorted((EXAMPLES / name).glob("*.jsonl"))
        return open_job(suite, ledger, samples=found[0])
    if suite.samples.kind == "image-text":
        samples = with_prompts(train, ledger)
    return open_job(
        suite,
        ledger,
        checkpoint=checkpoint,
        samples=samples,
        reference=held_out,
        train=train if suite.train else None,
    )


def test_suites_of_the_design_are_shipped() -> None:
    """The demonstration's suite and the general one for images come with the package."""
    assert {"digits", "image-quality"} <= set(SUITES)


@pytest.mark.parametrize("name", [*SUITES, *PROTOCOLS])
def test_suite_loads_under_its_own_name(name: str) -> None:
    """The name in the file is the file's, so that runs lie where one looks for them."""
    suite = load_suite(name)
    assert suite.name == name
    assert load_suite(str(shipped_suites()[name])).document == suite.document


@pytest.mark.parametrize("name", [*SUITES, *PROTOCOLS])
def test_suite_says_what_it_is(name: str) -> None:
    """A description of at least one whole sentence, which `geneval list suites` prints."""
    description = load_suite(name).description
    assert re.fullmatch(r"[A-Z].{20,}\.", description)


@pytest.mark.parametrize("name", SUITES)
def test_suite_plans_against_digits(
    name: str, digit_files: tuple[Path, Path], ledger: Ledger, cache: Path
) -> None:
    """Metrics find their inputs, or are optional; gates find their values before any work."""
    job = planned(name, digit_files, ledger)
    entries, skipped = job.suite.metrics, set(job.plan.skipped)
    assert [m.key for m in job.plan.measurements] == [
        entry.key for entry in entries if entry.key not in skipped
    ]
    assert skipped <= {entry.key for entry in entries if entry.optional}
    assert [one.role for one in job.plan.passes] == [role for role in Role if role in job.sets]
    wanted = {Role.GENERATED, *([Role.REFERENCE] if job.suite.reference else [])}
    assert wanted | ({Role.TRAIN} if job.suite.train else set()) <= set(job.sets)
    assert len(job.gates) == len(job.suite.gates)
    named = {parse_address(gate.address)[0] for gate in job.gates}
    assert named <= set(job.plan.book.names())
    assert not list(cache.rglob("*.safetensors"))


@pytest.mark.parametrize("name", SUITES)
def test_numbers_of_samples_fit_the_metrics(
    name: str, digit_files: tuple[Path, Path], ledger: Ledger
) -> None:
    """A suite that makes its own samples asks for as many as its metrics need."""
    job = planned(name, digit_files, ledger)
    n = len(job.sets[Role.GENERATED].ids)
    for entry in job.suite.metrics:
        assert n >= entry.spec.min_n
        assert entry.options.get("subset_size", 0) <= n


@pytest.mark.parametrize("name", SUITES)
def test_suite_asks_for_reference_by_role(name: str) -> None:
    """No shipped suite names a path of the machine it was written on."""
    suite = load_suite(name)
    assert suite.samples.path is None
    assert suite.generate.checkpoint is None
    assert suite.weights == {}
    assert suite.baselines == {}
    for part in (suite.reference, suite.train):
        assert part is None or part.path is None


@pytest.mark.parametrize("name", SUITES)
def test_written_form_is_the_suite(name: str, tmp_path: Path) -> None:
    """A suite written out in full and read again is the same suite."""
    import yaml

    suite = load_suite(name)
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(suite.written))
    assert load_suite(str(tmp_path / "again.yaml")).digest == suite.digest


def test_demonstration_covers_what_it_announces() -> None:
    """`digits` measures in each chapter it announces and gates what the demonstration shows."""
    suite = load_suite("digits")
    chapters = {entry.spec.chapter for entry in suite.metrics}
    assert chapters == {"fidelity", "diversity", "balance", "memorization"}
    entries = tuple(
        (e.key, e.metric, tuple(output.name for output in e.spec.outputs)) for e in suite.metrics
    )
    gates = read_gates(suite, AddressBook(entries))
    assert {gate.address for gate in gates} == {
        "fid.debiased",
        "precision_recall.recall",
        "mode_collapse",
        "class_balance.missing",
    }
    (balance,) = [entry for entry in suite.metrics if entry.metric == "class_balance"]
    assert balance.options["labels"] == "predicted"  # a generator's labels are only asked for


def test_class_balance_names_what_a_collapsed_generator_forgot(
    digit_files: tuple[Path, Path], ledger: Ledger
) -> None:
    """Three digits are missing, and of these no sample is precise; the last step forgot none."""
    found = {}
    for name in ("collapsed", "step-004000"):
        suite = load_suite("class-balance", ["generate.n=1000", "floor=false"])
        place = FOLDER / f"{name}.safetensors"
        job = open_job(suite, ledger, checkpoint=place, adapter="digits", reference=digit_files[1])
        found[name] = execute(job).result
    collapsed, healthy = found["collapsed"], found["step-004000"]
    assert "missing 3 of 10 classes: 0, 4, 7" in collapsed["class_balance.missing"].finding
    assert collapsed["class_balance.p_value"].number < 1e-6
    assert healthy["class_balance.p_value"].number > 0.05
    assert healthy["class_balance.missing"].number == 0
    assert healthy["class_balance.over_produced"].number == 0
    assert collapsed["effective_classes"].interval.high < 7.5
    assert healthy["effective_classes"].interval.high == 10
    for digit in range(10):
        address = f"precision_recall_by_class.precision[label={digit}]"
        assert (collapsed[address].number < 0.2) == (digit in (0, 4, 7))
        assert healthy[address].number > 0.6
    assert "groups have fewer than 100 samples" in " ".join(healthy.document.cautions)


def test_demonstration_has_a_checkpoint_for_each_expected_verdict() -> None:
    """Every checkpoint of the demonstration is shipped, and none without an expectation."""
    shipped = {path.stem for path in FOLDER.glob("*.safetensors")}
    assert shipped == set(EXPECTED)


def test_mode_collapse_is_told_in_words(digit_files: tuple[Path, Path], ledger: Ledger) -> None:
    """The suite names the digits that the collapsed checkpoint was trained without."""
    suite = load_suite("mode-collapse", ["extractor=digits", "generate.n=2000", "floor=false"])
    job = open_job(
        suite,
        ledger,
        checkpoint=FOLDER / "collapsed.safetensors",
        adapter="digits",
        reference=digit_files[1],
    )
    found = execute(job, digit_files[0].parent / "runs").result
    assert all(value.problem is None for value in found.values())
    assert found["mode_collapse"].number == found["collapse_by_bins"].number == 1
    named = [c for c in range(10) if f"class {c} lost" in found["mode_collapse"].finding]
    assert named == [0, 4, 7]


def test_published_protocols_are_shipped() -> None:
    """One suite for each published protocol, as the reference of the field lists them."""
    assert set(PROTOCOLS) == {"ttur", "clean-fid", "adm", "edm", "dgm-eval", "kynkaanniemi"}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_fixes_what_moves_its_number(name: str) -> None:
    """Network, resize rule, count, form of the reference, every option, and the paper."""
    suite = load_suite(name)
    assert {"preset"} <= set(suite.extractor.options)
    assert suite.samples.n == 50_000
    assert suite.reference is not None
    assert suite.reference.form != "any"
    assert suite.papers
    assert set(suite.papers) <= set(PAPERS)


FORMS = {"ttur": "moments", "edm": "moments", "clean-fid": "samples", "adm": "both"}


@pytest.mark.parametrize("form", ["samples", "moments", "both"])
@pytest.mark.parametrize("name", sorted(FORMS))
def test_a_protocol_takes_its_own_form_of_reference(
    name: str,
    form: str,
    digits: tuple[Split, Split],
    digit_files: tuple[Path, Path],
    ledger: Ledger,
    tmp_path: Path,
) -> None:
    """A reference in another form is refused before any work, with what to give instead."""
    path = digit_files[1]
    if form != "samples":
        arrays = {"mu": np.zeros(2048), "sigma": np.eye(2048)}
        arrays |= {"mu_s": np.zeros(2023), "sigma_s": np.eye(2023)}
        arrays |= {"arr_0": digits[1].images} if form == "both" else {}
        path = tmp_path / "reference.npz"
        np.savez(path, **arrays)
    suite = load_suite(name)
    if form == FORMS[name]:
        job = open_job(suite, ledger, samples=digit_files[0], reference=path)
        assert [m.key for m in job.plan.measurements] == [entry.key for entry in suite.metrics]
    else:
        with pytest.raises(
            UsageError, match=f"{name} takes its reference as .*: give .*npz|folder"
        ):
            open_job(suite, ledger, samples=digit_files[0], reference=path)


def test_adm_takes_moments_and_images_each_for_its_metrics(
    digits: tuple[Split, Split], digit_files: tuple[Path, Path], ledger: Ledger, tmp_path: Path
) -> None:
    """FID and sFID are of the moments in the file, precision and recall of its images."""
    path = tmp_path / "reference.npz"
    spread = np.eye(2048) * 0.1
    np.savez(
        path,
        mu=np.full(2048, 0.5),
        sigma=spread,
        mu_s=np.full(2023, 0.5),
        sigma_s=np.eye(2023) * 0.1,
        arr_0=digits[1].images[:22],
    )
    settings = ["samples.n=20", "metrics.inception_score.splits=1"]
    job = open_job(load_suite("adm", settings), ledger, samples=digit_files[0], reference=path)
    found = execute(job).result
    assert "known only by its moments" in found["fid.debiased"].finding
    assert found["fid"].n[Role.REFERENCE] is None
    assert found["recall"].n == {Role.GENERATED: 20, Role.REFERENCE: 22}
    plain = open_job(
        load_suite("precision_recall", ["extractor=inception-v3", "samples.n=20"]),
        ledger,
        samples=digit_files[0],
        reference=digits[1].images[:22],
    )
    assert execute(plain).result["recall"].number == found["recall"].number
    fields = {a: dict(found[a].signature.fields)["ref"] for a in ("fid", "recall")}
    assert fields["fid"] != fields["recall"]
