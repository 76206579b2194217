"""Plans: equal needs merged, measurements in order, the impossible refused before any work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from geneval.data import LabelSpace
from geneval.errors import UsageError
from geneval.extractors.extractor import Layer
from geneval.metric import MetricSpec, features, fields, labels, neighbours, values
from geneval.plan import Plan, SetFacts, chosen_extractors, make_plan
from geneval.samples.sampleset import FieldType
from geneval.suite import load_suite
from geneval.value import OutputSpec, Role

Write = Callable[..., Path]
Register = Callable[..., MetricSpec]
IMAGES: Mapping[str, FieldType] = {"image": "image"}
LABELLED: Mapping[str, FieldType] = {"image": "image", "label": "label", "style": "text"}
DIGITS = frozenset("0123456789")


class Network:
    """An extractor with the layers and class names that a test wants; it never runs."""

    def __init__(self, name: str, *layers: str, classes: tuple[str, ...] | None = None) -> None:
        self.identity = {"ext": name}
        self.layers = {layer: Layer(layer, 4) for layer in layers}  # type: ignore[arg-type]
        self.labels = LabelSpace(classes) if classes else None

    def __call__(self, batch: Any, layers: Any) -> Mapping[str, Any]:
        """Never: a plan is made before any work."""
        raise AssertionError("the plan ran an extractor")

    notes: tuple[str, ...] = ()

    def caution(self, unlikeness: Any) -> str:
        """Nothing."""
        return ""


NETWORKS = {
    "digits": Network("digits", "features", "logits", "unlikeness", classes=tuple("0123456789")),
    "pixels": Network("pixels", "features"),
    "nameless": Network("nameless", "features", "logits"),
}


def facts(
    fields: Mapping[str, FieldType] = LABELLED,
    labels: frozenset[str] = DIGITS,
    n: int = 100,
    *,
    requested: bool = False,
) -> SetFacts:
    """What is known of a sample set."""
    named = labels if "label" in fields else frozenset[str]()
    groups = {name: named or frozenset("ab") for name in fields if name != "image"}
    return SetFacts("data/images", n, fields, named, requested, groups)


BOTH = {Role.GENERATED: facts(), Role.REFERENCE: facts(n=500)}


@pytest.fixture
def plan(write: Write) -> Callable[..., Plan]:
    """Plan the metrics of a suite, given as its YAML, on sets known by facts."""

    def build(metrics: str, sets: Mapping[Role, SetFacts] = BOTH, more: str = "") -> Plan:
        suite = load_suite(str(write(f"version: 1\nmetrics: {metrics}\n{more}")))
        return make_plan(suite, sets, NETWORKS)

    return build


Planned = Callable[..., Plan]


def layers(plan: Plan) -> dict[str, dict[str, tuple[str, ...]]]:
    """The layers wanted, by role and extractor."""
    return {str(one.role): dict(one.layers) for one in plan.passes}


# Passes


def test_equal_needs_share_one_pass(plan: Planned) -> None:
    """Three metrics on the features of both sets make one pass a set, each layer wanted once."""
    planned = plan("[fid, kid, precision_recall]")
    assert [(one.role, one.n) for one in planned.passes] == [
        (Role.GENERATED, 100),
        (Role.REFERENCE, 500),
    ]
    assert layers(planned) == {
        "generated": {"digits": ("features", "unlikeness")},
        "reference": {"digits": ("features", "unlikeness")},
    }


def test_a_pass_runs_every_extractor(plan: Planned) -> None:
    """Two extractors on one set share its one pass."""
    planned = plan("[fid, {fid: {as: fd_pixels, extractor: pixels}}, inception_score]")
    assert len(planned.passes) == 2
    assert layers(planned) == {
        "generated": {"digits": ("features", "unlikeness", "logits"), "pixels": ("features",)},
        "reference": {"digits": ("features", "unlikeness"), "pixels": ("features",)},
    }


def test_only_what_is_wanted_is_extracted(plan: Planned) -> None:
    """A role no metric reads features of is passed over by every extractor."""
    planned = plan("[inception_score]", {**BOTH, Role.TRAIN: facts(n=7)})
    assert [one.role for one in planned.passes] == list(Role)
    assert layers(planned)["reference"] == layers(planned)["train"] == {}


def test_given_labels_need_no_extractor(plan: Planned) -> None:
    """Class balance of given labels runs no network."""
    assert layers(plan("[class_balance]")) == {"generated": {}, "reference": {}}


def test_one_sweep_finds_the_most_neighbours(plan: Planned) -> None:
    """The widest need of a role and extractor serves all that want fewer."""
    planned = plan(
        "[{precision_recall: {k: 3}}, {precision_recall: {as: wide, k: 9}}, "
        "{precision_recall: {as: other, k: 5, extractor: pixels}}]"
    )
    widest = planned.widest
    assert set(widest) == {
        (role, name) for role in (Role.GENERATED, Role.REFERENCE) for name in ("digits", "pixels")
    }
    assert widest[Role.GENERATED, "digits"] - widest[Role.GENERATED, "pixels"] == 9 - 5


def test_chosen_extractors(write: Write) -> None:
    """Every extractor a suite names is chosen once, its own first, options told apart."""
    suite = load_suite(
        str(
            write(
                "version: 1\nextractor: digits\nmetrics: [fid, {fid: {as: a, extractor: digits}}, "
                "{fid: {as: b, extractor: {name: pixels, side: 2}}}, "
                "{fid: {as: c, extractor: pixels}}]\n"
            )
        )
    )
    assert list(chosen_extractors(suite)) == ["digits", "pixels(side=2)", "pixels"]


def test_a_metric_may_name_its_extractor(write: Write, register: Register) -> None:
    """A need that names an extractor of its own gets it without the suite naming it too."""
    register("own", lambda x: [], needs=lambda o: {"x": features("generated", extractor="pixels")})
    suite = load_suite(str(write("version: 1\nmetrics: [own]\n")))
    chosen = chosen_extractors(suite)
    assert "pixels" in chosen
    planned = make_plan(suite, BOTH, {key: NETWORKS[key] for key in chosen})
    assert layers(planned)["generated"] == {"pixels": ("features",)}


def test_the_book_has_every_address(plan: Planned) -> None:
    """A plan knows what it can produce."""
    planned = plan("[fid, {fid: {as: fd_pixels, extractor: pixels}}]")
    assert planned.book.names() == ["fid", "fid.debiased", "fd_pixels", "fd_pixels.debiased"]


# What is refused


@pytest.mark.parametrize(
    ("metrics", "missing", "hint"),
    [
        ("[fid]", Role.REFERENCE, "fid needs reference samples: give --reference PATH"),
        ("[class_balance]", Role.REFERENCE, "class_balance needs reference samples"),
        ("[fid]", Role.GENERATED, "give --samples PATH, or --checkpoint PATH --adapter NAME"),
        ("[fid, {inception_score: {as: is}}]", Role.GENERATED, "needs generated samples"),
    ],
)
def test_a_missing_set_is_told_with_its_option(
    plan: Planned, metrics: str, missing: Role, hint: str
) -> None:
    """A metric that needs a set nobody gave says which and how to give it."""
    with pytest.raises(UsageError) as caught:
        plan(metrics, {role: known for role, known in BOTH.items() if role is not missing})
    assert hint in str(caught.value)


def test_a_missing_train_set(plan: Planned, register: Register) -> None:
    """The training set is asked for by its own option."""
    register("memorised", lambda x: [], needs=lambda o: {"x": features("train")})
    with pytest.raises(UsageError, match="needs train samples: give --train PATH"):
        plan("[memorised]")


def test_the_refusal_names_the_line(plan: Planned) -> None:
    """What cannot be done is told where it was written."""
    with pytest.raises(UsageError, match=r"suite\.yaml:4: fid needs reference"):
        plan("\n- inception_score\n- fid", {Role.GENERATED: facts()})


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        (
            "[{inception_score: {extractor: pixels}}]",
            "inception_score needs logits, which the extractor pixels does not have; it has "
            "features",
        ),
        (
            "[{class_balance: {labels: predicted, extractor: pixels}}]",
            "class_balance needs logits, which the extractor pixels does not have",
        ),
        (
            "[{class_balance: {labels: predicted, extractor: nameless}}]",
            "the extractor nameless has no class names to predict",
        ),
    ],
)
def test_an_extractor_that_cannot_serve(plan: Planned, metrics: str, told: str) -> None:
    """A layer that the extractor lacks, or a classifier without names, is refused."""
    with pytest.raises(UsageError) as caught:
        plan(metrics)
    assert told in str(caught.value)


@pytest.mark.parametrize("role", [Role.GENERATED, Role.REFERENCE])
def test_labels_that_are_not_there(plan: Planned, role: Role) -> None:
    """Given labels need a labelled set, and the sentence says where labels come from."""
    with pytest.raises(UsageError, match=rf"needs labelled {role} samples.*sub-folders.*metadata"):
        plan("[class_balance]", {**BOTH, role: facts(IMAGES)})


def test_requested_labels_are_not_what_was_drawn(plan: Planned) -> None:
    """A checkpoint's labels are what was asked for: its balance needs predicted ones."""
    sets = {**BOTH, Role.GENERATED: facts(requested=True)}
    with pytest.raises(UsageError, match=r"those that were asked for.*`labels: predicted`"):
        plan("[class_balance]", sets)
    assert plan("[{class_balance: {labels: predicted}}]", sets).measurements


