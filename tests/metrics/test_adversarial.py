"""adversarial, by hand, through a run, and on two classifiers of which one is brittle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from geneval.compare import compare
from geneval.data import Features, LabelSpace
from geneval.errors import UsageError
from geneval.evaluator import evaluate, open_job
from geneval.examples.digits.data import Split
from geneval.examples.digits.demo import FOLDER
from geneval.extractors.digits import EMBEDDED, Digits, network
from geneval.extractors.extractor import build_extractor
from geneval.extractors.inception import inception_v3
from geneval.ledger import Ledger
from geneval.metric import find_metric
from geneval.resample import Context, wilson
from geneval.result import Result
from geneval.samples.sampleset import Batch
from geneval.suite import load_suite
from geneval.value import Estimate, address_of

COLUMNS = ("kept", "loss", "kept pgd 2/255", "loss pgd 2/255", "kept pgd 0.5", "loss pgd 0.5")
ROWS = [  # four samples that resist more and more
    (0, 3.0, 0, 4.0, 0, 5.0),
    (1, 1.0, 0, 2.0, 0, 3.0),
    (1, 0.5, 1, 1.0, 0, 2.0),
    (1, 0.1, 1, 0.2, 1, 0.3),
]


def by_hand(rows: list[tuple[float, ...]]) -> dict[str, Estimate]:
    """The estimates of these rows, by address."""
    ids = tuple(f"{i:02d}" for i in range(len(rows)))
    given = Features(ids, np.array(rows, dtype=np.float32), LabelSpace(COLUMNS))
    found = find_metric("adversarial").measure({"attacked": given}, Context(), {})
    return {address_of("", "", one.output, one.at).removeprefix("."): one for one in found}


def test_four_samples_by_hand() -> None:
    """Shares, means and the median as one counts them."""
    found = by_hand(ROWS)
    numbers = {address: one.number for address, one in found.items()}
    assert numbers == pytest.approx(
        {
            "accuracy[attack=pgd,eps=2/255]": 2 / 4,
            "accuracy[attack=pgd,eps=0.5]": 1 / 4,
            "success_rate[attack=pgd,eps=2/255]": 1 / 3,
            "success_rate[attack=pgd,eps=0.5]": 2 / 3,
            "loss[attack=pgd,eps=2/255]": 7.2 / 4,
            "loss[attack=pgd,eps=0.5]": 10.3 / 4,
            "smallest_eps[attack=pgd]": (2 / 255 + 0.5) / 2,  # of 0, 2/255, 0.5 and beyond
            "withstand[attack=pgd]": 1 / 4,
            "clean_accuracy": 3 / 4,
            "clean_loss": 4.6 / 4,
        }
    )
    assert found["success_rate[attack=pgd,eps=0.5]"].interval == wilson(2, 3, 0.95, "population")
    gallery = found["smallest_eps[attack=pgd]"].galleries[0]
    assert gallery.ids == ("01", "02", "03")  # not the one that is wrong when clean
    assert found["clean_accuracy"].tables[0].columns["accuracy under pgd"] == [0.75, 0.5, 0.25]


def test_ends_of_the_scale() -> None:
    """All wrong when clean leaves nothing to turn; a median beyond the list says so."""
    wrong = by_hand([ROWS[0]] * 3)
    assert "nothing is left to turn" in str(wrong["success_rate[attack=pgd,eps=0.5]"].problem)
    assert wrong["smallest_eps[attack=pgd]"].number == 0
    firm = by_hand([ROWS[3]] * 3)["smallest_eps[attack=pgd]"]
    assert (firm.number, firm.finding) == (0.5, "at least half withstand pgd up to 0.5")


# ------------------------------------------------------------------------------------ the probe


def probe(**options: object) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """Rows of the probe by column, of ten held-out digits with their labels."""
    built = build_extractor("adversarial", options, "cpu", None)
    rng = np.random.default_rng(0)
    batch = Batch.of(image=rng.integers(0, 256, (10, 12, 10, 3), dtype=np.uint8))
    rows = built(batch, ["adversarial"])["adversarial"]
    return dict(zip(built.layers["adversarial"].columns, rows.T, strict=True))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_sample_once_lost_stays_lost(norm: str) -> None:
    """Losses rise and classes are only lost along the radii, of every attack."""
    eps = ["32/255", 0.5, "4/255"] if norm == "linf" else [8, "1/2", 2.0]
    found = probe(attacks=["fgsm", "pgd", "square"], eps=eps, norm=norm, steps=5, queries=20)
    radii = ["4/255", "32/255", "0.5"] if norm == "linf" else ["1/2", "2", "8"]
    for attack in ("fgsm", "pgd", "square"):
        kept = np.stack([found["kept"], *(found[f"kept {attack} {e}"] for e in radii)])
        loss = np.stack([found["loss"], *(found[f"loss {attack} {e}"] for e in radii)])
        assert (np.diff(kept, axis=0) <= 0).all()
        assert (np.diff(loss, axis=0) >= 0).all()
    assert found["kept"].all()  # the class to keep is what the classifier says
    assert not found[f"kept pgd {radii[-1]}"].all()


def test_what_is_no_attack_is_refused() -> None:
    """Radii that are none, extractors that are no classifiers, classes without names."""
    for options, told in (
        ({"eps": ["4:255"]}, "eps '4:255' is no number such as 4/255"),
        ({"eps": [0]}, "must be above 0"),
        ({"eps": []}, "eps is empty"),
        ({"classifier": "pixels"}, "pixels is no classifier with a gradient"),
        ({"attacks": ["pgdd"]}, "attacks"),
    ):
        with pytest.raises(UsageError, match=told):
            build_extractor("adversarial", options, "cpu", None)


def test_forward_is_the_extractor(twin_weights: Path, rng: np.random.Generator) -> None:
    """The differentiable way gives the numbers of the usual one, and a gradient, on both kinds."""
    images = rng.integers(0, 256, (2, 20, 20, 3), dtype=np.uint8)
    x = torch.as_tensor(images).permute(0, 3, 1, 2).float() / 255
    for built in (Digits(EMBEDDED, "cpu"), inception_v3(preset="tf1")):
        usual = built(Batch.of(image=images), tuple(built.layers))
        made = built.forward(x.requires_grad_())
        for name, values in made.items():
            apart = np.abs(values.detach().numpy() - usual[name]).max()
            assert apart <= 1e-4 * np.abs(usual[name]).max()  # norms are folded in the usual one
        (slope,) = torch.autograd.grad(made[next(iter(made))].sum(), x)
        assert slope.abs().sum() > 0
    with pytest.raises(UsageError, match="rounds to bytes"):
        inception_v3(preset="clip").forward(x)


# -------------------------------------------------------------------------------------- a run

SUITE = """
version: 1
name: attacked
generate: {adapter: digits, n: 40}
pair_by: id
metrics:
  - adversarial:
      extractor: {name: adversarial, keep: label, attacks: [fgsm, pgd], eps: [4/255, 32/255],
                  steps: 5}
