"""PSNR, SSIM, MS-SSIM and LPIPS: closed forms, problems, and whole runs on folders of pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from geneval.data import Features
from geneval.errors import ExitCode, SampleError, UsageError
from geneval.evaluator import open_job
from geneval.extractors.extractor import build_extractor
from geneval.ledger import Ledger
from geneval.metric import find_metric
from geneval.resample import Context
from geneval.run import Outcome, execute
from geneval.samples.sampleset import Batch
from geneval.suite import load_suite
from geneval.value import Estimate, Role

Images = NDArray[np.uint8]
Run = Callable[..., Outcome]
LAYERS = {"psnr": "mse", "ssim": "ssim", "ms_ssim": "ms_ssim"}


def noise(n: int, side: int = 24, seed: int = 0) -> Images:
    """Images [n, side, side, 3] with values in 40..200."""
    shape = (n, side, side, 3)
    return np.random.default_rng(seed).integers(40, 200, shape).astype(np.uint8)


def measured(name: str, image: Images, target: Images, **options: Any) -> Estimate:
    """What a metric says of pairs, through its extractor."""
    built = build_extractor("pairwise", {}, "cpu", None)
    batch = Batch.of(image=image, target=target)
    pairs = Features(batch.ids, built(batch, (LAYERS[name],))[LAYERS[name]])
    spec = find_metric(name)
    (found,) = spec.measure({"pairs": pairs}, Context(), spec.check_options(options))
    return found


@pytest.mark.parametrize("offset", [1, 3, 10, 40])
def test_psnr_of_an_offset_is_its_closed_form(offset: int) -> None:
    """20 · log10(255 / offset), from MSE = (offset / 255)²."""
    target = noise(3)
    found = measured("psnr", target + np.uint8(offset), target)
    assert found.number == pytest.approx(20 * np.log10(255 / offset), rel=1e-6)
    assert found.interval is None
    assert found.no_interval == "no sample differs from the others"


def test_psnr_is_the_mean_of_the_samples() -> None:
    """Offsets of 1 and 10 give (48.131 + 28.131) / 2, not the ratio of the pooled error, 31.1."""
    target = noise(2)
    image = target + np.array([1, 10], dtype=np.uint8).reshape(2, 1, 1, 1)
    found = measured("psnr", image, target)
    expected = np.array([20 * np.log10(255), 20 * np.log10(25.5)])
    assert found.number == pytest.approx(expected.mean(), rel=1e-6)
    assert found.evidence[Role.GENERATED].rows == pytest.approx(expected, rel=1e-6)
    assert found.interval is not None  # z · s / √n with s = 20/√2, since the two lie 20 dB apart
    half = 1.959964 * (20 / np.sqrt(2)) / np.sqrt(2)
    assert found.interval.high - found.number == pytest.approx(half, rel=1e-5)
    assert (found.interval.target, found.finding) == ("population", "")
    (gallery,) = found.galleries
    assert (gallery.ids, gallery.captions) == (("000001", "000000"), ("28.13", "48.13"))


def test_equal_images_count_as_the_cap() -> None:
    """One of two equals its reference: it counts 100 dB, or what `cap` says, which is told."""
    target = noise(2)
    image = target + np.array([0, 1], dtype=np.uint8).reshape(2, 1, 1, 1)
    one = 20 * np.log10(255)
    found = measured("psnr", image, target)
    assert found.number == pytest.approx((100 + one) / 2, rel=1e-6)
    assert found.finding == "1 of 2 samples equal their reference; 1 count as 100 dB"
    lower = measured("psnr", image, target, cap=40.0)
    assert lower.number == 40
    assert lower.finding == "1 of 2 samples equal their reference; 2 count as 40 dB"


def test_the_worst_psnr_is_0() -> None:
    """Black for white is an error of 1, and −10 · log10(1) is 0."""
    black = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    assert measured("psnr", black, black + np.uint8(255)).number == 0


@pytest.mark.parametrize(("name", "side"), [("ssim", 24), ("ms_ssim", 176)])
def test_similarity_is_1_of_equal_images_and_falls_with_noise(name: str, side: int) -> None:
    """From 1 downwards, never past the ends of the range; the worst sample is shown first."""
    target = np.repeat(noise(1, side), 3, axis=0)
    assert measured(name, target, target).number == pytest.approx(1, abs=1e-6)
    grain = np.random.default_rng(1).normal(0, 1, target.shape)
    strength = np.array([5, 60, 20]).reshape(3, 1, 1, 1)
    found = measured(name, (target + strength * grain).clip(0, 255).astype(np.uint8), target)
    scores = found.evidence[Role.GENERATED].rows
    assert 1 > scores[0] > scores[2] > scores[1]
    assert found.galleries[0].ids == ("000001", "000002", "000000")


def test_similarity_may_be_negative_over_one_scale_only() -> None:
    """A negative of noise has SSIM below 0, and MS-SSIM 0: a negative term counts as 0."""
    target = noise(2, 176)
    assert -1 <= (measured("ssim", 240 - target, target).number or 0) < 0
    assert measured("ms_ssim", 240 - target, target).number == 0


def test_lpips_shows_the_largest_distance_first() -> None:
    """Lower is better: the sample with distance 0.5 is the worst of three."""
    rows = np.array(
        [[0.1, 31, 40, 40, 40, 40], [0.5, 31, 40, 40, 40, 40], [0.3, 31, 40, 40, 40, 40]]
    )
    spec = find_metric("lpips")
    inputs = {"pairs": Features(("a", "b", "c"), rows)}
    (found,) = spec.measure(inputs, Context(), spec.check_options({}))
    assert found.number == pytest.approx(0.3)
    assert found.galleries[0].ids == ("b", "c", "a")


def test_lpips_chooses_its_extractor() -> None:
    """`net` names the backbone, and no other name will do."""
    spec = find_metric("lpips")
    for net in ("alex", "vgg"):
        (need,) = spec.needs(spec.check_options({"net": net})).values()
        assert need.extractor == f"lpips-{net}"
    with pytest.raises(UsageError, match="net = 'squeeze'"):
        spec.check_options({"net": "squeeze"})


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_unequal_sizes_are_a_problem_with_both_sizes(name: str) -> None:
    """The first such sample is named with its size and its reference's, width first."""
    built = build_extractor("pairwise", {}, "cpu", None)
    parts = []
    for height, width in ((200, 200), (180, 210), (200, 200)):
        batch = Batch.of(image=noise(1, 200)[:, :height], target=np.zeros((1, 200, width, 3)))
        parts.append(built(batch, (LAYERS[name],))[LAYERS[name]])
    spec = find_metric(name)
    pairs = Features(("a", "b", "c"), np.concatenate(parts))
    (found,) = spec.measure({"pairs": pairs}, Context(), spec.check_options({}))
    assert found.problem is not None
    assert "b is 200 x 180 pixels and its reference 210 x 200 (1 of 3 samples" in found.problem


