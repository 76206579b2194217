"""Rankings by preferences: known answers, closed forms, coverage, and what is undefined."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import minimize

from geneval.errors import GenevalError, SampleError, UsageError
from geneval.judgements import alpha, bradley_terry, read_judgements
from geneval.metric import Undefined
from geneval.preferences import Ranking, Standing, rank, to_json
from geneval.reports.preferences import render

Record = dict[str, Any]
FEW = 100  # resamples where the interval itself is not in question


def votes(a: str, b: str, winners: str, **more: Any) -> list[Record]:
    """Comparisons of two systems: `a`, `b` or `t` for each winner."""
    full = {"a": a, "b": b, "t": "tie"}
    return [{"a": a, "b": b, "winner": full[one], **more} for one in winners]


def of(ranking: Ranking) -> dict[str, Standing]:
    """The standings by system."""
    return {one.system: one for one in ranking.standings}


def simulated(rng: np.random.Generator, theta: NDArray[np.float64], n: int) -> list[Record]:
    """n comparisons of random pairs under the Bradley–Terry model."""
    a = rng.integers(0, len(theta), n)
    b = (a + rng.integers(1, len(theta), n)) % len(theta)
    won = rng.random(n) < 1 / (1 + np.exp(theta[b] - theta[a]))
    return [
        {"a": f"s{i}", "b": f"s{j}", "winner": "a" if one else "b"}
        for i, j, one in zip(a, b, won, strict=True)
    ]


def test_elo_of_the_documented_example() -> None:
    """evalica's README: pizza, burger and sushi, with the K of 30 that it had then."""
    records = [
        {"a": "pizza", "b": "burger", "winner": "a"},
        {"a": "burger", "b": "sushi", "winner": "sushi"},
        {"a": "pizza", "b": "sushi", "winner": "tie"},
    ]
    found = of(rank(records, k=30, resamples=FEW))
    expected = {"pizza": 1014.972058, "burger": 970.647200, "sushi": 1014.380742}
    for system, rating in expected.items():
        assert found[system].elo.number == pytest.approx(rating, abs=1e-6)


def test_elo_by_hand() -> None:
    """Expected scores 1/(1 + 10^(−d/400)): ½ first, then what 15 points of lead are worth."""
    found = of(rank(votes("x", "y", "ab"), k=30, resamples=FEW))
    expected = 1 / (1 + 10 ** (-30 / 400))
    assert found["x"].elo.number == pytest.approx(1015 - 30 * expected, abs=1e-9)
    turned = of(rank(votes("x", "y", "ba"), k=30, resamples=FEW))
    assert turned["x"].elo.number == pytest.approx(985 + 30 * expected, abs=1e-9)


@pytest.mark.parametrize(("winners", "odds"), [("aaab", 3), ("aattb", 3 / 2), ("tt", 1)])
def test_strengths_of_two_systems(winners: str, odds: float) -> None:
    """The closed form: the log-odds of the wins, ties half, on both sides of 0."""
    found = of(rank(votes("x", "y", winners), resamples=FEW))
    assert found["x"].strength.number == pytest.approx(np.log(odds) / 2, abs=1e-8)
    assert found["y"].strength.number == pytest.approx(-np.log(odds) / 2, abs=1e-8)


@settings(max_examples=30, deadline=None)
@given(arrays(np.int64, (4, 4), elements=st.integers(1, 40)))
def test_strengths_solve_the_likelihood_equations(wins: NDArray[np.int64]) -> None:
    """Expected wins under the strengths are the wins that were (Ford 1957); the mean is 0."""
    np.fill_diagonal(wins, 0)
    theta = bradley_terry(wins.astype(float), "wxyz")
    share = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
    np.testing.assert_allclose(((wins + wins.T) * share).sum(1), wins.sum(1), rtol=1e-6)
    assert abs(theta.mean()) < 1e-12


