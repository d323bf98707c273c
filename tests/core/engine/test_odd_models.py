"""What a model says of itself costs, where it cannot be read, nothing but its own value."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from support.watch import within
from tamis import CrossEncoder, Engine
from tamis.values.answers import Score
from tamis.values.calls import Plan
from tamis.values.ranking import Ranking

TEXTS = ["a", "b"]
RAISED: dict[str, Callable[[], BaseException]] = {
    "RuntimeError": lambda: RuntimeError("boom"),
    "SystemExit": lambda: SystemExit(3),
    "CancelledError": asyncio.CancelledError,
}
TOLD = ("architecture", "name")
READ = (
    "allow_image_addresses",
    "limited_as",
    "max_batch",
    "max_concurrency",
    "cache_key",
    "together",
    "requests_per_minute",
    "tokens_per_minute",
    "aclassify",
)


class Model:
    max_batch = 4

    def classify(self, calls: Sequence[Any]) -> list[Any]:
        return [Score(number / 10) for number in range(len(calls))]


class Odd:
    """Nothing can be done with it."""

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    __eq__ = __repr__ = __str__ = __hash__ = __bool__  # type: ignore[assignment]


class Either:
    """Reranks with the odd model or with the good one, as the query says."""

    def __init__(self, odd: Any) -> None:
        self.stages = {"odd": CrossEncoder(odd), "good": CrossEncoder(Model())}

    def plan(self, ranking: Ranking) -> Plan:
        return (yield from self.stages[ranking.query.text].plan(ranking))


def outcomes(driver: str, stage: Any, queries: Sequence[str]) -> list[Ranking | BaseException]:
    engine = Engine(deadline=10.0 if "deadline" in driver else None, retries=0)
    rankings = [Ranking.of(query, TEXTS) for query in queries]
    if "async" in driver:
        return within(20, lambda: asyncio.run(engine.aoutcomes(stage, rankings)))
    return within(20, lambda: engine.outcomes(stage, rankings))


def with_property(attribute: str, get: Callable[[Any], Any]) -> Any:
    return type("Odd", (Model,), {attribute: property(get)})()


drivers = pytest.mark.parametrize("driver", ["sync", "deadline", "async", "async with a deadline"])


@drivers
@pytest.mark.parametrize("after", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("attribute", [*TOLD, *READ])
def test_an_attribute_that_raises_costs_no_other_query(attribute: str, kind: str, after: int, driver: str) -> None:
    reads = [0]

    def get(model: Any) -> Any:
        reads[0] += 1
        if armed and reads[0] > after:
            raise RAISED[kind]()
        raise AttributeError(attribute)

    armed = False
    stage = Either(with_property(attribute, get))
    reads[0], armed = 0, True
    odd, good = outcomes(driver, stage, ["odd", "good"])
    assert isinstance(good, Ranking)
    assert not good.degraded
    assert good.positions == (1, 0)
    if attribute in TOLD:
        assert isinstance(odd, Ranking)
        assert not odd.degraded
        assert odd.positions == (1, 0)


@drivers
@pytest.mark.parametrize("attribute", TOLD)
def test_an_attribute_of_no_use_is_as_none(attribute: str, driver: str) -> None:
    stage = Either(with_property(attribute, lambda model: Odd()))
    for ranking in outcomes(driver, stage, ["odd", "good"]):
        assert isinstance(ranking, Ranking)
        assert not ranking.degraded