def test_predicted_labels_need_a_labelled_reference(plan: Planned) -> None:
    """Without true labels of the reference the classifier's accuracy is unknown: refused."""
    with pytest.raises(UsageError, match="needs labelled reference samples"):
        plan(
            "[{class_balance: {labels: predicted}}]",
            {**BOTH, Role.REFERENCE: facts(IMAGES)},
        )


def test_predicted_labels_in_a_foreign_tongue(plan: Planned) -> None:
    """A reference labelled with names the classifier does not know cannot be compared with it."""
    sets = {**BOTH, Role.REFERENCE: facts(labels=DIGITS | {"cat"})}
    with pytest.raises(UsageError, match=r"label 'cat' of data/images .*digits predicts \(0, 1,"):
        plan("[{class_balance: {labels: predicted}}]", sets)
    assert plan("[class_balance]", sets).measurements


def test_a_field_that_is_not_there(plan: Planned, register: Register) -> None:
    """A metric on plain columns is refused when a set lacks one, with the nearest there is."""
    register("styled", lambda x: [], needs=lambda o: {"x": fields("reference", "styl")})
    with pytest.raises(UsageError, match=r"data/images: unknown field 'styl'.*mean 'style'"):
        plan("[styled]")


@pytest.mark.parametrize("role", [Role.GENERATED, Role.REFERENCE])
def test_an_unknown_group_column(plan: Planned, role: Role) -> None:
    """`by` names a column of every set that the metric reads, else the nearest is offered."""
    sets = {**BOTH, role: facts({"image": "image", "labels": "label"})}
    with pytest.raises(UsageError, match=r"by: data/images: unknown column 'label'.*'labels'"):
        plan("[{fid: {by: label}}]", sets)
    assert plan("[{fid: {by: style}}]").measurements


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("fid", "fid is given by label and style; write fid[label=a,style=a]"),
        ("fid[label=b]", "fid is given by label and style; write fid[label=b,style=a]"),
        ("fid[label=b,style=z]", "unknown style 'z'"),
        ("fid[label=b,colour=a]", "fid is not grouped by colour"),
    ],
)
def test_intersections_are_addressed_by_every_column(
    plan: Planned, address: str, told: str
) -> None:
    """A value by two columns bears both, each with a value that it has, in either order."""
    sets = {role: facts(labels=frozenset()) for role in BOTH}
    book = plan("[{fid: {by: [style, label]}}]", sets).book
    assert book.resolve("fid[style=b,label=a]") == "fid[label=a,style=b]"
    with pytest.raises(LookupError) as refused:
        book.resolve(address)
    assert told in str(refused.value)


