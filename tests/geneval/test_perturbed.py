"""geneval.perturb: how perturbations are declared, named and put to a sample set."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import geneval.perturb.perturbation
import geneval.plugins
from geneval.errors import UsageError
from geneval.perturb.images import jpeg
from geneval.perturb.perturbation import (
    Applied,
    all_perturbations,
    applied,
    find_perturbation,
    parsed,
    perturbation,
)
from geneval.perturb.perturbed import Perturbed
from geneval.samples.arrays import ArraySet
from geneval.samples.requests import RequestSet
from geneval.samples.sampleset import Subset
from geneval.samples.texts import TextSet, open_texts

NOISE = applied("gaussian_noise")
RECORDS = [
    {
        "id": "b",
        "prompt": "Name a colour.",
        "hypothesis": "Blue is a colour.",
        "references": ["red"],
    },
    {"id": "a", "prompt": "说出一种颜色。", "hypothesis": "蓝色是一种颜色。", "references": ["红"]},
]


@pytest.fixture
def images(rng: np.random.Generator) -> ArraySet:
    """Five small images with labels."""
    return ArraySet(rng.integers(0, 256, (5, 20, 24, 3), dtype=np.uint8), list("abcde"))


def texts() -> TextSet:
    """Two records, one of them Chinese."""
    return open_texts(RECORDS, "samples")


def test_perturbed_images_are_other_images(images: ArraySet) -> None:
    """Images are the perturbed ones, other fields as they were, and the set travels."""
    weak, strong = (Perturbed(images, [applied("jpeg", {"quality": q})]) for q in (90, 10))
    before = images.read(images.ids).columns["image"]
    batch = pickle.loads(pickle.dumps(strong)).read(images.ids[1:3])
    expected = jpeg(before[1], np.random.default_rng(0), quality=10)
    assert np.array_equal(batch.columns["image"][0], expected)
    assert list(batch.columns["label"]) == ["b", "c"]
    assert strong.column("label") == images.column("label")
    apart = [
        np.abs(p.read(images.ids).columns["image"][0].astype(int) - before[0]).mean()
        for p in (weak, strong)
    ]
    assert 0 < apart[0] < apart[1]
    assert strong.name == f"{images.name} after jpeg (quality 10)"


def test_content_tells_what_was_done(images: ArraySet) -> None:
    """Options, seed, order and field are part of what a sample consists of."""
    fog, low = applied("haze"), applied("jpeg", {"quality": 10})
    made = [[], [NOISE], [low], [NOISE, low], [low, NOISE], [low, low], [applied("jpeg")], [fog]]
    content = [digest for steps in made for digest in Perturbed(images, steps).content()]
    content += [*images.content(), *Perturbed(images, [NOISE], seed=1).content()]
    assert len(set(content)) == 5 * (len(made) + 2)
    assert Perturbed(images, [NOISE]).content() == Perturbed(images, [NOISE]).content()
    prompts, answers = (applied("letter_case", {"field": f}) for f in ("prompt", "hypothesis"))
    assert Perturbed(texts(), [prompts]).content() != Perturbed(texts(), [answers]).content()


@pytest.mark.parametrize("name", [n for n, s in all_perturbations().items() if s.kind == "image"])
def test_a_sample_is_perturbed_by_its_id(images: ArraySet, name: str) -> None:
    """Neither the batch nor the set around a sample changes what happens to it."""
    steps = [applied(name, {"severity": 4})]
    whole = Perturbed(images, steps).read(images.ids).columns["image"]
    alone = Perturbed(images, steps).read(("000003",)).columns["image"][0]
    within = Perturbed(Subset(images, ("000001", "000003")), steps)
    assert np.array_equal(whole[3], alone)
    assert np.array_equal(whole[3], within.read(("000003", "000001")).columns["image"][0])


def test_noise_differs_by_sample_seed_and_turn() -> None:
    """Two samples, two seeds, and the same noise put twice are drawn apart."""
    grey = ArraySet(np.full((2, 16, 16, 3), 128, np.uint8))

    def noise(steps: list[Applied], seed: int = 0) -> list[np.ndarray]:
        read = Perturbed(grey, steps, seed).read(grey.ids).columns["image"]
        return [image.astype(float) - 128 for image in read]

    first, other = noise([NOISE])
    (again, _), (twice, _) = noise([NOISE], seed=1), noise([NOISE, NOISE])
    for noises in ((first, other), (first, again), (first, twice - first)):
        assert abs(np.corrcoef(*(one.ravel() for one in noises))[0, 1]) < 0.2
    assert np.corrcoef(first.ravel(), twice.ravel())[0, 1] > 0.6  # the first turn is the same


def test_steps_are_put_in_turn(images: ArraySet) -> None:
    """A list of perturbations is the composition of its members, each drawn as it is alone."""
    both = Perturbed(images, [NOISE, applied("pixelate")])
    in_turn = Perturbed(Perturbed(images, [NOISE]), [applied("pixelate")])
    for one, other in zip(
        both.read(images.ids).columns["image"],
        in_turn.read(images.ids).columns["image"],
        strict=True,
    ):
        assert np.array_equal(one, other)


def test_texts_by_field() -> None:
    """A perturbation goes to the hypothesis, or to the field named; `written` follows."""
    upper = {"form": "upper", "rate": 1.0}
    answers = Perturbed(texts(), [applied("letter_case", upper)])
    assert answers.column("hypothesis") == ["蓝色是一种颜色。", "BLUE IS A COLOUR."]
    assert answers.column("written") == answers.column("hypothesis")
    assert answers.read(("b",)).columns["written"] == ["BLUE IS A COLOUR."]
    assert answers.column("prompt") == texts().column("prompt")
    asked = Perturbed(texts(), [applied("letter_case", {**upper, "field": "prompt"})])
    assert asked.column("prompt") == ["说出一种颜色。", "NAME A COLOUR."]
    assert asked.column("written") == texts().column("written")
    told = Perturbed(texts(), [applied("letter_case", {**upper, "field": "references"})])
    assert told.column("references") == [["红"], ["RED"]]


def test_prompts_and_latents_of_requests() -> None:
    """What is not written yet is perturbed where it is asked for; latents as arrays."""
    requests = RequestSet(2, 0, latent=(4, 3), prompts=["a cat", "a dog"])
    steps = [applied("template", {"form": "{text}, please"}), applied("latent_noise")]
    asked = Perturbed(requests, steps)
    assert asked.column("prompt") == ["a cat, please", "a dog, please"]
    before, after = (one.read(one.ids).columns["latent"][1] for one in (requests, asked))
    assert np.linalg.norm(after - before) == pytest.approx(0.2 * np.sqrt(12), rel=1e-5)
    assert np.array_equal(after, asked.column("latent")[1])
    assert (after.dtype, after.shape) == (np.float32, (4, 3))
    assert asked.column("seed") == requests.column("seed")


def test_latents_by_norm_and_factor(rng: np.random.Generator) -> None:
    """The step has the length asked for, in a direction of its own; scaling keeps the direction."""
    latent = rng.standard_normal(1000).astype(np.float32)
    steps = [applied("latent_noise", {"norm": 0.5})(latent, rng) - latent for _ in range(2)]
    for step in steps:
        assert np.linalg.norm(step) == pytest.approx(0.5 * np.sqrt(1000), rel=1e-5)
    assert abs(np.corrcoef(*steps)[0, 1]) < 0.2
    assert np.array_equal(applied("latent_scale", {"factor": 2.0})(latent, rng), 2 * latent)
    assert applied("latent_noise")(np.zeros(0, np.float32), rng).shape == (0,)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("jpg", {}, "unknown perturbation 'jpg'; did you mean 'jpeg'?"),
        ("jpeg", {"qualty": 3}, "unknown option 'qualty'; did you mean 'quality'?"),
        ("jpeg", {"quality": "50"}, "option quality = '50' does not fit"),
        ("jpeg", {"quality": 96}, "option quality = 96 must be at most 95"),
        ("homoglyphs", {"rate": -0.1}, "option rate = -0.1 must be at least 0"),
        ("jpeg", {"severity": 6}, "severity = 6 is not 1 to 5"),
        ("jpeg", {"severity": True}, "severity = True is not 1 to 5"),
        ("jpeg", {"field": 3}, "field = 3 is no name of a field"),
        ("template", {"severity": 1}, "template has no severities; set its options"),
    ],
)
def test_wrong_options(name: str, options: dict[str, object], told: str) -> None:
    """What cannot be meant is refused with the perturbation's name."""
    with pytest.raises(UsageError) as refused:
        applied(name, options)
    assert told in str(refused.value)


