"""The error of one query takes the place of its ranking and costs the others nothing, wherever it is raised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from tamis import CrossEncoder, Engine
from tamis.errors import BudgetError
from tamis.models import Function
from tamis.values.calls import Plan
from tamis.values.ranking import Ranking

Outcomes = Callable[[Engine, Any, Sequence[Ranking]], list[Any]]
TWINS = [
    pytest.param(lambda engine, stage, rankings: engine.outcomes(stage, rankings), id="sync"),
    pytest.param(lambda engine, stage, rankings: asyncio.run(engine.aoutcomes(stage, rankings)), id="async"),
]
FATES = ("fine", "in plan()", "not a generator", "before the first call", "after the first call", "too costly")


class Fated:
    """Each query fails as its text says."""

    model = Function(lambda call: float(len(call.text)), "classify")

    def plan(self, ranking: Ranking) -> Any:
        fate = ranking.query.text
        if fate == "in plan()":
            raise KeyError(fate)
        return ranking if fate == "not a generator" else self._steps(ranking, fate)

    def _steps(self, ranking: Ranking, fate: str) -> Plan:
        if fate == "before the first call":
            raise KeyError(fate)
        ranking = yield from CrossEncoder(self.model).plan(ranking)
        if fate == "after the first call":
            raise KeyError(fate)
        return ranking


def ranking_of(fate: str) -> Ranking:
    return Ranking.of(fate, ["a", "bb", "ccc"] if fate == "too costly" else ["a", "bb"])


@pytest.mark.parametrize("outcomes", TWINS)
@pytest.mark.parametrize("deadline", [None, 30.0])
@examples(20)
@given(fates=st.lists(st.sampled_from(FATES), max_size=5))
def test_every_outcome_is_that_of_its_own_query(outcomes: Outcomes, deadline: float | None, fates: list[str]) -> None:
    engine = Engine(max_calls=2, over_budget="refuse", deadline=deadline)
    found = outcomes(engine, Fated(), [ranking_of(fate) for fate in fates])
    kinds = {"fine": Ranking, "too costly": BudgetError, "not a generator": TypeError}
    assert [type(one) for one in found] == [kinds.get(fate, KeyError) for fate in fates]
    assert all(one.positions == (1, 0) for one, fate in zip(found, fates, strict=True) if fate == "fine")


def test_a_plan_that_is_no_generator_is_named_with_what_it_must_be() -> None:
    with pytest.raises(TypeError, match=r"Fated\.plan must be a generator.*returned Ranking.*yield from \(\)"):
        Engine().rerank(Fated(), "not a generator", ["a"])


def test_a_refused_query_asks_no_model() -> None:
    asked = []
    stage = CrossEncoder(Function(lambda call: asked.append(call) or 1.0, "classify"))
    with pytest.raises(BudgetError, match="3 candidates"):
        Engine(max_calls=2, over_budget="refuse").rerank(stage, "q", ["a", "b", "c"])
    assert asked == []
