"""The same question several times, the candidates in other orders, and one verdict from all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tamis.aggregation.lists import mean, voted
from tamis.judges.base import Asked, Form, Judge, JudgeRef, Unit, Verdict
from tamis.parts.numbers import TwoOrMore
from tamis.parts.part import part
from tamis.values.calls import Asking, Capability, together
from tamis.values.scale import Scale


def merged(verdicts: Sequence[Verdict]) -> Verdict:
    """Scores by their mean, orders by their mean places; what no verdict could judge is missing."""
    usable = [verdict for verdict in verdicts if verdict.usable]
    if not usable:
        return verdicts[0]
    missing = set.intersection(*(set(verdict.missing) for verdict in usable))
    failure = next((verdict.failure for verdict in verdicts if verdict.failure), None)
    form: Form = "clean" if all(verdict.form == "clean" for verdict in verdicts) else "permissive"
    masses = [verdict.mass for verdict in usable if verdict.mass is not None]
    whole = replace(
        usable[0],
        form=form,
        missing=tuple(sorted(missing)),
        failure=failure,
        mass=sum(masses) / len(masses) if masses else None,
    )
    scored = [verdict.scores for verdict in usable if verdict.scores is not None]
    if len(scored) < len(usable):
        return replace(whole, order=tuple(voted([verdict.order for verdict in usable])), scores=None)
    by_mean = Verdict.scored(mean(scored))
    return replace(whole, order=by_mean.order, scores=by_mean.scores)


@part
class Repeated(Judge):
    """Ask `judge` `times` times over, with the candidates shuffled (`seed`), and merge what comes: scores by their
    mean, orders by their mean places. Calls: `times` times those of `judge`, at the same time.

    Takes the edge off position bias. Source: permutation self-consistency (Tang et al., 2024); Setwise's permutations.
    """

    judge: JudgeRef
    times: TwoOrMore = 3
    seed: int = 0

    def ask(self, asked: Asked) -> Asking[Verdict]:
        orders = [list(range(len(asked))) for _ in range(self.times)]
        for time, order in enumerate(orders[1:], 1):
            Random(f"{self.seed}:{time}").shuffle(order)
        verdicts = yield from together([self.judge.ask(asked.of(order)) for order in orders])
        return merged([verdict.back(order) for verdict, order in zip(verdicts, orders, strict=True)])

    @property
    def unit(self) -> Unit:
        return self.judge.unit

    @property
    def needs(self) -> tuple[Capability, ...]:
        return self.judge.needs

    @property
    def most(self) -> int | None:
        return self.judge.most

    def scale(self, model: Any) -> Scale:
        return self.judge.scale(model)