def test_wrong_fields(images: ArraySet) -> None:
    """A field must be there, and be of the perturbation's kind."""
    with pytest.raises(UsageError, match="unknown field 'latent'"):
        Perturbed(images, [applied("latent_noise")])
    with pytest.raises(UsageError, match=r"one of texts, and image of .* is of type image"):
        Perturbed(images, [applied("homoglyphs", {"field": "image"})])
    with pytest.raises(UsageError, match="is of type text"):
        Perturbed(texts(), [applied("homoglyphs", {"field": "written"})])


def test_severity_gives_what_is_not_set() -> None:
    """A severity stands for options; those set beside it win; the default is the third."""
    assert applied("motion_blur", {"severity": 1}).options == {
        "radius": 10, "sigma": 3.0, "angle": 45.0,
    }  # fmt: skip
    mixed = applied("motion_blur", {"severity": 5, "sigma": 1.0})
    assert mixed.options == {"radius": 20, "sigma": 1.0, "angle": 45.0}
    for name, spec in all_perturbations().items():
        if spec.severity:
            assert applied(name) == applied(name, {"severity": 3})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jpeg", applied("jpeg")),
        ("jpeg:quality=50", applied("jpeg", {"quality": 50})),
        ("resize:scale=5e-1", applied("resize", {"scale": 0.5})),
        ("resize:antialias=false", applied("resize", {"antialias": False})),
        ("haze:severity=2", applied("haze", {"severity": 2})),
        ("homoglyphs:rate=1, field=source", applied("homoglyphs", {"rate": 1, "field": "source"})),
        ("template:form=Well, {text}: so", applied("template", {"form": "Well, {text}: so"})),
    ],
)
def test_parsed(text: str, expected: Applied) -> None:
    """A perturbation as written on a command line; a comma within a value parts nothing."""
    assert parsed(text) == expected


