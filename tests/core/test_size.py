"""Four times the candidates cost a stage four times the work and the memory, not sixteen times.

Counted are Python's calls and what is allocated at once, never seconds.
"""

from __future__ import annotations

import random
import sys
import tracemalloc
from functools import cache
from types import FrameType
from typing import Any

import pytest

from tamis import (
    DPP,
    MMR,
    Cover,
    Deduplicate,
    DynamicK,
    Facets,
    FirstStage,
    Fuse,
    Graph,
    Knapsack,
    Learned,
    Lexical,
    MultiCriteria,
    NearDuplicates,
    Place,
    Query,
    Ranking,
    Stage,
    Threshold,
    TokenBudget,
)
from tamis.criteria import Clarity, Coverage, Depth, Diversity, Recency
from tamis.graph import ConceptPairs, Concepts, Given, Mentions, Neighbours
from tamis.pool import shingles, sparse, variety
from tamis.values.scale import PROBABILITY

FEW, TIMES = 120, 4
STAGES = [
    Learned(),
    Learned(unscored="unknown"),
    Lexical(),
    Deduplicate(),
    NearDuplicates(),
    NearDuplicates(0.3, words=1),
    MMR(depth=None),
    DPP(depth=None),
    Cover(),
    Cover(times=50),
    Cover(field="tags"),
    TokenBudget(1_000),
    Knapsack(1_000),
    Place("by_source"),
    Facets(Lexical() | Threshold(0.1), facets=("source", "mouth")),
    Fuse((FirstStage(), Lexical())),
    DynamicK(),
    DynamicK("expected_f"),
    MultiCriteria(criteria=[Depth(), Clarity(), Coverage(), Recency()]),
    MultiCriteria(criteria=[Diversity()]),
    MultiCriteria(criteria=[Depth(), Clarity()], combine="pareto"),
    Graph((Mentions(),)),
    Graph((Neighbours(),)),
    Graph((Concepts(),)),
    Graph((ConceptPairs(),)),
    Graph((Given(),)),
]
POOLS = ("different", "alike", "one title", "equal")


@cache
def pool(kind: str, count: int) -> Ranking:
    """`alike`: half of each text is the same in all; `one title`: all have it; `equal`: one text and score for all."""
    draw = random.Random(5)
    candidates: list[Any] = []
    for place in range(count):
        own = [f"w{draw.randrange(3_000)}" for _ in range(20)]
        text = " ".join(own)
        text = f"{'home news about us contact grey river ' * 2}{text}" if kind == "alike" else text
        fields = {
            "date": f"20{place % 25:02d}-01-11",
            "source": place // 10,
            "tags": own[:3],
            "graph": {"nodes": own[:3]},
        }
        equal = kind == "equal"
        candidates.append(
            {
                "text": "the grey river" if equal else text,
                "title": "annual report" if kind == "one title" else " ".join(own[:2]),
                "score": 0.5 if equal else 1 - place / count,
                "metadata": fields,
            }
        )
    return Ranking.of(Query("the source of the grey river"), candidates, scale=PROBABILITY)


def run(stage: Stage, ranking: Ranking) -> Ranking:
    plan: Any = stage.plan(ranking)
    answers: Any = None
    while True:
        try:
            plan.send(answers)
        except StopIteration as done:
            made: Ranking = done.value
            return made
        answers = []


def calls(stage: Stage, ranking: Ranking) -> int:
    """Python's calls, of functions in C too."""
    made = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run(stage, ranking)
    finally:
        sys.setprofile(before)
    return made


def held(stage: Stage, ranking: Ranking) -> int:
    """The most bytes at once."""
    tracemalloc.start()
    try:
        run(stage, ranking)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: type(stage).__name__)
def test_work_and_memory_grow_with_the_candidates(stage: Stage, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is exact for a thousand is bounded in the same way here, and large graphs begin at once.
    monkeypatch.setattr(variety, "MOST", FEW // 2)
    monkeypatch.setattr(shingles, "HOLDERS", FEW // 2)
    monkeypatch.setattr(sparse, "WHOLE", 0)
    monkeypatch.setattr(sparse, "CELLS", 1 << 12)
    few, many = pool(kind, FEW), pool(kind, FEW * TIMES)
    run(stage, many)
    assert calls(stage, many) < 1.3 * TIMES * calls(stage, few) + 2_000
    assert held(stage, many) < 1.5 * TIMES * held(stage, few) + 200_000
