"""Models that rerank with each other inside their own calls do not wait for each other for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from support.watch import eventually, within
from tamis import CrossEncoder, Engine
from tamis.engine import asker, limiter
from tamis.engine.limits import limits_of
from tamis.values.answers import Score
from tamis.values.ranking import Ranking

TEXTS = ["a", "b"]
ENGINE = Engine(cache=None)


class Model:
    """Asks `other` inside its call, once all models of its ring hold their only place."""

    name, max_concurrency, max_batch = "model", 1, 10
    other: Any = None

    def __init__(self, all_hold: threading.Barrier) -> None:
        self.all_hold = all_hold

    def classify(self, calls: Sequence[Any]) -> list[Any]:
        if calls[0].query != "inner":
            self.all_hold.wait(20)
            assert not ENGINE.rerank(CrossEncoder(self.other), "inner", TEXTS).degraded
        return [Score(0.5)] * len(calls)


class AsyncModel(Model):
    async def aclassify(self, calls: Sequence[Any]) -> list[Any]:
        if calls[0].query != "inner":
            while any(not limits_of(each).limiter._held for each in self.ring):
                await asyncio.sleep(0.01)
            assert not (await ENGINE.arerank(CrossEncoder(self.other), "inner", TEXTS)).degraded
        return [Score(0.5)] * len(calls)

    ring: Sequence[Any] = ()


@pytest.mark.parametrize("models", [2, 3])
@pytest.mark.parametrize("kind", [Model, AsyncModel])
def test_a_ring_of_models_with_one_place_each_comes_to_an_end(
    kind: type[Model], models: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(asker, "POLL", 0.1)
    monkeypatch.setattr(limiter, "POLL", 0.1)
    barrier = threading.Barrier(models)
    ring: list[Any] = [kind(barrier) for _ in range(models)]
    for model, other in zip(ring, [*ring[1:], ring[0]], strict=True):
        model.other, model.ring = other, ring
    rankings: list[Ranking] = []

    async def together() -> list[Ranking]:
        return list(await asyncio.gather(*[ENGINE.arerank(CrossEncoder(model), "outer", TEXTS) for model in ring]))

    if kind is AsyncModel:
        rankings = within(20, lambda: asyncio.run(together()))
    else:
        threads = [
            threading.Thread(
                target=lambda model=model: rankings.append(ENGINE.rerank(CrossEncoder(model), "outer", TEXTS)),  # type: ignore[misc]
                daemon=True,
            )
            for model in ring
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert len(rankings) == models
    assert not any(ranking.degraded for ranking in rankings)
    assert all(eventually(lambda model=model: limits_of(model).limiter._held == 0) for model in ring)  # type: ignore[misc]
    assert "max_concurrency" in caplog.text
