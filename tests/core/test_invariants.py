"""Whatever a model answers, a ranking holds every candidate once, says what it could not judge, and all drivers agree."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.graphs import trained
from support.scripted import Chat, grades, order
from tamis import (
    DPP,
    MMR,
    Abstain,
    Candidate,
    Cover,
    CrossEncoder,
    Deduplicate,
    DynamicK,
    DynamicRAG,
    Embedding,
    Engine,
    Facets,
    FirstStage,
    Fuse,
    Graph,
    Groupwise,
    Knapsack,
    LateInteraction,
    Learned,
    Lexical,
    Listwise,
    MultiCriteria,
    NearDuplicates,
    Pairwise,
    Pipeline,
    Place,
    Pointwise,
    PseudoQuery,
    Ranking,
    Rebel,
    Refinement,
    Reranker,
    Setwise,
    Stage,
    Threshold,
    TokenBudget,
    TopN,
    Tournament,
    TrainedGraph,
)
from tamis.criteria import Clarity, Coverage, Criterion, Depth, Diversity, Field, Ranker, Recency
from tamis.errors import ModelError
from tamis.graph import Neighbours
from tamis.graph.networks.ebcar import EBCAR
from tamis.graph.networks.hybrank import HybRank
from tamis.graph.networks.network import GRAG
from tamis.judges import Choice, Grades, Head, Identifiers, Joint, Labels, Preference, Repeated, Thinking
from tamis.models import Function
from tamis.schedules import AllPairs, Bubble, Champion, Heap, SampledPairs, Staged, TournamentGraph
from tamis.select.policies.base import POLICIES
from tamis.values.answers import Failure, Generated, Logprobs, Score, Scores, TokenVectors, Vector
from tamis.values.calls import Call
from tamis.values.scale import PROBABILITY

QUERY = "what is [1] {this}?"

odd_text = st.text(st.characters(), max_size=30)
text = st.one_of(
    odd_text,
    st.sampled_from(["same", "", "a b", "[1] > [2]", "</passage>", "日本語", "\ud800", "\x00", "{query}", "e\u0301 é"]),
)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "date": st.one_of(st.sampled_from(["2024-01-01", "x", 5, None, math.nan]), st.datetimes(), odd_text),
        "stars": st.one_of(st.none(), st.floats(), st.integers(), odd_text),
    },
)
candidates = st.lists(
    st.builds(
        Candidate,
        text,
        id=st.one_of(st.none(), st.integers(0, 3)),
        title=st.one_of(st.none(), odd_text),
        score=st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
        metadata=metadata,
        vector=st.one_of(st.none(), st.lists(st.floats(-1, 1), max_size=3).map(tuple)),
    ),
    max_size=14,
)

entry = st.fixed_dictionaries(
    {"passage": st.one_of(st.integers(-2, 14), st.text(max_size=3))},
    optional={
        "relevance": st.one_of(st.integers(-3, 15), st.text(max_size=4), st.none(), st.booleans()),
        "depth": st.floats(),
        "scores": st.dictionaries(st.sampled_from(["relevance", "clarity"]), st.integers(0, 10)),
        "reason": odd_text,
    },
)
named = st.fixed_dictionaries(
    {"name": st.one_of(odd_text, st.sampled_from(["depth", "relevance", "a b", "a-b"]))},
    optional={"description": odd_text, "weight": st.floats()},
)
well_formed = st.lists(st.integers(0, 10), min_size=14, max_size=14).map(
    lambda grades: json.dumps({"passages": [{"passage": n, "relevance": r} for n, r in enumerate(grades, 1)]})
)
written = st.one_of(
    odd_text,
    well_formed,
    st.lists(entry, max_size=12).map(lambda entries: json.dumps({"passages": entries})),
    st.lists(entry, max_size=12).map(lambda entries: "Sure!\n```json\n" + json.dumps(entries)[:-3]),
    st.lists(named, max_size=7).map(lambda entries: json.dumps({"criteria": entries})),
    st.lists(odd_text, max_size=4).map(lambda facets: json.dumps({"facets": facets})),
    st.lists(st.tuples(st.integers(-1, 12), st.lists(odd_text, max_size=2)), max_size=12).map(
        lambda read: json.dumps({"passages": [{"passage": n, "answers": answers} for n, answers in read]})
    ),
    st.sampled_from(["None", "[]", "[2], [1]"]),
    st.lists(st.integers(-1, 15), max_size=15).map(lambda ids: " > ".join(f"[{i}]" for i in ids)),
    st.lists(st.tuples(st.integers(-1, 12), st.floats(-2, 20)), max_size=8).map(
        lambda lines: "\n".join(f"Doc: {n}, Relevance: {score:.1f}" for n, score in lines)
    ),
).map(Generated)
faults = st.sampled_from([Failure("error", "scripted"), RuntimeError("scripted"), ModelError("scripted"), "no answer", "two answers", "no answer's type"])  # fmt: skip
scores = st.floats().map(Score)
lists = st.lists(st.floats(), max_size=6).map(lambda values: Scores(tuple(values)))
logprobs = st.lists(st.floats(), max_size=3).map(lambda values: Logprobs(tuple(values)))
number = st.one_of(st.floats(-1, 1), st.floats(-1, 1), st.sampled_from([math.nan, math.inf, 1e300, 0.0]))
vectors = st.one_of(st.lists(number, min_size=2, max_size=2), st.lists(number, max_size=3)).map(
    lambda values: Vector(tuple(values))
)


matrices = st.lists(st.lists(number, min_size=2, max_size=2), max_size=4).map(
    lambda rows: TokenVectors(np.array(rows, np.float32).reshape(len(rows), -1 if rows else 2))
)


class Odd:
    """A model whose answers are anything, but depend on nothing but the call, so that every driver gets the same."""

    name = "odd"
    max_concurrency = 8
    scale = PROBABILITY

    def __init__(self, **answers: Sequence[Any]) -> None:
        self.answers = answers

    def _answer(self, calls: Sequence[Call]) -> list[Any]:
        (call,) = calls
        seen = repr([getattr(call, name, "") for name in ("messages", "text", "texts", "vectors", "attempt")])
        answers = self.answers[call.capability]
        found = answers[sum(map(ord, seen)) % len(answers)]
        if isinstance(found, Exception):
            raise found
        if isinstance(found, str):
            return {"no answer": [], "two answers": [Score(0.5)] * 2}.get(found, [found])
        return [found]

    generate = classify = classify_vectors = choice_logprobs = embed = embed_tokens = score_list = _answer

    def __repr__(self) -> str:
        return f"Odd({self.answers})"


class TwoWide(Odd):
    """The same, with vectors of at most two numbers: a trained network refuses an embedder of another width."""

    def __init__(self, model: Odd) -> None:
        self.answers = model.answers

    def embed(self, calls: Sequence[Call]) -> list[Any]:
        return [Vector(found.values[:2]) if isinstance(found, Vector) else found for found in self._answer(calls)]


def some(answer: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of(answer, answer, answer, faults), min_size=1, max_size=4)


models = st.builds(
    Odd,
    generate=some(written),
    classify=some(scores),
    classify_vectors=some(scores),
    choice_logprobs=some(logprobs),
    embed=some(vectors),
    embed_tokens=some(matrices),
    score_list=some(lists),
)
depths = st.one_of(st.none(), st.integers(1, 8))
combinations = st.sampled_from(["composite", "normalised", "weighted", "lexicographic", "pareto"])
sums = st.sampled_from(["composite", "normalised", "weighted"])
gates = st.one_of(st.none(), st.floats(0, 10))
sources: list[Any] = [Depth(), Clarity(), Coverage(), Recency(), Field("stars", low=0, high=5, unknown=None)]
criteria = st.lists(st.sampled_from([*sources, Diversity()]), unique_by=repr, max_size=4).map(tuple)

BUILDERS: dict[str, st.SearchStrategy[Callable[[Any], Stage]]] = {
    "lexical": st.builds(lambda depth: lambda model: Lexical(depth=depth), depths),
    "first stage": st.just(lambda model: FirstStage()),
    "cross-encoder": st.builds(lambda depth: lambda model: CrossEncoder(model, depth=depth), depths),
    "cut cross-encoder": st.builds(lambda low: lambda model: CrossEncoder(model) | Threshold(low), st.floats(0, 1)),
    "compressed": st.builds(lambda depth: lambda model: CrossEncoder(model, depth=depth, compressor=model), depths),
    "embedding": st.builds(
        lambda depth, given: lambda model: Embedding(model, depth=depth, given_vectors=given), depths, st.booleans()
    ),
    "pseudo-query": st.builds(
        lambda depth, given, first: lambda model: PseudoQuery(model, first=first, depth=depth, given_vectors=given),
        depths,
        st.booleans(),
        st.integers(1, 4),
    ),
    "late interaction": st.builds(lambda depth: lambda model: LateInteraction(model, depth=depth), depths),
    "graph": st.builds(
        lambda depth, method, seeds: lambda model: Graph(method=method, seeds=seeds, depth=depth),
        depths,
        st.sampled_from(["lift", "propagation", "pagerank", "anchors"]),
        st.one_of(st.none(), st.integers(1, 3)),
    ),
    "graph by vectors": st.builds(
        lambda given: lambda model: Graph((Neighbours("vectors"),), model=model, given_vectors=given), st.booleans()
    ),
    "refinement": st.builds(
        lambda depth, given, method: lambda model: Refinement(model, method, depth, given),
        depths,
        st.booleans(),
        st.sampled_from(["rocchio", "alpha_qe", "superglobal", "smoothing"]),
    ),
    "trained graph": st.builds(
        lambda depth, network: lambda model: TrainedGraph(network, TwoWide(model), depth),
        depths,
        st.sampled_from(
            [
                trained(network, dims=2, embedder="odd")
                for network in (GRAG(), GRAG(features="embedding", paths="words"), HybRank(2, 8), EBCAR(hidden=8))
            ]
        ),
    ),
    "learned": st.builds(
        lambda depth, embedded, unscored, explain: (
            lambda model: Learned(model if embedded else None, unscored, depth, explain)
        ),
        depths,
        st.booleans(),
        st.sampled_from(["order", "unknown"]),
        st.booleans(),
    ),
    "pointwise": st.builds(lambda depth: lambda model: Pointwise(model, depth=depth), depths),
    "listwise": st.builds(
        lambda depth, size, passes: lambda model: Listwise(model, depth, size, 1 + size // 2, passes),
        depths,
        st.integers(2, 6),
        st.integers(1, 2),
    ),
    "listwise by a graph": st.builds(
        lambda depth, size: lambda model: Listwise(model, depth, schedule=TournamentGraph(size), top=5),
        depths,
        st.integers(2, 6),
    ),
    "pairwise": st.builds(
        lambda depth, schedule, ties: (
            lambda model: Pairwise(
                model,
                depth,
                schedule,
                Preference(ties=ties and not isinstance(schedule, SampledPairs)),
                top=3 if schedule.takes_top else None,
            )
        ),
        depths,
        st.sampled_from([AllPairs(), AllPairs("bradley_terry"), SampledPairs(2), Champion(), Heap(2), Bubble(1)]),
        st.booleans(),
    ),
    "setwise": st.builds(
        lambda depth, schedule, judge: (
            lambda model: Setwise(model, depth, schedule, judge, top=4 if schedule.takes_top else None)
        ),
        depths,
        st.sampled_from([Heap(2), Heap(5), Bubble(2), Staged(4, repeats=2)]),
        st.sampled_from([Choice(), Identifiers(), Thinking(Choice()), Repeated(Choice(), 2), Grades()]),
    ),
    "tournament": st.builds(
        lambda depth, keep: lambda model: Tournament(model, depth, 5, keep), depths, st.integers(1, 2)
    ),
    "groupwise": st.builds(
        lambda depth, size, epochs: lambda model: Groupwise(model, depth, size, epochs),
        depths,
        st.integers(1, 6),
        st.integers(1, 3),
    ),
    "joint groups": st.builds(
        lambda depth, size, epochs: lambda model: Groupwise(model, depth, size, epochs, judge=Joint()),
        depths,
        st.integers(1, 6),
        st.integers(1, 3),
    ),
    "joint windows": st.builds(
        lambda depth, size: lambda model: Listwise(model, depth, size, 1 + size // 2, judge=Joint()),
        depths,
        st.integers(2, 6),
    ),
    "thinking pointwise": st.builds(
        lambda depth, judge: lambda model: Pointwise(model, depth, judge=judge),
        depths,
        st.sampled_from([Thinking(Labels(("0", "1", "2"), (0, 1, 2), "expected")), Labels(readout="margin"), Head()]),
    ),
    "rebel": st.builds(
        lambda depth, batch, anchors, combine, gate: (
            lambda model: Rebel(model, depth=depth, batch_size=batch, anchors=anchors, combine=combine, gate=gate)
        ),
        depths,
        st.integers(1, 5),
        st.integers(0, 2),
        combinations,
        gates,
    ),
    "two-turn rebel": st.builds(
        lambda batch, combine: lambda model: Rebel(model, criteria="infer", batch_size=batch, combine=combine),
        st.integers(1, 14),
        combinations,
    ),
    "criteria without a model": st.builds(
        lambda chosen, combine, gate: lambda model: MultiCriteria(criteria=chosen, combine=combine, gate=gate),
        criteria,
        sums,
        gates,
    ),
    "criteria by a stage": st.builds(
        lambda combine: (
            lambda model: MultiCriteria(criteria=[Criterion("by", source=Ranker(CrossEncoder(model)))], combine=combine)
        ),
        combinations,
    ),
    "dynamic k": st.builds(
        lambda depth, policy, k_min, ties: (
            lambda model: (
                CrossEncoder(model, depth=depth)
                | (
                    DynamicK(policy, k_min, k_min + 3)
                    if policy == "fixed"
                    else DynamicK(policy, k_min, k_min + 3, ties)
                )
            )
        ),
        depths,
        st.sampled_from(sorted(set(POLICIES.members) - {"conformal_recall", "at_least", "near_best"})),
        st.integers(0, 3),
        st.sampled_from(["in", "out"]),
    ),
    "abstain": st.builds(
        lambda sure, at: lambda model: CrossEncoder(model, depth=4) | Abstain(confidence=sure, threshold=at),
        st.sampled_from(["max", "std", "gap"]),
        st.floats(0, 1),
    ),
    "variety": st.builds(
        lambda make, embedded, given: (
            lambda model: CrossEncoder(model) | make(0.5, model if embedded else None, 6, given)
        ),
        st.sampled_from([MMR, DPP]),
        st.booleans(),
        st.booleans(),
    ),
    "facets": st.builds(
        lambda given, low: (
            lambda model: Facets(
                CrossEncoder(model) | Threshold(low), ("a", "b") if given else None, None if given else model
            )
        ),
        st.booleans(),
        st.floats(0, 1),
    ),
    "cover": st.builds(
        lambda depth, asked, size: (
            lambda model: Cover(model, depth=depth, batch_size=size) if asked else Cover(depth=depth)
        ),
        depths,
        st.booleans(),
        st.integers(1, 5),
    ),
    "near duplicates": st.builds(lambda s: lambda model: NearDuplicates(s, words=1), st.floats(0.1, 1)),
    "token budget": st.builds(
        lambda tokens, full: lambda model: TokenBudget(tokens, full=full, truncate="never"),
        st.integers(1, 12),
        st.sampled_from(["skip", "stop"]),
    ),
    "knapsack": st.builds(lambda tokens: lambda model: CrossEncoder(model) | Knapsack(tokens), st.integers(1, 20)),
    "place": st.builds(
        lambda order: lambda model: Place(order), st.sampled_from(["ends", "oldest_first", "newest_first", "by_source"])
    ),
    "dynamic rag": st.builds(
        lambda depth, window, samples, combine, k_min: (
            lambda model: DynamicRAG(
                model, depth, k_min, None, window, samples, **({"combine": combine} if samples > 1 else {})
            )
        ),
        depths,
        st.integers(2, 6),
        st.integers(1, 3),
        st.sampled_from(["consensus", "best"]),
        st.integers(0, 2),
    ),
    "top n": st.builds(lambda n: lambda model: TopN(n), st.integers(1, 5)),
    "deduplicate": st.builds(lambda by: lambda model: Deduplicate(by=by), st.sampled_from(["text", "id"])),
}
CHOOSING = {"top n", "deduplicate", "near duplicates", "token budget", "cover", "place", "variety"}
"""Leave or move the scores that candidates come in with."""
stages: st.SearchStrategy[Callable[[Any], Stage]] = st.recursive(
    st.one_of(*BUILDERS.values()),
    lambda inner: st.one_of(
        st.builds(lambda a, b: lambda model: a(model) | b(model), inner, inner),
        st.builds(lambda a, b: lambda model: a(model) & b(model), inner, inner),
        st.builds(
            lambda parts: lambda model: Pipeline(tuple(part(model) for part in parts)), st.lists(inner, max_size=3)
        ),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def check_whole(ranking: Ranking, given: list[Candidate]) -> None:
    """Kept and dropped are exactly the input; scores are finite or none; notices and reasons name what exists."""
    assert sorted([*ranking.positions, *(dropped.position for dropped in ranking.dropped)]) == list(range(len(given)))
    read = Ranking.of(QUERY, given, scores="detect").candidates  # distances are negated
    for ranked in (*ranking.kept, *(dropped.ranked for dropped in ranking.dropped)):
        assert ranked.candidate == read[ranked.position]
        assert ranked.score is None or math.isfinite(ranked.score)
        assert all(value is None or math.isfinite(value) for value in ranked.criteria.values())
    for notice in ranking.warnings:
        assert all(0 <= position < len(given) for position in notice.positions)
        assert str(notice)
    assert ranking.usage.calls >= 0


def check_sorted(ranking: Ranking) -> None:
    known = [ranked.score for ranked in ranking.kept if ranked.score is not None]
    assert known == sorted(known, reverse=True)


def check_unjudged_are_named(ranking: Ranking) -> None:
    """For a stage that judges all: what has no score is in a degraded notice, and what is in none has a score."""
    named = {position for notice in ranking.warnings if notice.degraded for position in notice.positions}
    assert {ranked.position for ranked in ranking.kept if ranked.score is None} <= named


def same(a: Ranking, b: Ranking) -> bool:
    return (a.kept, a.dropped, a.warnings, a.scale) == (b.kept, b.dropped, b.warnings, b.scale)


@examples(300)
@given(build=stages, model=models, given_=candidates)
def test_every_composition_is_whole_and_deterministic(build: Any, model: Odd, given_: list[Candidate]) -> None:
    stage, engine = build(model), Engine(retries=0, cache=None)
    ranking = engine.rerank(stage, QUERY, given_)
    check_whole(ranking, given_)
    assert same(ranking, engine.rerank(stage, QUERY, given_))


@examples(75)
@given(build=stages, model=models, pools=st.lists(candidates, min_size=2, max_size=3))
def test_sync_async_and_many_agree(loop: asyncio.Runner, build: Any, model: Odd, pools: list[list[Candidate]]) -> None:
    stage, engine = build(model), Engine(retries=0, cache=None)
    one_by_one = [engine.rerank(stage, QUERY, pool) for pool in pools]
    rankings = [Ranking.of(QUERY, pool, scores="detect") for pool in pools]
    many = engine.rerank_many(stage, rankings)
    in_loop = loop.run(engine.arerank_many(stage, rankings))
    alone = loop.run(engine.arerank(stage, QUERY, pools[0]))
    assert all(map(same, one_by_one, many))
    assert all(map(same, one_by_one, in_loop))
    assert same(one_by_one[0], alone)


@pytest.mark.parametrize("name", BUILDERS)
@examples(30)
@given(data=st.data(), model=models, given_=candidates, n=st.integers(1, 5))
def test_each_stage_alone_is_whole_sorted_and_respects_top_n(
    name: str, data: st.DataObject, model: Odd, given_: list[Candidate], n: int
) -> None:
    stage = data.draw(BUILDERS[name])(model)
    engine = Engine(retries=0, cache=None)
    ranking = engine.rerank(stage, QUERY, given_)
    check_whole(ranking, given_)
    if name not in CHOOSING:
        check_sorted(ranking)
    cut = Reranker(stage, top_n=n, engine=engine).rerank(QUERY, given_)
    best = engine.rerank(TopN(n) | stage, QUERY, given_) if isinstance(stage, Place) else ranking
    assert cut.kept == best.kept[:n]
    assert {dropped.why for dropped in cut.dropped[len(ranking.dropped) :]} <= {"top_n"}


@pytest.mark.parametrize("make", [CrossEncoder, Pointwise, Embedding, Rebel])
@examples(40)
@given(model=models, given_=candidates)
def test_what_could_not_be_judged_is_named(make: Any, model: Odd, given_: list[Candidate]) -> None:
    ranking = Engine(retries=0, cache=None).rerank(make(model), QUERY, given_)
    check_unjudged_are_named(ranking)


@pytest.mark.parametrize("vector", [(), (1.0,), (1.0, 2.0, 3.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_a_vector_that_cannot_be_compared_is_no_score_and_no_error(vector: tuple[float, ...]) -> None:
    stage = Embedding(Function(lambda call: vector if call.text == "odd" else (1.0, 2.0), "embed"))
    ranking = stage.rerank("q", ["odd", "fine"])
    assert [(r.text, r.score) for r in ranking.kept] == [("odd", None), ("fine", pytest.approx(1.0))]
    assert ranking.warnings[0].positions == (0,)


@examples(40)
@given(model=models, given_=candidates, weights=st.tuples(st.floats(0, 5), st.floats(0.1, 5)))
def test_a_weighted_fusion_is_whole_and_within_the_unit(model: Odd, given_: list[Candidate], weights: Any) -> None:
    fused = Fuse((CrossEncoder(model) | Threshold(0.3), FirstStage()), weights=weights, method="weighted")
    ranking = Engine(retries=0, cache=None).rerank(fused, QUERY, given_)
    check_whole(ranking, given_)
    check_sorted(ranking)
    assert all(r.score is None or 0 <= r.score <= 1 + 1e-9 for r in ranking.kept)


@examples(40)
@given(
    model=models,
    given_=candidates,
    budget=st.fixed_dictionaries({}, optional={"max_calls": st.integers(0, 6), "max_tokens": st.integers(0, 3_000)}),
)
def test_a_budget_is_kept_and_leaves_the_ranking_whole(
    model: Odd, given_: list[Candidate], budget: dict[str, int]
) -> None:
    stage = CrossEncoder(model, depth=4) | Listwise(model, window=3, stride=2) | Rebel(model, batch_size=4)
    ranking = Engine(retries=0, cache=None, **budget).rerank(stage, QUERY, given_)  # type: ignore[arg-type]
    check_whole(ranking, given_)
    assert ranking.usage.calls <= budget.get("max_calls", math.inf)


@examples(40)
@given(st.lists(st.integers(0, 10), min_size=1, max_size=10))
def test_a_perfect_judge_gives_the_exact_order(relevance: list[int]) -> None:
    texts = [str(grade) for grade in relevance]
    exact = tuple(sorted(range(len(relevance)), key=lambda index: -relevance[index]))
    by_grade = Chat(lambda call: grades(call, lambda passage: {"relevance": int(passage)}))
    assert Rebel(by_grade, criteria=(), gate=None).rerank("q", texts).positions == exact
    by_number = Function(lambda call: float(call.text), "classify")
    assert CrossEncoder(by_number).rerank("q", texts).positions == exact

    def yes_or_no(call: Any) -> list[float]:
        grade = float(call.messages[-1].content.partition('<passage number="1">\n')[2].partition("\n</passage>")[0])
        return [math.log(grade + 1), math.log(12 - grade)]

    assert Pointwise(Function(yes_or_no, "choice_logprobs")).rerank("q", texts).positions == exact
    assert Listwise(Chat(lambda call: order(call, float))).rerank("q", texts).positions == exact


@examples(30)
@given(
    relevance=st.lists(st.integers(0, 1_000), min_size=1, max_size=60, unique=True),
    window=st.integers(4, 20),
    passes=st.integers(1, 2),
)
def test_a_perfect_listwise_judge_gives_the_exact_top(relevance: list[int], window: int, passes: int) -> None:
    stride = window // 2
    stage = Listwise(Chat(lambda call: order(call, float)), window=window, stride=stride, passes=passes)
    found = [relevance[position] for position in stage.rerank("q", map(str, relevance)).positions]
    top = len(relevance) if len(relevance) <= window else passes * (window - stride)
    assert found[:top] == sorted(relevance, reverse=True)[:top]