def test_every_column_of_an_intersection_must_be_there(plan: Planned) -> None:
    """The one that is not is named."""
    with pytest.raises(UsageError, match="unknown column 'tone'"):
        plan("[{fid: {by: [label, tone]}}]")


def test_groups_are_not_by_image(plan: Planned) -> None:
    """An image is no column of plain values: to group by it is refused before any work."""
    with pytest.raises(UsageError, match="image"):
        plan("[{fid: {by: image}}]")


def test_groups_of_a_metric_that_reads_no_samples(plan: Planned, register: Register) -> None:
    """`by` cannot group a metric that reads only other values; silence would measure nothing."""
    register("ratio", lambda x: [], needs=lambda o: {"x": values("fid")})
    with pytest.raises(UsageError, match="by"):
        plan("[fid, {ratio: {by: label}}]")


# Order


def declare(register: Register, name: str, *reads: str) -> None:
    """Register a metric that reads other metrics' values."""
    register(
        name,
        lambda x: [],
        needs=lambda o: {"x": values(*reads)} if reads else {"x": features("generated")},
        outputs=[OutputSpec("score", "higher")],
    )


def test_a_metric_comes_after_what_it_reads(plan: Planned, register: Register) -> None:
    """Measurements are ordered by their needs, else as written."""
    declare(register, "last", "middle", "fid.debiased")
    declare(register, "middle", "first", "kid")
    declare(register, "first")
    planned = plan("[last, middle, kid, fid, first]")
    assert [m.key for m in planned.measurements] == ["first", "kid", "middle", "fid", "last"]
    written = plan("[kid, first, fid]")
    assert [m.key for m in written.measurements] == ["kid", "first", "fid"]


