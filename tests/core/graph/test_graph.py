"""The stage: what goes in, what comes out, and what it says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.places import DATA
from support.pools import QUERY, candidates, pools, shuffled
from tamis import Candidate, CrossEncoder, Embedding, FirstStage, Graph, Listwise, Query, Ranking, Threshold, load
from tamis.errors import CapabilityError, ConfigError
from tamis.evaluate import read
from tamis.graph import Concepts, Mentions, Neighbours, Structure
from tamis.models import Function
from tamis.values.answers import Failure
from tamis.values.ranking import Neighbour
from tamis.values.scale import FUSION, LOGIT, PROBABILITY, UNKNOWN

every = pytest.mark.parametrize("method", ["lift", "propagation", "pagerank", "anchors"])
QUESTION = "When was the author of Emma born?"
HOP = [
    Candidate("Emma is a novel by Jane Austen.", score=9.0),
    Candidate("Emma Stone is an actor born in 1988.", score=5.0),
    Candidate("A recipe for soup.", score=2.0),
    Candidate("Born 1775 in Steventon.", title="Jane Austen", score=1.0),
]


def test_the_second_hop_follows_the_first_and_says_why() -> None:
    ranking = Graph().rerank(QUESTION, HOP)
    assert ranking.positions == (0, 3, 1, 2)
    assert ranking.kept[1].lifted_by == (Neighbour(0, pytest.approx(7.2), "mentions"),)
    assert ranking.kept[1].score == pytest.approx(1.0 + 0.9 * 8.0)
    assert [ranked.lifted_by for ranked in ranking.kept if ranked.position != 3] == [(), (), ()]


def test_it_needs_no_model_and_makes_no_calls() -> None:
    with pytest.raises(StopIteration):
        next(Graph().plan(Ranking.of(QUESTION, HOP)))


@every
@examples(60)
@given(found=pools, seed=st.integers(0, 99))
def test_shuffled_candidates_get_the_same_scores(method: Any, found: list[Candidate], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(found))
    stage = Graph(method=method)
    first, second = (
        by_position(stage.rerank(QUERY, some, scores="similarity")) for some in (found, shuffled(found, order))
    )
    assert [first[place] for place in order] == pytest.approx([second[place] for place in range(len(order))], abs=1e-7)


@every
@examples(60)
@given(found=pools)
def test_scores_keep_their_scale_and_bounds(method: Any, found: list[Candidate]) -> None:
    incoming = Ranking.of(QUERY, found, scale=LOGIT)
    ranking = run(Graph(method=method), incoming)
    assert ranking.scale == LOGIT
    old = [candidate.score or 0.0 for candidate in found]
    assert all(min(old) <= (ranked.score or 0.0) <= max(old) for ranked in ranking.kept)


@every
@given(found=st.lists(candidates, max_size=6))
def test_without_edges_nothing_changes(method: Any, found: list[Candidate]) -> None:
    unrelated = [Candidate(f"word{place}", id=f"id{place}", score=c.score) for place, c in enumerate(found)]
    assert Graph(method=method).rerank(QUERY, unrelated).kept == FirstStage().rerank(QUERY, unrelated).kept
    assert Graph((), method).rerank(QUERY, found).kept == FirstStage().rerank(QUERY, found).kept


@every
def test_duplicates_score_alike(method: Any) -> None:
    twice = {"text": "Jane Austen lived in Bath by the seaside", "score": 1.0}
    found = [{"text": "Bath and its seaside tram", "score": 5.0}, twice, twice, {"text": "a kettle", "score": 0.0}]
    ranking = by_position(Graph((Neighbours(),), method).rerank(QUERY, found))
    assert ranking[1] == pytest.approx(ranking[2], abs=1e-12)
    assert ranking[1] > 1.0


@every
@pytest.mark.parametrize(
    "found", [[], [""], ["alone"], ["", "", ""], ["same", "same"], [{"text": "", "title": ""}, "x"]]
)
def test_pools_with_next_to_nothing_in_them(method: Any, found: list[Any]) -> None:
    ranking = Graph(method=method).rerank(QUERY, found)
    assert ranking.positions == tuple(range(len(found)))
    assert not ranking.warnings


@pytest.mark.parametrize("query", ["?", "the of and", "¿", "日本語"])
def test_a_query_without_concepts(query: str) -> None:
    assert Graph().rerank(query, HOP).positions == (0, 3, 1, 2)


def test_without_scores_the_incoming_order_speaks() -> None:
    texts = [{"text": c.text, "title": c.title} for c in HOP]
    ranking = Graph().rerank(QUESTION, texts)
    assert ranking.positions == (0, 3, 1, 2)
    assert ranking.scale == FUSION
    assert by_position(ranking) == {0: 1.0, 1: 0.75, 2: 0.5, 3: pytest.approx(0.25 + 0.9 * 0.75)}


def test_after_a_stage_that_only_orders_its_order_speaks() -> None:
    reverse = Function(lambda call: " > ".join(f"[{n}]" for n in (4, 1, 2, 3)), "generate")
    ranking = (Listwise(reverse) | Graph()).rerank(QUESTION, HOP)
    assert ranking.positions == (3, 0, 1, 2)
    assert ranking.scale == FUSION


def test_scores_of_the_stage_before_are_what_spreads() -> None:
    scorer = Function(lambda call: 0.9 if "Stone" in call.text else 0.2, "classify", scale=PROBABILITY)
    ranking = (CrossEncoder(scorer) | Graph()).rerank(QUESTION, HOP)
    assert ranking.positions[0] == 1
    assert ranking.scale == PROBABILITY
    assert (CrossEncoder(scorer) | Graph() | Threshold(0.5)).rerank(QUESTION, HOP).positions == (1,)


def test_an_unscored_candidate_among_scored_ones_stays_where_it_is() -> None:
    found = [HOP[0], Candidate("Jane Austen, unscored"), *HOP[1:]]
    ranking = Graph().rerank(QUESTION, found)
    assert ranking.positions == (0, 1, 4, 2, 3)
    assert ranking.kept[1].score is None


def test_only_the_top_takes_part() -> None:
    ranking = Graph(depth=2).rerank(QUESTION, HOP)
    assert ranking.positions == (0, 1, 2, 3)
    assert [ranked.score for ranked in ranking.kept] == [9.0, 5.0, None, None]


def test_no_more_than_three_are_named_strongest_first() -> None:
    good = [{"text": f"x{place} tells of Jane Austen", "score": 9.0 - place} for place in range(5)]
    ranking = Graph((Mentions(max_share=1.0),)).rerank(
        "?", [*good, {"text": "1775", "title": "Jane Austen", "score": 0.0}]
    )
    lifted = next(ranked for ranked in ranking.kept if ranked.position == 5).lifted_by
    assert [neighbour.position for neighbour in lifted] == [0, 1, 2]
    assert lifted[0].weight > lifted[1].weight > lifted[2].weight


def test_the_channel_is_named_that_joins_most() -> None:
    found = [
        {"text": "a1 b1 c1", "id": "x", "score": 2.0, "metadata": {"links": ["y"]}},
        {"text": "a1 d1 e1", "id": "y", "score": 1.0},
        {"text": "f1 g1 h1", "id": "z", "score": 0.0},
    ]
    linked = Structure(source=None, chunk=None)
    for edges, name in (((Neighbours(), linked), "structure"), ((Neighbours(),), "neighbours")):
        assert Graph(edges).rerank(QUERY, found).kept[1].lifted_by[0].channel == name


class TestVectors:
    near = Function(lambda call: {"a": (1.0, 0.0), "b": (0.8, 0.6), "c": (-1.0, 0.1)}[call.text], "embed")
    found = ({"text": "a", "score": 3.0}, {"text": "c", "score": 2.0}, {"text": "b", "score": 1.0})
    stage = Graph((Neighbours("vectors", degree=1, mutual=False),), model=near)

    def test_a_model_embeds_the_candidates_for_edges_by_vectors(self) -> None:
        ranking = self.stage.rerank(QUERY, self.found)
        assert ranking.positions == (0, 2, 1)
        assert ranking.usage.calls == 3

    def test_or_they_bring_their_vectors(self) -> None:
        brought = [{**c, "vector": (1.0, 0.0) if c["text"] == "a" else (0.8, 0.6)} for c in self.found]
        assert Graph(self.stage.edges).rerank(QUERY, brought).usage.calls == 0
        assert Graph(self.stage.edges, model=self.near, given_vectors=True).rerank(QUERY, brought).usage.calls == 0
        assert Graph(self.stage.edges, model=self.near).rerank(QUERY, brought).usage.calls == 3

    def test_candidates_whose_vector_is_missing_are_told_of_and_keep_their_scores(self) -> None:
        odd = Function(lambda call: Failure("error", "no") if call.text == "b" else (1.0, 0.0), "embed")
        ranking = Graph(self.stage.edges, model=odd).rerank(QUERY, self.found)
        assert by_position(ranking)[2] == 1.0
        assert ranking.warnings[0].positions == (2,)
        unasked = Graph(self.stage.edges).rerank(QUERY, self.found)
        assert unasked.positions == (0, 1, 2)
        assert "no model was given" in str(unasked.warnings[0])

    def test_no_edges_by_vectors_no_calls(self) -> None:
        assert Graph().rerank(QUERY, self.found).usage.calls == 0

    def test_a_model_that_cannot_embed_is_refused(self) -> None:
        with pytest.raises(CapabilityError, match="Graph needs a model that can `embed`"):
            Graph(model=Function(len, "classify"))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"edges": ["neighbors"]}, "unknown kind of edge 'neighbors'. Did you mean 'neighbours'"),
        ({"edges": [{"concepts": {"degree": 0}}]}, r"concepts.*degree.*\(got 0\)"),
        ({"method": "pagerang"}, r"method.*\(got 'pagerang'\)"),
        ({"alpha": 1.5}, r"alpha.*\(got 1.5\)"),
        ({"seeds": 0}, r"seeds.*\(got 0\)"),
    ],
)
def test_what_cannot_be_built_is_named(written: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load([{"graph": written}])


def test_the_presets_rerank_without_a_model() -> None:
    for name in ("graph", "graph-propagation", "structural-reranking"):
        assert len(load(name).rerank(QUESTION, HOP)) == 4


def test_a_pipeline_of_embedding_and_graph_asks_once_a_text() -> None:
    model = TestVectors.near
    stage = Embedding(model) | Graph((Neighbours("vectors"), Concepts()), model=model)
    assert stage.rerank("a", TestVectors.found).usage.calls == 7


def by_position(ranking: Ranking) -> dict[int, Any]:
    return {ranked.position: ranked.score for ranked in ranking.kept}


def run(stage: Graph, ranking: Ranking) -> Ranking:
    plan = stage.plan(ranking)
    with pytest.raises(StopIteration) as stop:
        next(plan)
    return stop.value.value


def test_the_incoming_ranking_may_have_dropped_candidates() -> None:
    some = Ranking.of(Query(QUESTION), HOP, scale=UNKNOWN).drop("budget", lambda index, ranked: index == 1)
    ranking = run(Graph(), some)
    assert ranking.positions == (0, 3, 2)
    assert ranking.dropped == some.dropped


@pytest.mark.data
def test_two_hop_questions_gain_a_lot() -> None:
    folder = DATA / "hotpot_train100"
    if not folder.is_dir():
        pytest.skip("needs the test set hotpot_train100: set TAMIS_DATA to the folder of test sets")
    data = read(folder)
    before = after = 0
    for name, question in data.questions.items():
        pool, wanted = data.pool(name), set(data.relevant(name))
        before += wanted <= {candidate.id for candidate in pool[:5]}
        after += wanted <= {candidate.id for candidate in Graph().rerank(question.query, pool).candidates[:5]}
    assert after >= before + 10
