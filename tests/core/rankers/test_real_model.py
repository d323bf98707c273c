"""Every judge against models that really run: whatever they say, nothing is lost, and what they cannot say is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.fixtures import LLMServer
from tamis import Groupwise, Listwise, Pairwise, Pointwise, QueryLikelihood, Setwise, Stage, Tournament
from tamis.judges import Choice, Grades, Identifiers, Labels, Permutation, Preference, Thinking
from tamis.schedules import AllPairs, Heap

pytestmark = pytest.mark.model

TEXTS = ["A recipe for soup.", "Everest is 8849 m tall.", "K2 is 8611 m tall.", "Rivers carry water."]
GRADED = Labels(("0", "1", "2"), (0, 1, 2), "expected")
STAGES: dict[str, Callable[[Any], Stage]] = {
    "labels": lambda m: Pointwise(m),
    "graded labels": lambda m: Pointwise(m, judge=GRADED),
    "labels after a thought": lambda m: Pointwise(m, judge=Thinking(GRADED, budget=12)),
    "labels after an empty thought": lambda m: Pointwise(m, judge=Thinking(Labels(), "empty")),
    "pairs": lambda m: Pairwise(m, None, AllPairs("soft"), Preference(ties=False)),
    "written pairs": lambda m: Pairwise(m, None, Heap(2), Preference("text")),
    "sets": lambda m: Setwise(m, judge=Choice()),
    "names": lambda m: Listwise(m, judge=Identifiers(opening="[")),
    "orders after a thought": lambda m: Listwise(m, judge=Thinking(Permutation(), budget=12)),
    "tournament": lambda m: Tournament(m, size=2, top=2),
    "grades": lambda m: Groupwise(m, size=2, judge=Grades(high=3)),
}


def check(ranking: Any) -> None:
    assert sorted(ranking.positions) == list(range(len(TEXTS)))
    assert ranking.usage.failed == 0
    assert ranking.usage.calls > 0
    stage = next(iter(ranking.monitors)).partition(".")[0]
    assert ranking.degraded == (ranking.monitors[f"{stage}.degraded"] > 0)


@pytest.mark.parametrize("name", [*STAGES, "query likelihood"])
def test_a_causal_model_in_this_process(name: str, tiny_lm_folder: Path) -> None:
    from tamis.models import CausalLM

    model = CausalLM(str(tiny_lm_folder), device="cpu", dtype="float32", max_length=4096)
    stages = {**STAGES, "query likelihood": lambda m: QueryLikelihood(m)}
    ranking = stages[name](model).rerank("how tall is Everest?", TEXTS)
    check(ranking)
    if name in ("labels", "graded labels", "names", "query likelihood"):
        assert not ranking.degraded


@pytest.mark.parametrize("name", ["labels", "pairs", "sets", "grades"])
def test_a_small_model_behind_a_server(name: str, llm_server: LLMServer) -> None:
    from tamis.models import OpenAIChat

    model = OpenAIChat(llm_server.model, base_url=llm_server.url, max_concurrency=2)
    check(STAGES[name](model).rerank("how tall is Everest?", TEXTS))
