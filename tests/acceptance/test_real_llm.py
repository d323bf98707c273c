"""REBEL end to end with real language models: over HTTP on loopback and in this process with transformers.

The models are tiny: these tests claim that prompts, structured answers, log-probabilities and fallbacks work for
real, and that nothing is lost; not that such a model ranks well.
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.fixtures import smollm2
from tamis import Candidate, Engine, Pointwise, Query, Ranking, Rebel, Reranker
from tamis.judges import Asked, Labels
from tamis.models import CausalLM, OpenAIChat
from tamis.values.ranking import Ranked

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

QUERY = "How tall is Mount Everest?"
PASSAGES = [
    Candidate("Bread is baked from flour, water, salt and yeast."),
    Candidate("Mount Everest is 8,849 metres tall, the highest mountain above sea level."),
    Candidate("The Pacific is the largest ocean."),
]


@pytest.fixture(scope="module")
def server_model(llm_server: Any) -> OpenAIChat:
    return OpenAIChat(llm_server.model, base_url=llm_server.url, timeout=300, max_concurrency=2, context_window=2048)


def check_complete(ranking: Ranking) -> None:
    assert sorted([*ranking.positions, *(d.position for d in ranking.dropped)]) == [0, 1, 2]


def check_whole(ranking: Ranking) -> None:
    check_complete(ranking)
    assert ranking.usage.calls > 0
    assert ranking.usage.tokens_in > 0


def test_one_turn_rebel_over_http_grades_every_criterion(server_model: OpenAIChat) -> None:
    ranking = Rebel(server_model, gate=None).rerank(QUERY, PASSAGES[:2])
    assert sorted(ranking.positions) == [0, 1]
    assert ranking.usage.tokens_in > 0
    assert not ranking.degraded, ranking.warnings
    for ranked in ranking.kept:
        assert set(ranked.criteria) == {
            "relevance",
            "depth",
            "diversity",
            "clarity",
            "authoritativeness",
            "recency",
        }
        assert all(grade is not None and 0 <= grade <= 10 for grade in ranked.criteria.values())
        assert ranked.reason


@pytest.mark.soak  # a minute: a small model writes long criteria
def test_two_turn_rebel_over_http_async_and_its_criteria_are_cached(server_model: OpenAIChat) -> None:
    engine, stage = Engine(), Rebel(server_model, criteria="infer", gate=None, reasons=False)
    first = asyncio.run(engine.arerank(stage, QUERY, PASSAGES))
    check_whole(first)
    names = {name for ranked in first.kept for name in ranked.criteria}
    assert "relevance" in names
    assert len(names) >= 3
    again = engine.rerank(stage, QUERY, PASSAGES[:2])
    assert again.usage.cached >= 1


def test_a_preset_with_a_served_model_and_a_deadline_loses_nothing(server_model: OpenAIChat) -> None:
    reranker = Reranker("rebel", models={"llm": server_model}, engine={"deadline": 0.2, "cache": None})
    ranking = reranker.rerank(QUERY, PASSAGES)
    assert ranking.usage.seconds < 5
    assert ranking.degraded
    assert ranking.positions == (0, 1, 2)


def test_pointwise_over_http_reads_real_log_probabilities(server_model: OpenAIChat) -> None:
    ranking = Pointwise(server_model).rerank(QUERY, PASSAGES)
    check_whole(ranking)
    assert all(ranked.score is not None and 0 < ranked.score < 1 for ranked in ranking.kept)


@pytest.fixture(scope="module")
def local_model() -> CausalLM:
    """SmolLM2-135M-Instruct with transformers, from the same GGUF file."""
    transformers = pytest.importorskip("transformers")
    gguf = pytest.importorskip("gguf")
    weights = smollm2()
    options = {"pretrained_model_name_or_path": str(weights.parent), "gguf_file": weights.name}
    with pytest.MonkeyPatch.context() as patch:
        # transformers reads the whole file four times and makes the map of names once per module: half a minute.
        patch.setattr(gguf, "GGUFReader", cache(gguf.GGUFReader))
        patch.setattr(gguf, "get_tensor_name_map", cache(gguf.get_tensor_name_map))
        patch.setattr(np, "memmap", lambda path, **_: np.fromfile(path, np.uint8))
        tokenizer = transformers.AutoTokenizer.from_pretrained(**options)
        return CausalLM.of(transformers.AutoModelForCausalLM.from_pretrained(**options), tokenizer)


def test_pointwise_with_transformers_reads_real_logits(local_model: CausalLM) -> None:
    ranking = Pointwise(local_model).rerank(QUERY, PASSAGES)
    check_whole(ranking)
    assert not ranking.degraded
    assert ranking.positions[0] == 1


def test_a_batch_scores_as_its_members_do_and_labels_are_single_tokens(local_model: CausalLM) -> None:
    """Texts of very different lengths, so that there is padding; SmolLM2's own tokens for the labels judges use."""
    for labels in (("Yes", "No"), ("yes", "no"), ("true", "false"), ("0", "1", "2"), tuple("ABCDEFGHIJKLMNOPQRST")):
        assert set(local_model.verify_labels(labels)) == set(labels)
    texts = ["Tall.", PASSAGES[1].text, "The Pacific is the largest ocean. " * 2]
    asked = [Asked(local_model, Query(QUERY), (Ranked(Candidate(text), 0),)) for text in texts]
    calls = [Labels().call(one) for one in asked]
    together = local_model.choice_logprobs(calls)
    alone = [local_model.choice_logprobs([call])[0] for call in calls]
    for one, other in zip(together, alone, strict=True):
        assert one.values == pytest.approx(other.values, abs=1e-3)  # type: ignore[union-attr]


@pytest.mark.parametrize("deadline", [2, pytest.param(60, marks=pytest.mark.soak)])
@pytest.mark.parametrize("criteria", ["infer", ("depth", "clarity")])
def test_rebel_with_transformers_loses_nothing_whatever_it_writes(
    local_model: CausalLM, criteria: Any, deadline: float
) -> None:
    stage = Rebel(local_model, criteria=criteria, reasons=False, gate=None)
    ranking = Engine(deadline=deadline).rerank(stage, QUERY, PASSAGES)
    check_complete(ranking)
    assert ranking.usage.calls + ranking.usage.failed > 0  # none ends in time on a slow machine


def test_rebel_with_a_random_model_is_the_incoming_order_marked(tiny_lm_folder: Path) -> None:
    ranking = Rebel(CausalLM(tiny_lm_folder), passage_tokens=16, reasons=False).rerank(QUERY, PASSAGES)
    assert ranking.positions == (0, 1, 2)
    assert ranking.degraded