def test_strengths_are_those_of_a_general_optimiser(rng: np.random.Generator) -> None:
    """scipy's BFGS on the negative log-likelihood ends at the same strengths."""
    theta = np.array([0.9, 0.1, -0.2, -0.8])
    wins = read_judgements(simulated(rng, theta, 400)).wins()

    def loss(x: NDArray[np.float64]) -> float:
        return float((wins * np.log1p(np.exp(x[None, :] - x[:, None]))).sum())

    peer = minimize(loss, np.zeros(4), options={"gtol": 1e-7}).x
    ours = bradley_terry(wins, "wxyz")
    np.testing.assert_allclose(ours, peer - peer.mean(), atol=1e-6)


def test_intervals_of_strengths_cover(rng: np.random.Generator) -> None:
    """In 40 simulations of 80 comparisons, 95 % intervals hold the truth as often as they say.

    A simulation is one observation, the share of its four intervals that do; the limit is three
    standard errors of their mean.
    """
    theta = np.array([0.6, 0.2, -0.3, -0.5])
    shares = []
    for _ in range(40):
        found = of(rank(simulated(rng, theta, 80), resamples=FEW))
        told = [found[f"s{i}"].strength.interval for i in range(4)]
        low, high = (np.array([getattr(one, end) for one in told]) for end in ("low", "high"))
        shares.append(np.mean((low <= theta) & (theta <= high)))
    error = np.std(shares, ddof=1) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - 0.95) < 3 * error < 0.07


def test_items_are_resampled_whole(rng: np.random.Generator) -> None:
    """Three raters who always agree are no more than one: intervals stay as they are."""
    records = [
        one | {"item": f"{i:03d}"}
        for i, one in enumerate(simulated(rng, np.array([0.4, 0.0, -0.4]), 60))
    ]
    alone = rank(records, resamples=FEW)
    tripled = rank([one for one in records for _ in range(3)], resamples=FEW)
    for one, other in zip(alone.standings, tripled.standings, strict=True):
        assert one.strength.number == pytest.approx(other.strength.number, abs=1e-8)
        assert one.strength.interval and other.strength.interval
        assert one.strength.interval.low == pytest.approx(other.strength.interval.low, abs=1e-8)
        assert one.strength.interval.high == pytest.approx(other.strength.interval.high, abs=1e-8)
    apart = [{key: one[key] for key in ("a", "b", "winner")} for one in records for _ in range(3)]
    narrow = rank(apart, resamples=FEW).standings[0].strength.interval
    wide = alone.standings[0].strength.interval
    assert narrow and wide
    assert narrow.high - narrow.low < 0.75 * (wide.high - wide.low)


def test_differences_share_their_resamples(rng: np.random.Generator) -> None:
    """Of two systems, strengths ±θ of the same resample differ by 2θ: so do the intervals."""
    found = rank(votes("x", "y", "aab" * 10), resamples=FEW)
    (difference,) = found.differences
    one, twice = of(found)["x"].strength.interval, difference.difference.interval
    assert one and twice
    assert (twice.low, twice.high) == pytest.approx((2 * one.low, 2 * one.high))


def test_ranks_with_ties() -> None:
    """x is above both others, which are not told apart; a rank counts those that are above."""
    records = votes("x", "y", "aaat" * 15 + "b") + votes("x", "z", "aaat" * 15 + "b")
    records += votes("y", "z", "ab" * 15)
    found = of(rank(records))
    assert {system: one.rank for system, one in found.items()} == {"x": 1, "y": 2, "z": 2}
    assert (found["x"].tied, found["y"].tied, found["z"].tied) == ((), ("z",), ("y",))
    assert (found["x"].games, found["x"].wins, found["x"].ties, found["x"].losses) == (
        122,
        90,
        30,
        2,
    )


