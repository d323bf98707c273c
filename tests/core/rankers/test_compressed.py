"""A cross-encoder that reads passages compressed beforehand, and one that leaves something for a generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tamis import CrossEncoder, Embedding, Engine, LateInteraction, Query, TopN, load
from tamis.engine import DiskVectors
from tamis.engine.cache import DiskCache, cache_key
from tamis.errors import CapabilityError
from tamis.models import CostOnly, Function, OnnxTokenEmbedder
from tamis.rankers.early_exit import EarlyExit
from tamis.rankers.late_interaction import max_sim
from tamis.rankers.passages import Passages
from tamis.stage.base import flattened
from tamis.values.answers import Failure, Score
from tamis.values.calls import ClassifyVectors, EmbedTokens
from tamis.values.scale import LOGIT

TEXTS = ["a b", "b b b", "c", "a a c"]


def counts(call: EmbedTokens) -> Any:
    """Two vectors of a text: how often it has each letter, and its length."""
    return [[call.text.count(letter) for letter in "abc"], [len(call.text), 0, 0]]


def asked_for(call: ClassifyVectors) -> float:
    return float(call.vectors[0]["abc".index(call.query)])


def pair(**failing: str) -> tuple[Any, Any]:
    """A compressor and a scorer that reads what it makes; each fails where `failing` says."""

    def compress(call: EmbedTokens) -> Any:
        return Failure("error", "no room") if call.text == failing.get("compressor") else counts(call)

    return Function(asked_for, "classify_vectors", scale=LOGIT), Function(compress, "embed_tokens")


def test_the_scorer_reads_vectors_and_no_text() -> None:
    scorer, compressor = pair()
    ranking = CrossEncoder(scorer, compressor=compressor).rerank("b", TEXTS)
    assert [(r.position, r.score) for r in ranking.kept] == [(1, 3.0), (0, 1.0), (2, 0.0), (3, 0.0)]
    assert ranking.scale == LOGIT
    assert ranking.usage.rounds == 2
    assert ranking.usage.calls == 2 * len(TEXTS)


def test_what_could_not_be_compressed_keeps_its_place() -> None:
    scorer, compressor = pair(compressor="c")
    ranking = CrossEncoder(scorer, compressor=compressor).rerank("b", TEXTS)
    assert ranking.positions == (1, 0, 2, 3)
    assert ranking.kept[2].score is None
    assert "no room" in str(ranking.warnings[0])
    assert CrossEncoder(scorer, compressor=compressor).rerank("b", ["c"]).degraded


def test_compressed_passages_are_kept_and_scores_too() -> None:
    made = []
    _, compressor = pair()
    compressor = Function(lambda call: made.append(call.text) or counts(call), "embed_tokens")
    compressor.cache_key = "compressor"
    scorer = Function(asked_for, "classify_vectors")
    scorer.cache_key = "scorer"
    engine = Engine()
    stage = CrossEncoder(scorer, compressor=compressor)
    first = engine.rerank(stage, "b", TEXTS)
    other = engine.rerank(stage, "a", TEXTS)
    again = engine.rerank(stage, "b", TEXTS)
    # The calls of a round run side by side, so their order is the threads' business.
    assert sorted(made) == sorted(TEXTS), "each once, for all queries"
    assert (other.usage.calls, again.usage.calls) == (4, 0)
    assert again.positions == first.positions != other.positions


def test_vectors_that_differ_far_inside_are_asked_for_apart() -> None:
    model = Function(asked_for, "classify_vectors")
    model.cache_key = "scorer"
    numbers = np.zeros((40, 100), np.float32)
    other = numbers.copy()
    other[20, 50] = 1
    assert repr(numbers) == repr(other)
    keys = {cache_key(ClassifyVectors(model, "q", array)) for array in (numbers, other, numbers.reshape(100, 40))}
    assert len(keys) == 3


def test_with_long_documents_and_early_exit() -> None:
    scorer, compressor = pair()
    cut = CrossEncoder(scorer, compressor=compressor, passages=Passages(words=2, overlap=0))
    assert [r.score for r in cut.rerank("b", ["a a b b", "b a a a"]).kept] == [2.0, 1.0]
    stage = CrossEncoder(scorer, compressor=compressor, early_exit=EarlyExit(top=1, patience=2, block=2))
    assert stage.rerank("b", ["b b", "b", "c", "c", "c", "c"]).usage.calls == 8


def test_dry_run_counts_the_vectors_the_scorer_would_read() -> None:
    model = CostOnly(architecture="bge-reranker-v2-m3")
    report = Engine().dry_run(CrossEncoder(model, compressor=model), "tall mountain", ["Everest " * 50] * 10)
    plain = Engine().dry_run(CrossEncoder(model), "tall mountain", ["Everest " * 50] * 10)
    assert report.calls == 2 * plain.calls
    assert report.tokens_in < 2 * plain.tokens_in


def test_what_a_model_cannot_do_is_said_when_the_stage_is_made() -> None:
    scorer, compressor = pair()
    with pytest.raises(CapabilityError, match="classify_vectors"):
        CrossEncoder(compressor, compressor=compressor)
    with pytest.raises(CapabilityError, match="compressor of CrossEncoder"):
        CrossEncoder(scorer, compressor=scorer)


def test_as_data() -> None:
    scorer, compressor = pair()
    data = {"cross_encoder": {"model": "scorer", "compressor": "memory"}}
    models = {"scorer": scorer, "memory": compressor}
    assert list(flattened(load([data], models=models))) == [CrossEncoder(scorer, compressor=compressor)]


def with_compressed(call: Any) -> Score:
    return Score(float(call.text.count(call.query)), compressed=call.text.upper())


def test_what_a_scorer_makes_for_a_generator_comes_back_through_later_stages() -> None:
    scorer = Function(with_compressed, "classify")
    letters = Function(lambda call: [call.text.count(letter) for letter in "abc"], "embed")
    ranking = (CrossEncoder(scorer) | Embedding(letters) | TopN(3)).rerank("a", TEXTS)
    assert [r.compressed for r in ranking.kept] == [TEXTS[r.position].upper() for r in ranking.kept]
    assert ranking.dropped[0].ranked.compressed == TEXTS[ranking.dropped[0].position].upper()
    plain = CrossEncoder(Function(asked_for, "classify_vectors"), compressor=pair()[1]).rerank("a", TEXTS)
    assert [r.compressed for r in plain.kept] == [None] * 4


def test_a_compressed_passage_is_of_a_document_that_is_one_passage() -> None:
    stage = CrossEncoder(Function(with_compressed, "classify"), passages=Passages(words=2, overlap=0))
    assert [r.compressed for r in stage.rerank("a", ["a b", "c c c"]).kept] == ["A B", None]


def test_answers_with_a_compressed_passage_are_made_anew(tmp_path: Path) -> None:
    scorer = Function(with_compressed, "classify")
    scorer.cache_key = "scorer"
    engine = Engine(cache=str(tmp_path / "answers.sqlite"))
    usages = [engine.rerank(CrossEncoder(scorer), "a", TEXTS).usage for _ in range(2)]
    assert [usage.calls for usage in usages] == [4, 4]
    kept = DiskCache(tmp_path / "plain.sqlite")
    kept.put(b"key", Score(1.5, tokens_in=3))
    assert kept.get(b"key") == Score(1.5, tokens_in=3)


def test_the_instruction_reaches_the_scorer() -> None:
    told = []
    scorer = Function(lambda call: told.append(call.instruction) or 0.0, "classify_vectors")
    CrossEncoder(scorer, compressor=pair()[1]).rerank(Query("a", instruction="short ones"), TEXTS[:1])
    assert told == ["short ones"]


@pytest.mark.model
def test_a_real_encoder_as_the_memory(onnx_embedder_folder: Path, tmp_path: Path) -> None:
    """Token vectors read by a scorer of their own give what late interaction gives, and are made once."""
    tokens = OnnxTokenEmbedder(onnx_embedder_folder)
    texts = ["Soup is boiled slowly.", "Mount Everest is 8,849 metres tall.", "K2 is a tall mountain."]

    def scored(call: ClassifyVectors) -> float:
        (query,) = tokens.embed_tokens([EmbedTokens(tokens, call.query, "query")])
        return float(max_sim(query.values, [call.vectors])[0] / len(query.values))

    stage = CrossEncoder(Function(scored, "classify_vectors"), compressor=tokens)
    expected = LateInteraction(tokens).rerank("how tall is Everest?", texts)
    for calls in (6, 3):
        ranking = Engine(vectors=DiskVectors(tmp_path / "memory")).rerank(stage, "how tall is Everest?", texts)
        assert ranking.positions == expected.positions == (1, 2, 0)
        assert [r.score for r in ranking.kept] == pytest.approx([r.score for r in expected.kept], abs=1e-6)
        assert ranking.usage.calls == calls