@pytest.mark.parametrize(("name", "least"), [("ssim", 6), ("ms_ssim", 176)])
def test_small_images_are_a_problem_with_the_least_side(name: str, least: int) -> None:
    """The sentence says which image, how large it is, and what would do."""
    small = noise(2, least - 1)
    found = measured(name, small, small)
    assert found.problem is not None
    assert f"000000 is {least - 1} x {least - 1} pixels" in found.problem
    assert f"{name} needs sides of at least {least} (2 of 2" in found.problem
    enough = noise(2, least)
    assert measured(name, enough, enough).number == pytest.approx(1, abs=1e-6)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Ten images with noise and their originals, with equal file names in two folders."""
    target = noise(10)
    grain = np.random.default_rng(2).normal(0, 6, target.shape)
    made = (target + grain).clip(0, 255).astype(np.uint8)
    for name, images in (("made", made), ("true", target)):
        (tmp_path / name / "sub").mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / "sub" / f"{i:02d}.png")
    return tmp_path / "made", tmp_path / "true"


@pytest.fixture
def run(ledger: Ledger, folders: tuple[Path, Path]) -> Run:
    """Runs metrics on the two folders, with settings, or on a part of them."""

    def build(metrics: str = "psnr,ssim", *settings: str, limit: int | None = None) -> Outcome:
        suite = load_suite(metrics, settings)
        made, true = folders
        return execute(open_job(suite, ledger, samples=made, reference=true, limit=limit))

    return build


def expected_psnr(folders: tuple[Path, Path], ids: list[int]) -> float:
    """The mean ratio of files, written out."""
    ratios = []
    for i in ids:
        pair = [np.asarray(Image.open(f / "sub" / f"{i:02d}.png")) / 255 for f in folders]
        ratios.append(-10 * np.log10(((pair[0] - pair[1]) ** 2).mean()))
    return float(np.mean(ratios))


def test_a_suite_needs_the_names_only(run: Run, folders: tuple[Path, Path]) -> None:
    """`psnr,ssim` on two folders; the signature says what was compared with what."""
    outcome = run()
    assert outcome.exit_code == ExitCode.PASSED
    result = outcome.result
    assert result["psnr"].number == pytest.approx(expected_psnr(folders, [*range(10)]), rel=1e-6)
    assert result["ssim"].n == {Role.GENERATED: 10}
    signature = dict(result["psnr"].signature.fields)
    assert (signature["ext"], signature["layer"], signature["cap"]) == ("pairwise", "mse", 100.0)
    assert signature["target"] == result.document.sets[Role.REFERENCE].fingerprint
    assert {m.chapter for m in result.document.metrics} == {"paired"}


def test_a_second_run_recalls_and_a_changed_reference_does_not(
    run: Run, folders: tuple[Path, Path]
) -> None:
    """The same again is recalled; one other reference image changes number and signature."""
    first, again = run().result, run().result
    assert set(again.document.timing["recalled"]) == {"psnr", "ssim"}
    assert again["psnr"].number == first["psnr"].number
    Image.fromarray(noise(1, seed=5)[0]).save(folders[1] / "sub" / "04.png")
    changed = run().result
    assert changed.document.timing["recalled"] == []
    assert changed["psnr"].number == pytest.approx(expected_psnr(folders, [*range(10)]), rel=1e-6)
    assert abs((changed["psnr"].number or 0) - (first["psnr"].number or 0)) > 1
    assert changed["psnr"].signature != first["psnr"].signature


def test_a_reference_image_beyond_its_limit_counts_too(
    run: Run, folders: tuple[Path, Path]
) -> None:
    """`reference: n:` is for distributions: pairs are looked up in the whole set, and change."""
    part = ("reference.n=2", f"reference.path={folders[1]}")
    first = run("psnr", *part).result
    assert first["psnr"].number == pytest.approx(expected_psnr(folders, [*range(10)]), rel=1e-6)
    for i in range(10):  # two of these are in the part, and eight are not
        kept = (folders[1] / "sub" / f"{i:02d}.png").read_bytes()
        Image.fromarray(noise(1, seed=6)[0]).save(folders[1] / "sub" / f"{i:02d}.png")
        changed = run("psnr", *part).result
        assert abs((changed["psnr"].number or 0) - (first["psnr"].number or 0)) > 1
        assert changed["psnr"].signature != first["psnr"].signature
        (folders[1] / "sub" / f"{i:02d}.png").write_bytes(kept)


def test_a_missing_partner_is_refused_by_the_plan(run: Run, folders: tuple[Path, Path]) -> None:
    """Exit code 2 before any work, naming the id that has no reference."""
    (folders[1] / "sub" / "07.png").unlink()
    with pytest.raises(UsageError, match=r"psnr compares .* none for 'sub/07' \(1 such") as told:
        run()
    assert told.value.exit_code == ExitCode.USAGE


def test_a_size_that_differs_fails_these_metrics_alone(
    run: Run, folders: tuple[Path, Path]
) -> None:
    """The run goes on, names the sample, and ends with 3; another metric has its number."""
    Image.fromarray(noise(1, 20)[0]).save(folders[1] / "sub" / "03.png")
    outcome = run("psnr,ssim,cmmd", "extractor=pixels")
    assert outcome.exit_code == ExitCode.ERROR
    for name in ("psnr", "ssim"):
        told = str(outcome.result[name].problem)
        assert "sub/03 is 24 x 24 pixels and its reference 20 x 20 (1 of 10" in told
    assert outcome.result["cmmd"].number is not None


def test_a_broken_partner_is_a_bad_sample(run: Run, folders: tuple[Path, Path]) -> None:
    """It stops the run with the sample's name, or leaves the pair out where the suite says so."""
    (folders[1] / "sub" / "03.png").write_bytes(b"no image")
    with pytest.raises(SampleError, match=r"03\.png its target"):
        run()
    result = run("psnr", "on_bad_sample=skip").result
    rest = [i for i in range(10) if i != 3]
    assert result["psnr"].number == pytest.approx(expected_psnr(folders, rest), rel=1e-6)