def test_win_rates_count_ties_half() -> None:
    """Seven wins and two ties of ten: 0.8, and Wilson's interval of 8 of 10, [0.490, 0.943]."""
    found = of(rank(votes("x", "y", "aaaaaaattb"), resamples=FEW))["x"].win_rate
    assert found.number == pytest.approx(0.8)
    assert found.interval
    assert (found.interval.low, found.interval.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert found.interval.method == "wilson"


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        (
            votes("a1", "b1", "ab") + votes("c1", "d1", "ab"),
            "no comparison connects a1, b1 with c1, d1",
        ),
        (
            votes("x", "y", "aa") + votes("y", "z", "ab"),
            "x never lost or tied against y, z, so that the strength has no bound",
        ),
        (
            votes("x", "y", "ab") + votes("y", "z", "aaa"),
            "x, y never lost or tied against z, so that the strength has no bound",
        ),
    ],
)
def test_strengths_that_have_no_bound(records: list[Record], sentence: str) -> None:
    """The systems are named, there are no ranks, the rest is there, and nothing is infinite."""
    found = rank(records, resamples=FEW)
    for one in found.standings:
        assert (one.strength.problem, one.rank) == (sentence, None)
        assert one.elo.number is not None
    assert found.differences == ()
    assert "Infinity" not in json.dumps(to_json(found))
    assert f"strength: {sentence}" in render(found)


def test_intervals_that_cannot_be_had() -> None:
    """One loss in twenty: a third of the resamples have none, so there is no interval and a tie."""
    found = of(rank(votes("x", "y", "a" * 19 + "b")))["x"]
    assert found.strength.number == pytest.approx(np.log(19) / 2, abs=1e-8)
    assert found.strength.interval is None
    assert found.strength.no_interval == "undefined in 36% of the resamples: too few records"
    assert (found.rank, found.tied) == (1, ("y",))
    alone = rank(votes("x", "y", "ab", item=1), resamples=FEW).standings[0]
    assert alone.elo.no_interval == "there is one item alone to resample"


def test_alpha_of_the_documented_examples() -> None:
    """krippendorff's docstring: 0.691358 for its 15 units of 4 values."""
    counts = np.zeros((15, 4), dtype=np.int64)
    for unit, value, n in [
        *[(0, 0, 1), (2, 1, 2), (3, 0, 2), (4, 2, 2), (5, 2, 2), (5, 3, 1), (6, 3, 3), (7, 0, 1)],
        *[(7, 2, 1), (8, 1, 2), (9, 0, 2), (10, 0, 2), (11, 2, 2), (12, 2, 2), (14, 2, 1)],
        (14, 3, 1),
    ]:
        counts[unit, value] = n
    assert alpha(counts) == pytest.approx(0.691358, abs=1e-6)


def test_agreement_by_hand() -> None:
    """Two raters agree on three of four items, one as a tie, whichever side a system stood on.

    Of eight values three are x, three y, two ties: D_o = 2/8, D_e = 1 − (6 + 6 + 2)/56, so that
    α = 1 − 0.25/0.75.
    """
    first = [*votes("x", "y", "a", item=1), *votes("x", "y", "a", item=2)]
    first += [*votes("y", "x", "a", item=3), *votes("x", "y", "t", item=4)]
    second = [*votes("y", "x", "b", item=1), *votes("x", "y", "b", item=2)]
    second += [*votes("x", "y", "b", item=3), *votes("y", "x", "t", item=4)]
    records = [one | {"rater": "r"} for one in first] + [one | {"rater": "s"} for one in second]
    found = rank(records, resamples=FEW).agreement
    assert found
    assert found.number == pytest.approx(1 - 0.25 / 0.75)
    values = [[0, 0, 2, 1], [0, 2, 2, 1]]
    peer = krippendorff.alpha(reliability_data=values, level_of_measurement="nominal")
    assert found.number == pytest.approx(float(peer))


