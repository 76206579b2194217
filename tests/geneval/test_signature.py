"""Signatures: what must agree before two values may be compared."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geneval.signature import Scalar, Signature, canonical, digest

QUICK = settings(max_examples=200, deadline=None, database=None, derandomize=True)
FIELDS: tuple[tuple[str, Scalar], ...] = (
    ("metric", "fid"),
    ("ext", "inception-v3"),
    ("weights", "6726825d" + "0" * 56),
    ("layer", "pool3"),
    ("resize", "tf1"),
    ("prec", "fp32"),
    ("ddof", 1),
    ("n", 5000),
    ("ref", "9f3a" + "0" * 60),
    ("v", 1),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)


def changed(name: str, value: Scalar, *, exact_n: bool = False) -> Signature:
    """The example signature with one field replaced or added."""
    return Signature(tuple({**dict(FIELDS), name: value}.items()), exact_n)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, [1.0, math.nan], {"a": math.inf}])
def test_canonical_refuses_what_json_has_not(bad: object) -> None:
    """NaN and infinity have no JSON and no digest."""
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(bad)


def test_canonical_bytes() -> None:
    """Keys are sorted, nothing is spaced, text stays UTF-8."""
    assert canonical({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'.encode()


@QUICK
@given(st.dictionaries(st.text(max_size=6), scalars, max_size=6), st.randoms())
def test_digest_is_independent_of_field_order(fields: dict[str, Scalar], random: object) -> None:
    """Shuffled fields have the same digest and no differences."""
    items = list(fields.items())
    shuffled = items.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = Signature(tuple(items)), Signature(tuple(shuffled))
    assert one.digest == other.digest
    assert one.differences(other) == ()


def test_digest_is_a_sha256() -> None:
    """The digest of the empty content is that of the two bytes `{}`."""
    # printf '{}' | sha256sum
    expected = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert digest({}) == expected


def test_printed_line() -> None:
    """The line is sacrebleu's way: extractor, short weights and layer together, in order."""
    expected = (
        "fid|ext:inception-v3@6726825d/pool3|resize:tf1|prec:fp32|ddof:1|n:5000|ref:9f3a0000|v:1"
    )
    assert Signature(FIELDS).line() == expected


@pytest.mark.parametrize(
    ("value", "printed"),
    [(None, "k:none"), (True, "k:yes"), (False, "k:no"), (0.5, "k:0.5"), (3, "k:3"), ("a", "k:a")],
)
def test_printed_scalars(value: Scalar, printed: str) -> None:
    """Every kind of field has a short form."""
    assert Signature((("metric", "x"), ("k", value))).line() == f"x|{printed}"


@pytest.mark.parametrize(
    ("n", "allowed"),
    [(5000, True), (4950, True), (4949, False), (5050, True), (5051, False), (50, False)],
)
def test_n_may_differ_by_one_percent(n: int, allowed: bool) -> None:
    """N within 1 % of the larger compares; 50 of 5,000 is the last that does."""
    assert (Signature(FIELDS).differences(changed("n", n)) == ()) is allowed


@pytest.mark.parametrize("n", [4999, 4950, 5001])
def test_exact_n_admits_no_difference(n: int) -> None:
    """Diversity metrics ask for the same n, whichever side says so."""
    exact = changed("n", 5000, exact_n=True)
    assert exact.differences(changed("n", n)) == ("n",)
    assert changed("n", n).differences(exact) == ("n",)
    assert exact.differences(changed("n", 5000)) == ()


def test_unknown_n_matches_no_number() -> None:
    """A value that does not know its n is not comparable with one that does."""
    assert Signature(FIELDS).differences(changed("n", None)) == ("n",)


@pytest.mark.parametrize("name", [name for name, _ in FIELDS if name != "n"])
def test_every_other_field_must_agree(name: str) -> None:
    """Any field that differs is named, on its own."""
    assert Signature(FIELDS).differences(changed(name, "other")) == (name,)


@pytest.mark.parametrize("name", [name for name, _ in FIELDS])
def test_an_absent_field_differs(name: str) -> None:
    """A field that one side lacks is a difference, seen from either side."""
    whole = Signature(FIELDS)
    less = Signature(tuple(field for field in FIELDS if field[0] != name))
    assert whole.differences(less) == (name,)
    assert less.differences(whole) == (name,)


def test_none_is_not_absence() -> None:
    """A field declared as none differs from a field that is not declared."""
    assert changed("alpha", None).differences(Signature(FIELDS)) == ("alpha",)


fields = st.builds(
    lambda others, n: {**others, **n},
    st.dictionaries(st.sampled_from(["metric", "ref", "k"]), scalars),
    st.dictionaries(st.just("n"), st.none() | st.integers(min_value=0)),
)


@QUICK
@given(fields, fields, st.booleans())
def test_differences_are_symmetric(
    a: dict[str, Scalar], b: dict[str, Scalar], exact_n: bool
) -> None:
    """Whoever is compared with whom, the same fields forbid it."""
    one, other = Signature(tuple(a.items()), exact_n), Signature(tuple(b.items()))
    assert set(one.differences(other)) == set(other.differences(one))
    assert one.differences(one) == ()


def test_describe_tells_both_sides() -> None:
    """The sentence holds each field with both values, digests cut short."""
    one, other = Signature(FIELDS), changed("ref", "77" * 32)
    other = Signature(tuple({**dict(other.fields), "resize": "clean"}.items()))
    told = one.describe(one.differences(other), other)
    assert told == "resize tf1 ≠ clean, ref 9f3a0000 ≠ 77777777"