gates:
  - "adversarial.accuracy[attack=pgd,eps=4/255] >= 0.6"
"""


def suite(folder: Path, text: str = SUITE) -> str:
    """The suite as a file."""
    path = folder / "attacked.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("adversarial.accuracy", r"given by attack and eps; write adversarial.accuracy\[attack"),
        ("adversarial.accuracy[attack=pgd]", r"write adversarial.accuracy\[attack=pgd,eps=32/255"),
        ("adversarial.accuracy[attack=pgd,eps=5/255]", "unknown eps '5/255'.*'4/255'"),
        ("adversarial.withstand[attack=pgd,eps=4/255]", "not grouped by eps"),
        ("adversarial.clean_accuracy[attack=pgd]", "not grouped by attack"),
        ("adversarial.accuracy[attack=square,eps=4/255]", "unknown attack 'square'"),
    ],
)
def test_gates_on_what_will_not_be_there(
    tmp_path: Path, ledger: Ledger, address: str, told: str
) -> None:
    """Attacks and radii that the probe is not asked for are refused before any work."""
    text = SUITE.replace("adversarial.accuracy[attack=pgd,eps=4/255]", address)
    with pytest.raises(UsageError, match=told):
        open_job(
            load_suite(suite(tmp_path, text)), ledger, checkpoint=FOLDER / "step-004000.safetensors"
        )


def test_two_checkpoints_compare_sample_by_sample(tmp_path: Path) -> None:
    """A gate is judged, evidence pairs by id, and the second run is read from the ledger."""
    path = suite(tmp_path)
    found = [
        evaluate(path, checkpoint=FOLDER / f"{name}.safetensors", out=tmp_path / "out")
        for name in ("step-000250", "step-004000")
    ]
    address = "adversarial.accuracy[attack=pgd,eps=32/255]"
    assert found[1][address].number < found[1]["adversarial.clean_accuracy"].number  # type: ignore[operator]
    told = {row.address: row for row in compare(found, against="step-004000").rows}
    assert address in told
    again = evaluate(path, checkpoint=FOLDER / "step-004000.safetensors")
    assert again[address].number == found[1][address].number


# ----------------------------------------------------------------------------------- planted


def trained(digits: tuple[Split, Split], noise: float, path: Path) -> Path:
    """Weights of the digits classifier trained on the digits with noise of that deviation."""
    images = torch.as_tensor(digits[0].images)[:, None].float() / 255
    labels = torch.as_tensor(digits[0].labels)
    draw = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = network()
        optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
        for _ in range(8):
            for rows in torch.randperm(len(images), generator=draw).split(64):
                grain = noise * torch.randn(len(rows), 1, 8, 8, generator=draw)
                logits = net((images[rows] + grain).clamp(0, 1))[1]
                loss = torch.nn.functional.cross_entropy(logits, labels[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    shipped = load_file(EMBEDDED)
    with safe_open(EMBEDDED, framework="numpy") as file:
        facts = file.metadata()
    save_file({**shipped, **net.state_dict()}, path, metadata=facts)
    return path


def test_a_brittle_classifier_is_told_from_a_robust_one(
    digits: tuple[Split, Split], digit_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Both name clean digits alike; under attack their intervals do not meet."""
    text = SUITE.replace("  - adversarial:", "  - adversarial:\n      n: 120")
    text = text.replace("4/255, 32/255", "16/255, 32/255").split("gates:")[0]
    found: dict[str, Result] = {}
    for name, noise in (("brittle", 0.0), ("robust", 0.4)):
        weights = trained(digits, noise, tmp_path / f"{name}.safetensors")
        chosen = load_suite(suite(tmp_path, text), [f"weights.digits={weights}"])
        found[name] = evaluate(chosen, samples=digit_files[1])
    for result in found.values():
        clean = result["adversarial.clean_accuracy"].number
        assert clean is not None
        assert clean > 0.9
    address = "adversarial.accuracy[attack=pgd,eps=32/255]"
    brittle, robust = (found[name][address].interval for name in ("brittle", "robust"))
    assert brittle is not None
    assert robust is not None
    assert brittle.high < robust.low