@pytest.mark.parametrize("text", ["jpeg:50", "jpeg:", "jpeg:quality"])
def test_parsing_refuses(text: str) -> None:
    """What has no option and value is refused, an empty list of options taken as none."""
    if text == "jpeg:":
        assert parsed(text) == applied("jpeg")
    else:
        with pytest.raises(UsageError, match="write NAME:option=value"):
            parsed(text)


def test_registering_holds_to_the_rules() -> None:
    """Severities are five values of a declared option, the third its default; names are free."""

    def change(x: object, rng: object, *, rate: float = 0.3) -> object:
        return x

    def reserved(x: object, rng: object, *, severity: int = 3) -> object:
        return x

    for severity in ({"rat": (1, 2, 0.3, 4, 5)}, {"rate": (0.3,)}, {"rate": (1, 2, 3, 4, 5)}):
        with pytest.raises(ValueError, match="five values, the third its default"):
            perturbation("mine", "text", severity=severity)(change)
    with pytest.raises(ValueError, match="severity is set for every perturbation"):
        perturbation("mine", "text")(reserved)
    with pytest.raises(ValueError, match="registered by two modules"):
        perturbation("jpeg", "image")(change)
    assert find_perturbation("jpeg").change is jpeg


def test_a_plugin_adds_a_perturbation(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point of the group `geneval.perturbations` is loaded and found by its name."""
    known, registry = geneval.perturb.perturbation, dict(all_perturbations())

    def points(group: str) -> list[SimpleNamespace]:
        def shout(text: str, rng: object) -> str:
            return f"{text}!"

        register = perturbation("shout", "text")
        mine = SimpleNamespace(name="shout", load=lambda: register(shout), dist=None)
        return [mine] if group == "geneval.perturbations" else []

    with monkeypatch.context() as patched:
        patched.setattr(geneval.plugins, "entry_points", points)
        patched.setattr(known, "_registry", registry)
        for cache in (known._load_all, geneval.plugins.load_plugins):
            cache.cache_clear()
        assert applied("shout")("hello", np.random.default_rng(0)) == "hello!"
    for cache in (known._load_all, geneval.plugins.load_plugins):
        cache.cache_clear()
    assert "shout" not in all_perturbations()
