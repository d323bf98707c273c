"""A pipeline tells what it will do, and tells the truth, without asking or loading a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
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
from tamis.errors import InputError, TamisError
from tamis.extend import FUSION, Classify, Limit, ModelRef, Scoring, StageRef, part
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


@part
class Held(Scoring):
    """A stage of somebody else that holds models in whatever container."""

    models: Any
    depth: Limit = None
    scale = FUSION

    def scores(self, ranking: Any, head: Any) -> Any:
        models = self.models
        while isinstance(models, (Mapping, tuple, list, set, frozenset)):
            models = next(iter(models.values() if isinstance(models, Mapping) else models))
        assert getattr(models, "context_window", 1)
        answers = yield [Classify(models, ranking.query.text, ranked.text) for ranked in head]
        return [answer.value for answer in answers]


@part
class Typed(Held):
    """Takes models of one class only, so that no stand-in passes for one."""

    models: dict[str, Closed]  # type: ignore[assignment]


@part
class Listed(Held):
    models: list[ModelRef]


@part
class Around(Stage):
    named: dict[str, StageRef]

    def plan(self, ranking: Any) -> Any:
        for stage in self.named.values():
            ranking = yield from stage.plan(ranking)
        return ranking


@pytest.mark.parametrize(
    "stage",
    [
        Held({"a": Closed()}),
        Held([Closed()]),
        Held({Closed()}),
        Held(frozenset({Closed()})),
        Held(({"a": [Closed()]},)),
        Typed({"a": Closed()}),
        Listed([Closed()]),
        Around({"x": Held({"a": Closed()})}),
    ],
    ids=["mapping", "list", "set", "frozenset", "nested", "of one class", "models", "stages"],
)
def test_no_model_is_reached_in_whatever_container_it_is(stage: Stage) -> None:
    (step,) = stage.explanation(7).steps
    assert [str(asked) for asked in step.asks] == ["7 classify of closed"]
    assert step.error is step.unpredicted is None


@part
class Needy(Scoring):
    """A stage of somebody else that needs what made-up candidates do not have, after a first round."""

    model: ModelRef
    depth: Limit = None
    scale = FUSION

    def scores(self, ranking: Any, head: Any) -> Any:
        yield [Classify(self.model, ranking.query.text, ranked.text) for ranked in head]
        return [float(ranked.candidate.metadata["year"]) for ranked in head]


def test_calls_that_cannot_be_predicted_are_reported_and_the_rest_is_shown() -> None:
    told = (Lexical() | Needy(CHAT) | TopN(2)).explanation(5)
    assert str(told).splitlines()[2:] == [
        "  2. Needy: asks 5 classify of chat, in 1 round; calls cannot be predicted: KeyError('year'); drops",
        "     nothing; scale: fusion",
        "  3. TopN: asks no model; may drop: top_n; scale: fusion",
    ]
    assert [step.unpredicted for step in told.steps] == [None, "KeyError('year')", None]


@pytest.mark.parametrize("candidates", [-1, True, 2.5, "3", None, float("nan"), [3]])
def test_what_is_no_number_of_candidates_is_an_input_error_that_names_it(candidates: Any) -> None:
    with pytest.raises(InputError, match="a number of candidates, 0 or more, got "):
        Lexical().explanation(candidates)


def test_any_whole_number_of_candidates_will_do() -> None:
    assert Lexical().explanation(np.int64(3)) == Lexical().explanation(3)
    assert Lexical().explanation(0).candidates == 0
