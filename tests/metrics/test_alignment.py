"""CLIP score, R-precision and directional similarity against the formulas, written as loops."""

from __future__ import annotations

import numpy as np
import pytest

from geneval.data import Features, Fields
from geneval.metric import Undefined
from geneval.metrics.alignment.clip_score import clip_score
from geneval.metrics.alignment.directional_similarity import directional_similarity
from geneval.metrics.alignment.r_precision import r_precision
from geneval.resample import Context, clustered_error
from geneval.value import Role

N = 60


def ids(n: int = N) -> tuple[str, ...]:
    """Row numbers."""
    return tuple(f"{i:04d}" for i in range(n))


def prompts(*texts: str) -> Fields:
    """Prompts of the samples."""
    return Fields(ids(len(texts)), {"prompt": texts})


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The cosine of two vectors."""
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.fixture
def embedded(rng: np.random.Generator) -> tuple[Features, Features, Fields]:
    """Images somewhat near their prompts."""
    text = rng.normal(size=(N, 6))
    image = text + 1.5 * rng.normal(size=(N, 6))
    named = prompts(*(f"p{i}" for i in range(N)))
    return Features(ids(), image), Features(ids(), text), named


def test_clip_score_in_both_scalings(embedded: tuple[Features, Features, Fields]) -> None:
    """100 · cos and 2.5 · max(cos, 0), each the mean over samples (Hessel et al. 2021, eq. 1)."""
    image, text, asked = embedded
    each = [cosine(a, b) for a, b in zip(image.x, text.x, strict=True)]
    plain, hessel = clip_score(image, text, asked, Context())
    assert min(each) < 0  # so that the two differ by more than a factor
    assert plain.number == pytest.approx(100 * np.mean(each), rel=1e-12)
    assert hessel.number == pytest.approx(2.5 * np.maximum(each, 0).mean(), rel=1e-12)
    np.testing.assert_allclose(plain.evidence[Role.GENERATED].rows, 100 * np.array(each))
    assert plain.galleries[0].ids[0] == ids()[int(np.argmin(each))]


def test_the_interval_covers_the_mean_over_prompts() -> None:
    """With four images a prompt, intervals that take them as one cluster cover in 95 % of runs."""
    rng, inside = np.random.default_rng(0), 0
    asked = prompts(*(f"p{i // 4}" for i in range(200)))
    text = np.tile([1.0, 0.0], (200, 1))
    truth = 100 * np.cos(0.5) * np.exp(-0.5 * (0.2**2 + 0.1**2))  # E cos of a normal angle
    for _ in range(400):
        angle = 0.5 + np.repeat(rng.normal(0, 0.2, 50), 4) + rng.normal(0, 0.1, 200)
        image = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        found, _ = clip_score(Features(ids(200), image), Features(ids(200), text), asked, Context())
        assert found.interval is not None
        inside += found.interval.low <= truth <= found.interval.high
    assert 0.91 <= inside / 400 <= 0.98


def test_clusters_of_one_give_the_usual_error(rng: np.random.Generator) -> None:
    """Without shared prompts it is s/√n; with one cluster there is none; pairs of twins are √2."""
    scores = rng.normal(size=50)
    usual = scores.std(ddof=1) / np.sqrt(50)
    assert clustered_error(scores, range(50)) == pytest.approx(usual)
    assert clustered_error(scores, ["same"] * 50) is None
    twins = clustered_error(np.repeat(scores, 2), np.repeat(np.arange(50), 2).tolist())
    assert twins == pytest.approx(usual)


def test_r_precision_counts_first_places(embedded: tuple[Features, Features, Fields]) -> None:
    """With all other prompts as distractors: the share of rows whose own cosine is largest."""
    image, text, asked = embedded
    (found,) = r_precision(image, text, asked, Context(), distractors=N - 1)
    table = np.array([[cosine(a, b) for b in text.x] for a in image.x])
    hits = table.argmax(axis=1) == np.arange(N)
    assert 0 < hits.mean() < 1
    assert found.number == hits.mean()
    assert np.array_equal(found.evidence[Role.GENERATED].rows, hits)


def test_fewer_distractors_are_easier(embedded: tuple[Features, Features, Fields]) -> None:
    """Chance is 1 / (distractors + 1), and the draw follows the seed alone."""
    image, text, asked = embedded
    shares = [
        r_precision(image, text, asked, Context(), distractors=k)[0].number for k in (1, 9, 59)
    ]
    assert shares == sorted(shares, reverse=True)  # type: ignore[type-var]
    again, other = (
        r_precision(image, text, asked, Context(7), distractors=9, seed=s)[0] for s in (0, 1)
    )
    assert again.number == shares[1]
    assert not np.array_equal(
        again.evidence[Role.GENERATED].rows, other.evidence[Role.GENERATED].rows
    )


def test_r_precision_of_equal_prompts(embedded: tuple[Features, Features, Fields]) -> None:
    """A prompt that several samples share is no distractor for them; too few prompts are named."""
    image, text, _ = embedded
    rows = np.arange(N) // 2
    shared = prompts(*(f"p{row}" for row in rows))
    twins = Features(ids(), text.x[2 * rows])
    own = Features(ids(), twins.x)
    (found,) = r_precision(own, twins, shared, Context(), distractors=29)
    assert found.number == 1.0
    with pytest.raises(Undefined, match="30 different prompts are too few for 30 distractors"):
        r_precision(image, twins, shared, Context(), distractors=30)


def test_ties_are_misses() -> None:
    """An image as near to another prompt as to its own does not count."""
    x = Features(ids(4), np.ones((4, 3)))
    (found,) = r_precision(x, x, prompts("a", "b", "c", "d"), Context(), distractors=3)
    assert found.number == 0.0


def test_directional_similarity(rng: np.random.Generator) -> None:
    """Cosine of the two differences of unit vectors (Gal et al. 2021, eq. 3); no move scores 0."""
    a, b, c, d = rng.normal(size=(4, N, 5))
    a[0] = 3 * b[0]
    parts = [Features(ids(), x) for x in (a, b, c, d)]
    along, kept = directional_similarity(
        parts[0], parts[1], parts[2], parts[3], prompts(*map(str, range(N))), Context()
    )
    u, v, s, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b, c, d))
    expected = [0.0] + [cosine(u[i] - v[i], s[i] - t[i]) for i in range(1, N)]
    np.testing.assert_allclose(along.evidence[Role.GENERATED].rows, expected, atol=1e-9)
    assert along.number == pytest.approx(np.mean(expected))
    assert kept.number == pytest.approx(np.mean([cosine(x, y) for x, y in zip(a, b, strict=True)]))
