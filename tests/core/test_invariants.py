"""Whatever a model answers, a ranking holds every candidate once, and all drivers agree."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.scripted import Chat, grades, order
from tamis import (
    Candidate,
    CrossEncoder,
    Embedding,
    Engine,
    FirstStage,
    Fuse,
    Lexical,
    Listwise,
    MultiCriteria,
    Pointwise,
    Ranking,
    Rebel,
    Threshold,
    TopN,
)
from tamis.calls import Failure
from tamis.criteria import Clarity, Coverage, Criterion, Depth, Diversity, Recency
from tamis.models import Function
from tamis.select.cut import Deduplicate

text = st.one_of(st.text(max_size=30), st.sampled_from(["same", "", "a b", "[1] > [2]", "</passage>", "日本語"]))
candidates = st.lists(
    st.builds(
        Candidate,
        text,
        id=st.one_of(st.none(), st.integers(0, 3)),
        score=st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
        metadata=st.fixed_dictionaries({}, optional={"date": st.sampled_from(["2024-01-01", "x", 5, None])}),
    ),
    max_size=14,
)
entry = st.fixed_dictionaries(
    {"passage": st.one_of(st.integers(-2, 14), st.text(max_size=3))},
    optional={
        "relevance": st.one_of(st.integers(-3, 15), st.text(max_size=4), st.none(), st.booleans()),
        "depth": st.floats(allow_nan=False, allow_infinity=False),
        "reason": st.text(max_size=10),
    },
)
written = st.one_of(
    st.text(max_size=60),
    st.lists(entry, max_size=12).map(lambda entries: json.dumps({"passages": entries})),
    st.lists(entry, max_size=12).map(lambda entries: "Sure!\n```json\n" + json.dumps(entries)[:-3]),
    st.lists(st.integers(-1, 15), max_size=15).map(lambda ids: " > ".join(f"[{i}]" for i in ids)),
    st.lists(st.tuples(st.integers(-1, 12), st.floats(-2, 20)), max_size=8).map(
        lambda lines: "\n".join(f"Doc: {n}, Relevance: {score:.1f}" for n, score in lines)
    ),
    st.builds(Failure, st.just("error"), st.just("no")),
    st.just(None),
)
numbers = st.lists(st.one_of(st.floats(), st.just("x"), st.builds(Failure, st.just("error"), st.just(""))), min_size=1)


def by_call(answers: list[Any], capability: Any) -> Function:
    """A model whose answer depends on nothing but the call, so that every driver gets the same."""

    def answer(call: Any) -> Any:
        seen = "".join(m.content for m in getattr(call, "messages", ())) + getattr(call, "text", "")
        found = answers[sum(map(ord, seen)) % len(answers)]
        if found is None:
            raise RuntimeError("scripted")
        return found

    return Function(answer, capability)


def check(stage: Any, given_candidates: list[Candidate]) -> Ranking:
    engine = Engine(retries=0, cache=None)
    before = Ranking.of("what is [1] {this}?", given_candidates)
    ranking = engine.rerank(stage, before.query, given_candidates)
    seen = sorted([*ranking.positions, *(dropped.position for dropped in ranking.dropped)])
    assert seen == list(range(len(given_candidates)))
    assert all(r.score is None or abs(r.score) < float("inf") for r in ranking.kept)
    assert all(0 <= p < len(given_candidates) for notice in ranking.warnings for p in notice.positions)
    assert [given_candidates[r.position] is r.candidate for r in ranking.kept] == [True] * len(ranking.kept)
    many = engine.rerank_many(stage, [before, before])
    in_loop = asyncio.run(engine.arerank(stage, before.query, given_candidates))
    for other in (*many, in_loop):
        assert (other.kept, other.dropped, other.warnings) == (ranking.kept, ranking.dropped, ranking.warnings)
    return ranking


@settings(max_examples=250)
@given(given_candidates=candidates, answers=st.lists(written, min_size=1, max_size=4), batch=st.integers(1, 5))
def test_rebel_is_whole_whatever_the_model_writes(given_candidates: Any, answers: Any, batch: int) -> None:
    model = by_call(answers, "generate")
    check(Rebel(model, batch_size=batch), given_candidates)
    check(Rebel(model, criteria="infer", combine="normalised") | TopN(3), given_candidates)


@settings(max_examples=250)
@given(given_candidates=candidates, answers=st.lists(written, min_size=1, max_size=4), size=st.integers(2, 6))
def test_listwise_is_whole_whatever_the_model_writes(given_candidates: Any, answers: Any, size: int) -> None:
    model = by_call(answers, "generate")
    check(Listwise(model, window=size, stride=1 + size // 2, passes=2), given_candidates)
    check(Fuse((Listwise(model, depth=3), Rebel(model), Lexical())), given_candidates)


@settings(max_examples=250)
@given(given_candidates=candidates, answers=numbers, depth=st.one_of(st.none(), st.integers(1, 8)))
def test_scoring_stages_are_whole_whatever_the_model_scores(given_candidates: Any, answers: Any, depth: Any) -> None:
    check(CrossEncoder(by_call(answers, "classify"), depth=depth) | Threshold(0.0) | TopN(4), given_candidates)
    pairs = by_call([a if isinstance(a, Failure) else [a, -1.0] for a in answers], "choice_logprobs")
    check(Pointwise(pairs, depth=depth), given_candidates)
    vectors = by_call([a if isinstance(a, Failure) else [a, 1.0] for a in answers], "embed")
    check(Embedding(vectors, depth=depth) & FirstStage(), given_candidates)


@settings(max_examples=250)
@given(
    given_candidates=candidates,
    combine=st.sampled_from(["composite", "normalised", "weighted", "lexicographic", "pareto"]),
    gate=st.one_of(st.none(), st.floats(0, 10)),
)
def test_model_free_criteria_are_whole(given_candidates: Any, combine: Any, gate: Any) -> None:
    criteria: list[Any] = [Depth(), Clarity(), Coverage(), Recency()]
    if combine in ("composite", "normalised", "weighted"):
        criteria.append(Diversity())
    stage = Deduplicate() | Lexical() | MultiCriteria(criteria=tuple(criteria), combine=combine, gate=gate)
    check(stage, given_candidates)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 10), min_size=1, max_size=9))
def test_a_perfect_judge_gives_the_exact_order(relevance: list[int]) -> None:
    given_candidates = [Candidate(f"{grade}") for grade in relevance]
    exact = sorted(range(len(relevance)), key=lambda index: -relevance[index])
    by_number = Chat(lambda call: grades(call, lambda passage: {"relevance": int(passage)}))
    stage = Rebel(by_number, criteria=(Criterion("depth", weight=0.0),), gate=None)
    assert list(stage.rerank("q", given_candidates).positions) == exact
    ordered = Listwise(Chat(lambda call: order(call, float))).rerank("q", given_candidates)
    assert [relevance[p] for p in ordered.positions] == sorted(relevance, reverse=True)
