"""What a LlamaIndex user sees: an index, a query engine, one line of tamis."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import TextNode
from llama_index.postprocessor.tamis import TamisRerank

from llamaindex.doubles import BlockingLLM, HashedWords, NativeHashedWords, NativeLLM, grader, ids, nodes_of, passages
from tamis import Ranking

PASSAGES = {
    "everest": "Mount Everest is the highest mountain above sea level: its summit is 8,849 metres high.",
    "survey": "The height of Mount Everest was surveyed anew in 2020 by satellite receivers carried to the summit.",
    "k2": "K2 is the second highest mountain on Earth and the harder climb.",
    "cake": "Mount the highest layer of the cake, the mountain of cream, above the others.",
    "mauna": "Mauna Kea, measured from the sea floor, is higher than any other mountain.",
    "tides": "Tides are the rise and fall of sea levels.",
    "lakes": "Lake Baikal is the deepest lake in the world.",
    "boots": "Good boots make a mountain hike a pleasure.",
}
QUESTION = "How high is the highest mountain above sea level?"
GRADES = {
    "8,849": {"relevance": 10, "depth": 1, "authoritativeness": 3},
    "surveyed": {"relevance": 9, "depth": 5, "authoritativeness": 5},
    "Mauna": {"relevance": 6, "depth": 3, "authoritativeness": 2},
    "second": {"relevance": 4, "depth": 1, "authoritativeness": 2},
}
BEST = ["survey", "everest", "mauna"]


def answerer(prompt: str) -> str:
    """Grades passages when asked to, else answers with the context it was given."""
    return grader(GRADES)(prompt) if passages(prompt) else f"ANSWERED FROM: {prompt}"


@pytest.fixture(scope="module")
def index() -> VectorStoreIndex:
    nodes = [TextNode(text=text, id_=name, metadata={"source": f"{name}.txt"}) for name, text in PASSAGES.items()]
    return VectorStoreIndex(nodes, embed_model=HashedWords())


@pytest.fixture(params=[BlockingLLM, NativeLLM])
def llm(request: pytest.FixtureRequest) -> Any:
    return request.param(reply=answerer)


class TestQueryEngine:
    async def test_rebel_chooses_the_context_sync_and_async(self, index, llm):
        rankings: list[Ranking] = []
        rerank = TamisRerank("rebel", llm=llm, top_n=3, on_ranking=rankings.append)
        engine = index.as_query_engine(llm=llm, similarity_top_k=8, node_postprocessors=[rerank])
        for response in (engine.query(QUESTION), await engine.aquery(QUESTION)):
            assert ids(response.source_nodes) == BEST
            assert all(PASSAGES[name] in response.response for name in BEST)
            assert PASSAGES["cake"] not in response.response
        assert [r.kept for r in rankings[:1]] == [r.kept for r in rankings[1:]]
        assert {d.candidate.id: d.why for d in rankings[0].dropped} == {
            "cake": "below_relevance_gate",
            "tides": "below_relevance_gate",
            "lakes": "below_relevance_gate",
            "boots": "below_relevance_gate",
            "k2": "top_n",
        }
        assert (rankings[0].usage.calls, rankings[0].usage.tokens_in, rankings[0].usage.tokens_out) == (1, 100, 7)
        assert rankings[1].usage.cached == 1

    def test_relevance_and_what_goes_beyond_it_decide_together(self, index, llm):
        rerank = TamisRerank("rebel", llm=llm, explain=True, keep_retrieval_score=True)
        engine = index.as_query_engine(llm=llm, similarity_top_k=8, node_postprocessors=[rerank])
        response = engine.query(QUESTION)
        first, second = response.source_nodes[:2]
        assert ids([first, second]) == ["survey", "everest"]
        assert first.score - second.score == pytest.approx(
            # three grades are missing in both: each counts as the mean share of its row, .95 and .7
            (9 + 5 / 2 + 5 / 2 + 3 * 2.5 * 0.95) - (10 + 1 / 2 + 3 / 2 + 3 * 2.5 * 0.7)
        )
        assert first.metadata["tamis"]["criteria"]["authoritativeness"] == 5.0
        assert first.metadata["tamis"]["reason"] == "saw surveyed"
        assert first.metadata["retrieval_score"] < second.metadata["retrieval_score"]
        assert "retrieval_score" not in response.response
        assert "saw surveyed" not in response.response

    def test_the_retrievers_own_nodes_stay_as_they_are(self, index, llm):
        retriever = index.as_retriever(similarity_top_k=8)
        rerank = TamisRerank("rebel", llm=llm, explain=True, keep_retrieval_score=True)
        RetrieverQueryEngine.from_args(retriever, llm=llm, node_postprocessors=[rerank]).query(QUESTION)
        assert all(set(node.metadata) == {"source"} for node in index.docstore.docs.values())

    async def test_without_a_model(self, index, llm):
        rerank = TamisRerank(["lexical"], top_n=2)
        engine = RetrieverQueryEngine.from_args(
            index.as_retriever(similarity_top_k=8), llm=llm, node_postprocessors=[rerank]
        )
        assert ids(engine.query(QUESTION).source_nodes)[0] == "everest"
        assert ids((await engine.aquery(QUESTION)).source_nodes)[0] == "everest"
        assert len(llm.asked) == 2

    @pytest.mark.parametrize("embed_model", [HashedWords(), NativeHashedWords()])
    async def test_embedding_then_llm(self, index, llm, embed_model):
        pipeline = [{"embedding": {"model": "embedder"}}, {"top_n": 6}, {"rebel": {"model": "llm"}}]
        rerank = TamisRerank(pipeline, llm=llm, embed_model=embed_model, top_n=1)
        engine = index.as_query_engine(llm=llm, similarity_top_k=8, node_postprocessors=[rerank])
        assert ids(engine.query(QUESTION).source_nodes) == ["survey"]
        assert ids((await engine.aquery(QUESTION)).source_nodes) == ["survey"]
        assert len(passages(llm.asked[0])) == 6

    @pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize"])
    async def test_no_document_is_a_legal_answer(self, index, mode):
        llm = NativeLLM(reply=grader({}))
        engine = index.as_query_engine(llm=llm, response_mode=mode, node_postprocessors=[TamisRerank("rebel", llm=llm)])
        for response in (engine.query(QUESTION), await engine.aquery(QUESTION)):
            assert response.source_nodes == []
            assert response.response == "Empty Response"
        assert all(passages(prompt) for prompt in llm.asked)

    def test_a_saved_pipeline_gives_the_same_context(self, index, llm):
        saved = TamisRerank("rebel", llm=llm, top_n=3).to_json()
        rerank = TamisRerank.from_json(saved, llm=llm)
        engine = index.as_query_engine(llm=llm, similarity_top_k=8, node_postprocessors=[rerank])
        assert ids(engine.query(QUESTION).source_nodes) == BEST

    async def test_criteria_can_be_inferred_from_the_question(self, index):
        def reply(prompt: str) -> str:
            if not passages(prompt):
                return '{"criteria": [{"name": "depth", "weight": 1}, {"name": "authoritativeness", "weight": 1}]}'
            return grader(GRADES)(prompt)

        llm = NativeLLM(reply=reply)
        nodes = index.as_retriever(similarity_top_k=8).retrieve(QUESTION)
        result = await TamisRerank("rebel-two-turn", llm=llm, top_n=1).apostprocess_nodes(nodes, query_str=QUESTION)
        assert ids(result) == ["survey"]
        assert not passages(llm.asked[0])
        assert passages(llm.asked[1])


class Ticks:
    """Counts how often the event loop gets a turn."""

    def __init__(self) -> None:
        self.count = 0

    async def __aenter__(self) -> Ticks:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self.count += 1


SINGLY = [{"rebel": {"model": "llm", "criteria": [], "batch_size": 1, "anchors": 0, "gate": None}}]


class TestConcurrency:
    @pytest.mark.parametrize("kind", [BlockingLLM, NativeLLM])
    async def test_calls_overlap_and_the_event_loop_turns(self, kind):
        rerank = TamisRerank(SINGLY, llm=kind(reply=answerer, delay=0.3))
        started = time.monotonic()
        async with Ticks() as ticks:
            result = await rerank.apostprocess_nodes(nodes_of(*PASSAGES.values()), query_str=QUESTION)
        assert len(result) == 8
        assert time.monotonic() - started < 8 * 0.3 / 2
        assert ticks.count >= 5

    @pytest.mark.parametrize("kind", [BlockingLLM, NativeLLM])
    def test_sync_calls_overlap_too(self, kind):
        rerank = TamisRerank(SINGLY, llm=kind(reply=answerer, delay=0.3))
        started = time.monotonic()
        assert len(rerank.postprocess_nodes(nodes_of(*PASSAGES.values()), query_str=QUESTION)) == 8
        assert time.monotonic() - started < 8 * 0.3 / 2

    async def test_the_sync_entry_works_inside_a_running_loop(self, llm):
        result = TamisRerank("rebel", llm=llm).postprocess_nodes(nodes_of(*PASSAGES.values()), query_str=QUESTION)
        assert [node.text for node in result] == [PASSAGES[name] for name in [*BEST, "k2"]]

    def test_one_instance_in_two_event_loops(self, llm):
        rerank = TamisRerank(SINGLY, llm=llm, engine={"cache": None, "concurrency": 2})
        first, second = (
            asyncio.run(rerank.apostprocess_nodes(nodes_of(*PASSAGES.values()), query_str=QUESTION)) for _ in range(2)
        )
        assert first == second

    async def test_many_queries_at_once(self, llm):
        rerank = TamisRerank("rebel", llm=llm, top_n=1, engine={"cache": None})
        results = await asyncio.gather(
            *(rerank.apostprocess_nodes(nodes_of(*PASSAGES.values()), query_str=f"{QUESTION} {n}") for n in range(20))
        )
        assert {node.text for (node,) in results} == {PASSAGES["survey"]}


class TestWhenTheModelFails:
    @pytest.mark.parametrize("kind", [BlockingLLM, NativeLLM])
    async def test_a_hanging_llm_costs_the_deadline_and_no_node(self, kind):
        rankings: list[Ranking] = []
        rerank = TamisRerank(
            "rebel", llm=kind(reply=answerer, delay=8.0), engine={"deadline": 0.5}, on_ranking=rankings.append
        )
        nodes = nodes_of(*PASSAGES.values())
        for entry in (rerank.postprocess_nodes, rerank.apostprocess_nodes):
            started = time.monotonic()
            result = entry(nodes, query_str=QUESTION)
            result = await result if asyncio.iscoroutine(result) else result
            assert time.monotonic() - started < 4
            assert ids(result) == ids(nodes)
            assert [node.score for node in result] == [None] * 8
        assert all("deadline" in str(ranking.warnings[0]) for ranking in rankings)

    async def test_half_the_calls_failing_costs_half_the_judgements(self):
        def flaky(prompt: str) -> str:
            (text,) = passages(prompt).values()
            if text in list(PASSAGES.values())[4:]:
                raise ConnectionError("reset by peer")
            return answerer(prompt)

        rerank = TamisRerank(SINGLY, llm=NativeLLM(reply=flaky), engine={"retries": 1, "backoff": 0.0})
        result = await rerank.apostprocess_nodes(nodes_of(*PASSAGES.values()), query_str=QUESTION)
        assert ids(result)[4:] == ["n4", "n5", "n6", "n7"]
        assert [node.score for node in result] == [10.0, 9.0, 4.0, 0.0, None, None, None, None]

    async def test_a_call_budget_is_kept(self):
        llm = NativeLLM(reply=answerer)
        rerank = TamisRerank(SINGLY, llm=llm, engine={"max_calls": 3})
        result = await rerank.apostprocess_nodes(nodes_of(*PASSAGES.values()), query_str=QUESTION)
        assert len(llm.asked) == 3
        assert [node.score is None for node in result] == [False] * 3 + [True] * 5

    @pytest.mark.parametrize(
        "said",
        [
            "I cannot rank documents, I am an assistant.",
            '{"passages": [{"passage": 1, "relevance": 1',
            '{"passages": [{"passage": 42, "relevance": 10}, {"passage": 0, "relevance": 10}]}',
            "",
        ],
    )
    def test_a_chatty_llm_still_yields_an_answer(self, index, said):
        llm = NativeLLM(reply=lambda prompt: said if passages(prompt) else "an answer")
        rerank = TamisRerank("rebel", llm=llm)
        engine = index.as_query_engine(llm=llm, similarity_top_k=8, node_postprocessors=[rerank])
        retrieved = ids(index.as_retriever(similarity_top_k=8).retrieve(QUESTION))
        response = engine.query(QUESTION)
        assert ids(response.source_nodes) == retrieved
        assert response.response == "an answer"
