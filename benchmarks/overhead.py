"""What the engine itself costs: time per query and per candidate with a model that answers at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from report import interleaved, ms, save, table
from tamis import CrossEncoder, Engine
from tamis.values.answers import Score
from tamis.values.calls import Classify

SIZES = {100: 25, 1_000: 9, 10_000: 5}
"""Candidates, and repeats."""


class Instant:
    """Scores pairs at once, sync and async, `max_batch` of them together."""

    max_concurrency = 16
    cache_key = "instant"

    def __init__(self, max_batch: int) -> None:
        self.max_batch = max_batch

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        return [Score(float(len(call.text) % 97)) for call in calls]

    async def aclassify(self, calls: Sequence[Classify]) -> list[Score]:
        return self.classify(calls)


def texts(count: int) -> list[str]:
    return [f"passage {number}: " + "some words " * (10 + number % 13) for number in range(count)]


def bare(candidates: Sequence[str]) -> Callable[[int], object]:
    """What any reranker must do: ask the model, sort."""
    model = Instant(len(candidates))

    def run(repeat: int) -> object:
        calls = [Classify(model, f"query {repeat}", text) for text in candidates]
        scores = model.classify(calls)
        return sorted(range(len(scores)), key=lambda index: -scores[index].value)

    return run


def reranks(
    candidates: Sequence[str], max_batch: int, cache: str, mode: str, loop: asyncio.Runner
) -> Callable[[int], object]:
    """One rerank a repeat: without cache, with one that has no answer yet (a new query), or with one that has all."""
    stage = CrossEncoder(Instant(max_batch))
    engine = Engine(cache=None if cache == "none" else "memory")

    def run(repeat: int) -> object:
        query = "the same query" if cache == "hit" else f"query {repeat}"
        if mode == "sync":
            return engine.rerank(stage, query, candidates)
        return loop.run(engine.arerank(stage, query, candidates))

    return run


def measure(max_batch: int | None, caches: Sequence[str]) -> dict[str, dict[int, float]]:
    """Median seconds, by row and number of candidates. `max_batch` `None`: all candidates in one batch."""
    found: dict[str, dict[int, float]] = {}
    with asyncio.Runner() as loop:
        for count, repeats in SIZES.items():
            candidates = texts(count)
            runs = {"bare": bare(candidates)}
            for mode in ("sync", "async"):
                for cache in caches:
                    runs[f"{mode}|{cache}"] = reranks(candidates, max_batch or count, cache, mode, loop)
            for name, seconds in interleaved(runs, repeats).items():
                found.setdefault(name, {})[count] = seconds
    return found


def shown(found: dict[str, dict[int, float]]) -> str:
    head = ["mode", "cache", *(f"{count:,}: ms" for count in SIZES), *(f"{count:,}: us/candidate" for count in SIZES)]
    head.append("10,000 / 1,000")
    rows: list[list[object]] = []
    for name, by_size in found.items():
        mode, _, cache = name.partition("|")
        each = [f"{by_size[count] / count * 1e6:.3g}" for count in SIZES]
        growth = f"{by_size[10_000] / by_size[1_000]:.1f}"
        rows.append([mode, cache or "-", *(ms(by_size[count]) for count in SIZES), *each, growth])
    return table(head, rows)


def main() -> None:
    save(
        "overhead",
        "Engine overhead with an instant model",
        ("tamis",),
        "`CrossEncoder` over a model whose answers cost next to nothing. Cache `none`: switched off. `miss`: on, a new "
        "query each time. `hit`: on, every answer known. `bare`: the same calls made, answered and sorted without "
        "tamis. Medians; sizes are numbers of candidates; the last column is 10 when time is linear.",
        "## All candidates in one batch",
        shown(measure(None, ("none", "miss", "hit"))),
        "## One candidate a batch (`max_batch=1`): every call on its own, 16 at once",
        shown(measure(1, ("none",))),
    )


if __name__ == "__main__":
    main()