@pytest.mark.parametrize("circle", [("a",), ("a", "b"), ("a", "b", "c")])
def test_circles_are_refused(plan: Planned, register: Register, circle: tuple[str, ...]) -> None:
    """Metrics that read each other's values are refused with the circle."""
    for name, reads in zip(circle, (*circle[1:], circle[0]), strict=True):
        declare(register, name, reads)
    with pytest.raises(UsageError, match="read each other's values") as caught:
        plan(f"[{', '.join(circle)}]")
    assert all(name in str(caught.value).split(":")[-1] for name in circle)


@pytest.mark.parametrize(
    ("reads", "told"), [("kidd", "did you mean 'kid'"), ("debiased", "could mean")]
)
def test_a_value_the_suite_does_not_have(
    plan: Planned, register: Register, reads: str, told: str
) -> None:
    """A metric that reads what no metric of the suite produces says so before any work."""
    declare(register, "reader", reads)
    with pytest.raises(UsageError, match="reader reads a value that the suite does not have") as e:
        plan("[kid, fid, {fid: {as: other}}, reader]")
    assert told in str(e.value)


def test_roles_of_a_measurement(plan: Planned, register: Register) -> None:
    """A measurement reads the roles of its needs, in the order of roles; values are no role."""
    register(
        "mixed",
        lambda a, b, c: [],
        needs=lambda o: {
            "b": neighbours("reference", 2),
            "a": labels("generated", "given"),
            "c": values("fid"),
        },
    )
    by_key = {m.key: m for m in plan("[fid, mixed]").measurements}
    assert by_key["mixed"].roles == (Role.GENERATED, Role.REFERENCE)
    assert by_key["mixed"].outputs == ("mixed",)


def test_the_plan_is_a_pure_function(plan: Planned) -> None:
    """The same suite and facts make the same plan."""
    text = "[kid, fid, {class_balance: {labels: predicted}}]"
    assert plan(text) == plan(text)


def test_an_optional_metric_that_cannot_be_measured_is_skipped(plan: Planned) -> None:
    """Without `optional` it is an error; with it the others are measured and the reason is kept."""
    with pytest.raises(UsageError, match="inception_score needs logits"):
        plan("[fid, {inception_score: {extractor: pixels}}]")
    made = plan("[fid, {inception_score: {extractor: pixels, optional: true}}]")
    assert [m.key for m in made.measurements] == ["fid"]
    assert "needs logits" in made.skipped["inception_score"]
    assert made.book.resolve("inception_score") == "inception_score"


def test_nothing_but_skipped_metrics_is_an_error(plan: Planned) -> None:
    """A run that could measure nothing at all is not started."""
    with pytest.raises(UsageError, match="no metric can be measured: inception_score needs"):
        plan("[{inception_score: {extractor: pixels, optional: true}}]")


def test_declared_classes_must_be_predictable(plan: Planned) -> None:
    """A declared class that the classifier cannot name would always be missing."""
    with pytest.raises(UsageError, match="unknown class 'cat'"):
        plan("[{class_balance: {labels: predicted, classes: [cat]}}]")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("recall", "recall is given by label; write recall\\[label=0\\]"),
        ("recall[label=77]", "unknown label '77'"),
        ("recall[style=a]", "recall is not grouped by style"),
        ("fid[label=3]", "fid is not grouped by label"),
    ],
)
def test_addresses_that_the_plan_cannot_produce(plan: Planned, address: str, told: str) -> None:
    """A gate on a group that will not be there is refused before any work."""
    book = plan("[fid, {precision_recall: {by: label}}]").book
    with pytest.raises(LookupError, match=told):
        book.resolve(address)
    assert book.resolve("recall[label=3]") == "precision_recall.recall[label=3]"
