"""A pipeline tells what it will do, and tells the truth, without asking or loading a model."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from support.stages import STAGES_MADE
from tamis import (
    Candidate,
    CrossEncoder,
    Embedding,
    Engine,
    FirstStage,
    Fuse,
    Knapsack,
    Lexical,
    Listwise,
    Rebel,
    Stage,
    TopN,
)
from tamis.errors import TamisError
from tamis.models import CostOnly
from tamis.values.ranking import Ranking

CHAT = CostOnly("chat")
FOUND = [Candidate(f"text number {number}", score=1 - number / 31) for number in range(30)]


@pytest.mark.parametrize("stage", STAGES_MADE, ids=lambda stage: type(stage).__name__)
def test_calls_and_rounds_are_those_of_a_dry_run_and_the_scale_that_of_the_stage(stage: Stage) -> None:
    told = stage.explanation(30)
    try:
        used = Engine(cache=None).dry_run(stage, "query", FOUND)
    except TamisError:
        assert any(step.error for step in told.steps)
        return
    assert (told.calls, told.rounds) == (used.calls, used.rounds)
    assert not told.steps or told.steps[-1].scale == stage.leaves(None)
    assert all(len(line) <= 100 for line in str(told).splitlines())


class Closed:
    """A model that cannot be loaded here."""

    name = "closed"

    def classify(self, calls: Any) -> Any:
        raise AssertionError("it was asked")

    generate = embed = classify

    @property
    def context_window(self) -> int:
        raise AssertionError("it was loaded")

    def count_tokens(self, text: str) -> int:
        raise AssertionError("it was loaded")


def test_no_model_is_loaded_or_asked() -> None:
    closed = Closed()
    stage = CrossEncoder(closed) | Embedding(closed) | Listwise(closed, depth=20) | Rebel(closed, depth=10)
    assert [str(step.asks[0]) for step in stage.explain(30).steps] == [
        "30 classify of closed",
        "31 embed of closed",
        "1 generate of closed",
        "1 generate of closed",
    ]


def test_each_stage_tells_what_it_needs_asks_drops_and_leaves() -> None:
    stage = Fuse((CrossEncoder(CHAT) | TopN(8), Lexical())) | Listwise(CHAT, depth=40) | TopN(5)
    assert str(stage.explain(50)).splitlines() == [
        "for 50 candidates:",
        "  1. Fuse: asks 50 classify of chat, in 1 round; may drop: top_n; scale: fusion",
        "     1. CrossEncoder: asks 50 classify of chat, in 1 round; drops nothing; scale: probability",
        "     2. TopN: asks no model; may drop: top_n; scale: probability",
        "     1. Lexical: asks no model; drops nothing; scale: lexical",
        "  2. Listwise: asks 3 generate of chat, in 3 rounds; drops nothing; scale: ordinal",
        "  3. TopN: asks no model; may drop: top_n; scale: ordinal",
    ]
    with pytest.raises(FrozenInstanceError):
        stage.explain().steps[0].name = "other"  # type: ignore[misc]


def test_a_stage_that_cannot_read_a_retrievers_scores_says_so() -> None:
    told = str((FirstStage() | Knapsack(100)).explain(3))
    assert "needs graded or probability scores" in told
    assert "cannot run on what comes in" in told


class Silent(Stage):
    """A stage of somebody else that says nothing of itself."""

    def plan(self, ranking: Ranking) -> Any:
        yield from ()
        return ranking


def test_a_stage_that_says_nothing_is_told_as_such() -> None:
    assert str((Lexical() | Silent()).explain()).endswith(
        "2. Silent: asks no model; does not say what it drops; scale not known before it runs"
    )
