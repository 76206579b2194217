"""Adversarial robustness: whether a classifier still sees an image's class when it is attacked.

    accuracy     = share of samples whose class is kept under the attack within ε
    success_rate = share of the samples kept when clean that the attack within ε turns
    loss         = mean of the largest cross entropy that the attack within ε reaches
    smallest_eps = median over samples of the smallest ε of the list that turns them
    withstand    = share of samples that no ε of the list turns

Input: rows of the probe `adversarial`: for each image, whether its class is kept and the cross
entropy, clean and by attack and ε. Values stand at the attack and the ε as written:
`adversarial.accuracy[attack=pgd,eps=4/255]`, `adversarial.withstand[attack=pgd]`; the clean values
are beside them. Range [0, 1] for shares, [0, ∞) for losses and ε; higher is better for accuracy,
smallest_eps and withstand. A sample that is wrong when clean is turned at ε = 0, one that no ε of
the list turns counts as its largest: the median is then a lower bound, which the finding says.

The interval of a share is Wilson's, of a loss by the central limit theorem, of the median by order
statistics, each of the population. success_rate is undefined where no class is kept when clean. An
attack finds an upper bound of robustness: a stronger one may turn more.

Paper: Madry et al. 2018, arXiv:1706.06083. Attacks agree with torchattacks to 1e-6 (probe).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from geneval.data import Features, LabelSpace
from geneval.items import Floats, mean_of, worst_of
from geneval.metric import features, metric
from geneval.resample import Context, order_interval
from geneval.value import DetailTable, Estimate, Ids, OutputSpec, Role

TITLE = "Turned by the smallest change"
BY_PLACE = ("accuracy", "success_rate", "loss")  # at attack and ε
BY_ATTACK = ("smallest_eps", "withstand")


def places(columns: Sequence[str]) -> dict[str, list[str]]:
    """The ε of every attack, ascending, by the columns `kept ATTACK EPS` of the probe."""
    found: dict[str, list[str]] = {}
    for what, *place in map(str.split, columns):
        if what == "kept" and place:
            found.setdefault(place[0], []).append(place[1])
    return found


def ats(columns: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """What the outputs will be at."""
    there = places(columns)
    both = [{"attack": attack, "eps": eps} for attack in there for eps in there[attack]]
    alone = [{"attack": attack} for attack in there]
    return dict.fromkeys(BY_PLACE, both) | dict.fromkeys(BY_ATTACK, alone)


def example(rng: np.random.Generator, damage: float) -> Mapping[str, Any]:
    """Images some way from the border of their class; damage brings them nearer and across."""
    n, radii = 300, ("2/255", "4/255", "8/255")
    far = rng.normal(8 - 6 * damage, 3, n) / 255
    names, columns = list[str](), list[Floats]()
    for place in ("", *(f" pgd {eps}" for eps in radii)):
        left = far - float(Fraction(place.split()[-1] if place else "0"))
        names += [f"kept{place}", f"loss{place}"]
        columns += [(left > 0).astype(float), np.log1p(np.exp(-255 * left / 2))]
    ids = tuple(f"{i:04d}" for i in range(n))
    return {"attacked": Features(ids, np.stack(columns, axis=1), LabelSpace(tuple(names)))}


@metric(
    "adversarial",
    version=1,
    paper="arXiv:1706.06083",
    min_n=10,
    n_match="any",
    outputs=[
        OutputSpec("accuracy", "higher", range=(0, 1)),
        OutputSpec("success_rate", "lower", range=(0, 1)),
        OutputSpec("loss", "lower", range=(0, None)),
        OutputSpec("smallest_eps", "higher", range=(0, None), compared_by="withstand"),
        OutputSpec("withstand", "higher", range=(0, 1)),
        OutputSpec("clean_accuracy", "higher", range=(0, 1)),
        OutputSpec("clean_loss", "lower", range=(0, None)),
    ],
    needs=lambda o: {"attacked": features("generated", layer="adversarial")},
    ats=lambda o, named: ats(named["attacked"]),
    example=example,
    extractor="adversarial",
)
def adversarial(attacked: Features, context: Context) -> list[Estimate]:
    """All values of every attack, and the clean ones."""
    under = [Under.of(attacked, attack) for attack in places(_names(attacked))]
    ids, x = attacked.ids, attacked.x.astype(np.float64)
    clean = mean_of(context, "clean_accuracy", x[:, 0], ids, (0, 1), share=True)
    loss = mean_of(context, "clean_loss", x[:, 1], ids, (0, None))
    return [
        replace(clean, galleries=(), tables=(_table(under),)),
        replace(loss, galleries=()),
        *(estimate for one in under for estimate in one.estimates(context)),
    ]


@dataclass(frozen=True, eq=False)
class Under:
    """One attack: kept 0 or 1 and loss, both [n, e], at the ascending `radii`; `clean` [n]."""

    attack: str
    radii: Mapping[str, float]
    ids: Ids
    clean: Floats
    kept: Floats
    loss: Floats

    @classmethod
    def of(cls, attacked: Features, attack: str) -> Under:
        """The columns of one attack."""
        names = _names(attacked)
        radii = {eps: float(Fraction(eps)) for eps in places(names)[attack]}
        kept, loss = (
            attacked.x[:, [names.index(f"{what} {attack} {eps}") for eps in radii]]
            for what in ("kept", "loss")
        )
        x = attacked.x[:, 0].astype(np.float64)
        return cls(attack, radii, attacked.ids, x, kept.astype(np.float64), loss.astype(np.float64))

    @property
    def smallest(self) -> Floats:
        """The smallest ε that turns each sample [n]: 0 if wrong when clean, inf if none does."""
        ends = np.array([*self.radii.values(), np.inf])
        stands = np.column_stack([self.kept, np.zeros(len(self.kept))]) > 0
        return np.where(self.clean > 0, ends[stands.argmin(axis=1)], 0.0)

    def estimates(self, context: Context) -> Iterator[Estimate]:
        """Its values at every ε, then those over all of them."""
        for column, eps in enumerate(self.radii):
            at = {"attack": self.attack, "eps": eps}
            for one in self._at(column, context):
                yield replace(one, at=at, galleries=())
        stands = np.isinf(self.smallest).astype(np.float64)
        share = mean_of(context, "withstand", stands, self.ids, (0, 1), share=True)
        yield replace(share, at={"attack": self.attack}, galleries=())
        yield replace(self._median(context), at={"attack": self.attack})

    def _at(self, column: int, context: Context) -> Iterator[Estimate]:
        """Accuracy, success rate and loss within one ε."""
        kept, loss = self.kept[:, column], self.loss[:, column]
        yield mean_of(context, "accuracy", kept, self.ids, (0, 1), share=True)
        yield mean_of(context, "loss", loss, self.ids, (0, None))
        rows = np.flatnonzero(self.clean > 0)
        if not len(rows):
            told = "no image keeps its class when clean, so that nothing is left to turn"
            yield Estimate(output="success_rate", problem=told, n={Role.GENERATED: 0})
            return
        there = tuple(self.ids[row] for row in rows)
        yield mean_of(context, "success_rate", 1 - kept[rows], there, (0, 1), share=True)

    def _median(self, context: Context) -> Estimate:
        """The median of the smallest ε, with the samples that are turned first."""
        largest = max(self.radii.values())
        each = self.smallest.clip(max=largest)
        interval = order_interval(each, 0.5, context.level)
        right = np.flatnonzero(self.clean > 0)
        shown, title = tuple(self.ids[row] for row in right), f"{TITLE}: {self.attack}"
        beyond = np.median(self.smallest) > largest
        return Estimate(
            output="smallest_eps",
            number=float(np.median(each)),
            n={Role.GENERATED: len(each)},
            interval=interval,
            no_interval=None if interval else "too few samples for an interval of a median",
            finding=f"at least half withstand {self.attack} up to {list(self.radii)[-1]}"
            if beyond
            else "",
            galleries=(worst_of(shown, each[right], 1, title),) if shown else (),
        )


def _names(attacked: Features) -> tuple[str, ...]:
    assert attacked.space is not None, "the probe names its columns"
    return attacked.space.names


def _table(under: Sequence[Under]) -> DetailTable:
    """Accuracy by ε, a line for each attack; clean is at 0."""
    radii = under[0].radii
    lines = {
        f"accuracy under {one.attack}": [float(one.clean.mean()), *map(float, one.kept.mean(0))]
        for one in under
    }
    return DetailTable("Accuracy by ε", {"ε": [0.0, *radii.values()], **lines}, "line")