def test_the_interval_of_agreement(rng: np.random.Generator) -> None:
    """Raters who copy the truth three times in four: α and its interval lie where they should.

    Both name the truth with probability 3/4 and else any of three values: P(agree) is
    (5/6)² + 2 (1/12)² = 0.7083, chance 1/3 for values that are equally frequent, so α is 0.5625.
    """
    records = []
    for item in range(200):
        truth = rng.integers(0, 3)
        for rater in "rs":
            value = truth if rng.random() < 0.75 else rng.integers(0, 3)
            records += votes("x", "y", "atb"[value], item=item, rater=rater)
    found = rank(records, resamples=FEW).agreement
    assert found and found.interval
    assert found.interval.low < 0.5625 < found.interval.high
    assert 0.1 < found.interval.high - found.interval.low < 0.25


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        (votes("x", "y", "ab", rater="r"), "agreement needs the columns item and rater"),
        (
            votes("x", "y", "ab", item=1, rater="r"),
            "a rater judged the same systems twice on one item; keep one judgement",
        ),
        (
            votes("x", "y", "a", item=1, rater="r") + votes("x", "y", "b", item=2, rater="s"),
            "no item was judged by two raters on the same systems",
        ),
        (
            votes("x", "y", "t", item=1, rater="r") + votes("x", "y", "t", item=1, rater="s"),
            "the raters never differed from one and the same answer",
        ),
    ],
)
def test_agreement_that_is_undefined(records: list[Record], sentence: str) -> None:
    """The sentence says why; without raters there is nothing to say."""
    found = rank(records, resamples=FEW)
    assert found.agreement
    assert found.agreement.problem == sentence
    assert rank(votes("x", "y", "ab", item=1), resamples=FEW).agreement is None


def test_winners_in_every_spelling(tmp_path: Path) -> None:
    """A side, a system, the column of a side and both ties; from jsonl and csv alike."""
    winners = ["model_a", "b", "x", "tie", "tie (bothbad)"]
    records = [{"model_a": "x", "model_b": "y", "winner": one} for one in winners]
    fields = {"a": "model_a", "b": "model_b"}
    jsonl, csv = tmp_path / "v.jsonl", tmp_path / "v.csv"
    jsonl.write_text("".join(json.dumps(one) + "\n" for one in records))
    csv.write_text("model_a,model_b,winner\n" + "".join(f"x,y,{one}\n" for one in winners))
    for given_ in (records, jsonl, str(csv)):
        found = of(rank(given_, fields=fields, resamples=FEW))["x"]
        assert (found.wins, found.ties, found.losses) == (2, 2, 1)


@pytest.mark.parametrize(
    ("records", "error", "sentence"),
    [
        ([], UsageError, "the preferences has no column a; it has none"),
        ([{"a": "x", "b": "y"}], UsageError, r"has no column winner; .*--field winner=COLUMN"),
        ([*votes("x", "y", "a"), {"a": "x", "b": "y"}], SampleError, r"\[1\]: the record has no"),
        (votes("x", "x", "a"), SampleError, r"\[0\]: 'x' is compared with itself"),
        (
            [{"a": "x", "b": "y", "winner": "z"}],
            SampleError,
            r"\[0\]: winner 'z' is none of a, b, tie, 'x' and 'y'",
        ),
        (
            [{"a": "b", "b": "y", "winner": "b"}],
            SampleError,
            r"\[0\]: winner 'b' could mean either",
        ),
    ],
)
def test_records_that_cannot_be_meant(
    records: list[Record], error: type[GenevalError], sentence: str
) -> None:
    """Each is one error that names the record."""
    with pytest.raises(error, match=sentence):
        rank(records)


def test_the_same_seed_gives_the_same_intervals() -> None:
    """Resamples follow from the seed alone."""
    records = votes("x", "y", "aab" * 10)
    first = to_json(rank(records, resamples=FEW))
    assert first == to_json(rank(records, resamples=FEW))
    assert first != to_json(rank(records, resamples=FEW, seed=1))


def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "evalica", None)
    with pytest.raises(UsageError, match=r"pip install 'geneval\[human\]'"):
        rank(votes("x", "y", "ab"))


@pytest.mark.parametrize("option", [{"k": 0}, {"resamples": 99}, {"level": 1.0}], ids=str)
def test_options_out_of_range(option: dict[str, Any]) -> None:
    """One sentence says what they may be."""
    with pytest.raises(UsageError, match="k must be above 0, resamples 100 or more, level between"):
        rank(votes("x", "y", "ab"), **option)


def test_strengths_that_are_undefined_raise() -> None:
    """The pure function raises what a metric does."""
    with pytest.raises(Undefined, match="x never lost or tied against y"):
        bradley_terry(np.array([[0.0, 2.0], [0.0, 0.0]]), "xy")
