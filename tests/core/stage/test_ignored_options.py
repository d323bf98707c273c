"""An option that another one switches off is refused, and the message says which of the two to drop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, replace
from typing import Any, get_args, get_type_hints

import pytest

from support.stages import STAGES_MADE
from tamis import (
    Abstain,
    Cover,
    CrossEncoder,
    DynamicK,
    DynamicRAG,
    Facets,
    FirstStage,
    Fuse,
    Graph,
    Groupwise,
    Lexical,
    Listwise,
    MultiCriteria,
    Pairwise,
    Place,
    Pointwise,
    Refinement,
    Setwise,
    Stage,
)
from tamis.criteria import Field
from tamis.errors import ConfigError, TamisError
from tamis.judges import Choice, Labels, Permutation, Thinking
from tamis.models import CostOnly
from tamis.parts.dump import changed
from tamis.parts.family import snake
from tamis.parts.options import usual
from tamis.rankers.early_exit import EarlyExit
from tamis.rankers.judged import Judged
from tamis.rankers.passages import Passages
from tamis.recipes.load import load
from tamis.schedules import Champion, Heap, Partition, Sliding, Staged
from tamis.schedules.base import SCHEDULES, Schedule
from tamis.select import Abstention, Artefact, Max
from tamis.select.policies.thresholds import Calibrated
from tamis.select.reward import CheapReward

M = CostOnly()
CASES: list[tuple[Callable[[], Any], str]] = [
    (lambda: Listwise(M, window=5, stride=2, schedule=Sliding()), "window and stride have no effect with a schedule. Drop them, or the schedule"),
    (lambda: Listwise(M, window=20, schedule=Heap()), "window has no effect with a schedule"),
    (lambda: Listwise(M, passage_tokens=32, judge=Permutation()), "passage_tokens has no effect with a judge. Drop it, or give it to the judge"),
    (lambda: Listwise(M, top=5), "top has no effect with Sliding"),
    (lambda: Pointwise(M, labels=("true", "false"), passage_tokens=32, judge=Labels()), "labels and passage_tokens have no effect with a judge"),
    (lambda: Pairwise(M, top=3), "top has no effect with AllPairs"),
    (lambda: Pairwise(M, schedule=Champion(), top=3), "top has no effect with Champion"),
    (lambda: Setwise(M, schedule=Staged(), top=3), "top has no effect with Staged"),
    (lambda: Groupwise(M, seed=1), "seed has no effect in one epoch"),
    (lambda: Partition(seed=1), "seed has no effect in one epoch"),
    (lambda: Fuse((FirstStage(), Lexical()), method="weighted", k=10), "k has no effect with method='weighted'"),
    (lambda: DynamicRAG(M, combine="best", temperature=0.9), "combine and temperature have no effect with one sample. Drop them, or take more samples"),
    (lambda: DynamicRAG(M, reward=CheapReward()), "reward has no effect with one sample"),
    (lambda: DynamicRAG(M, samples=3, reward=CheapReward()), "reward has no effect with combine='consensus'"),
    (lambda: Refinement(given_vectors=True), "given_vectors has no effect without a model"),
    (lambda: Graph(given_vectors=True), "given_vectors has no effect without a model"),
    (lambda: Graph(model=M), "model has no effect with edges that compare no vectors"),
    (lambda: Place("ends", field="date"), "field has no effect with order='ends'"),
    (lambda: Facets(Lexical(), ("cost",), read=3), "read has no effect with facets that are given"),
    (lambda: Cover(batch_size=3, field="answers"), "batch_size has no effect without a model"),
    (lambda: Abstain(Artefact("incoming", "logit", Abstention(Max())), confidence="gap"), "confidence has no effect with an artefact"),
    (lambda: CrossEncoder(M, depth=50, early_exit=EarlyExit()), "early_exit has no effect within depth=50: it reads 60"),
    (lambda: Passages(aggregate="first", at_most=3), "at_most has no effect with aggregate='first'"),
    (lambda: Passages(count=2), "count has no effect with aggregate='max'"),
    (lambda: MultiCriteria(M, criteria=[Field("stars", low=0, high=5)]), "model has no effect as it grades no criterion"),
    (lambda: MultiCriteria(criteria=[Field("stars", low=0, high=5)], batch_size=3, reasons=False), "batch_size and reasons have no effect"),
    (lambda: DynamicK("fixed", ties="out"), "ties has no effect with the policy fixed"),
    (lambda: Calibrated(0.5, noise=2.0), "noise has no effect with a threshold. Drop it, or the threshold"),
    (lambda: Thinking(Choice(), how="empty", budget=10), "budget has no effect with how='empty'"),
    (lambda: Thinking(Choice(), how="empty", expected=10), "expected has no effect with how='empty'"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "said"), CASES, ids=[said.split(".")[0] for _, said in CASES])
def test_an_option_that_another_one_switches_off_is_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


def test_what_is_refused_in_code_is_refused_in_a_file() -> None:
    with pytest.raises(ConfigError, match="window has no effect with a schedule"):
        load([{"listwise": {"model": "llm", "window": 20, "schedule": "heap"}}], models={"llm": M})


def test_an_option_that_is_left_out_has_its_usual_value_and_is_not_written() -> None:
    assert (Listwise(M).window, Listwise(M, window=20)) == (20, Listwise(M))
    assert "window=20" in repr(Listwise(M))
    assert changed(Fuse((Lexical(),), k=60)) == {"stages": (Lexical(),)}
    assert changed(Listwise(M, schedule=Heap())).keys() == {"model", "schedule"}
    assert replace(Listwise(M, schedule=Heap()), schedule=None) == Listwise(M)
    with pytest.raises(ConfigError, match="window"):
        Listwise(M, window=1)


def others(stage: Stage) -> Iterator[tuple[str, Stage]]:
    """`stage` with another value in one of its fields, where that is not refused."""
    for f in fields(stage):  # type: ignore[arg-type]
        named = [choice for choice in get_args(get_type_hints(type(stage))[f.name]) if isinstance(choice, str)]
        for choice in [2, 3, 64, True, ("a", "b"), *named, *([] if f.default is MISSING else [f.default])]:
            try:
                other = replace(stage, **{f.name: choice})  # type: ignore[type-var]
            except (TamisError, TypeError):
                continue
            if getattr(other, f.name) != getattr(stage, f.name):
                yield f.name, other


def asked(stage: Judged) -> Any:
    judge, schedule = stage.asks
    first = stage.first if schedule.takes_top else None
    return judge, schedule, first, stage.depth, stage.model


@pytest.mark.parametrize("stage", [s for s in STAGES_MADE if isinstance(s, Judged)], ids=lambda s: type(s).__name__)
def test_every_option_of_a_judged_stage_changes_what_is_asked_or_is_refused(stage: Judged) -> None:
    for name, other in others(stage):
        assert isinstance(other, Judged)
        assert name == "top" or asked(other) != asked(stage), (name, other)


def test_options_with_a_usual_value_are_fields_that_may_be_left_out() -> None:
    for stage in STAGES_MADE:
        options = {f.name: f.default for f in fields(stage)}  # type: ignore[arg-type]
        assert all(options[name] is None for name in usual(type(stage)))


def run(schedule: Schedule, top: int | None) -> list[Any]:
    """What a schedule asks about 45 places of a judge that likes them as they are."""
    plan, asked = schedule.run(45, top), []
    try:
        batch = next(plan)
        while True:
            asked.append(batch)
            batch = plan.send([_answer(schedule, shown) for shown in batch])
    except StopIteration:
        return asked


def _answer(schedule: Schedule, shown: tuple[int, ...]) -> Any:
    best = sorted(shown, reverse=True)
    scores: list[float] = [float(place) for place in shown]
    return {"order": best, "scores": scores, "preferences": float(shown[0] == best[0])}[schedule.answers]


SIMPLE = [SCHEDULES.build(name) for name in SCHEDULES.members if name != "until_settled"]


@pytest.mark.parametrize("schedule", SIMPLE, ids=lambda schedule: snake(type(schedule).__name__))
def test_a_schedule_that_takes_no_top_asks_the_same_for_any(schedule: Schedule) -> None:
    if not schedule.takes_top:
        assert run(schedule, 1) == run(schedule, 5) == run(schedule, None)
    else:
        assert len({repr(run(schedule, top)) for top in (1, 5, 10, 40)}) > 1
