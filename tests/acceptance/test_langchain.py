"""What a LangChain user sees: a real retriever, a real vector store, a compressor behind it."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_classic.retrievers.document_compressors import DocumentCompressorPipeline
from langchain_core.documents import BaseDocumentTransformer, Document
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langchain_core.vectorstores import InMemoryVectorStore
from tests.langchain.fakes import QUERY, AsyncJudge, BagOfWords, Overlap, SyncJudge, ids

from langchain_tamis import TamisCompressor
from tamis import Ranking

TOPICS = ("baking", "gardening", "knots", "tides", "chess", "bicycles", "violins", "glaciers")


def library() -> list[Document]:
    """Two documents that answer, three that only mention dates, and forty about other things that parse nothing."""
    answers = [
        Document("To parse an ISO date in Python call datetime.fromisoformat, explained in depth.", id="best"),
        Document("strptime can parse an ISO date given a format.", id="good", metadata={"source": "blog"}),
        Document("The date of the meeting moved.", id="date-1"),
        Document("A date palm grows slowly.", id="date-2"),
        Document("I had a date in the town.", id="date-3"),
    ]
    filler = [
        Document(f"Start with {topic}, part {part}.", id=f"{topic}-{part}", metadata={"topic": topic})
        for topic in TOPICS
        for part in range(5)
    ]
    return filler[:20] + answers + filler[20:]


def base(k: int = 20) -> Any:
    store = InMemoryVectorStore(BagOfWords(256))
    store.add_documents(library())
    return store.as_retriever(search_kwargs={"k": k})


def behind(compressor: Any, k: int = 20) -> ContextualCompressionRetriever:
    return ContextualCompressionRetriever(base_retriever=base(k), base_compressor=compressor)


async def test_one_line_makes_a_retriever_rerank_with_a_language_model() -> None:
    retriever = behind(TamisCompressor("rebel", llm=SyncJudge(), top_n=3))
    found = retriever.invoke(QUERY)
    assert ids(found)[:2] == ["best", "good"]
    assert len(found) == 3
    assert found[0].metadata["relevance_score"] > found[1].metadata["relevance_score"]
    assert found[1].metadata["source"] == "blog"
    assert await retriever.ainvoke(QUERY) == found


async def test_one_line_makes_a_retriever_rerank_without_any_model() -> None:
    retriever = behind(TamisCompressor(top_n=3))
    assert ids(retriever.invoke(QUERY))[0] == "best"
    assert await retriever.ainvoke(QUERY) == retriever.invoke(QUERY)


@pytest.mark.parametrize(
    "compressor",
    [
        TamisCompressor("lexical", top_n=5),
        TamisCompressor("embedding", embeddings=BagOfWords(), top_n=5),
        TamisCompressor("cross-encoder", cross_encoder=Overlap(), top_n=5),
        TamisCompressor("rebel", llm=AsyncJudge()),
        TamisCompressor([{"lexical": {}}, {"top_n": 10}, {"rebel": {"model": "llm"}}], llm=SyncJudge()),
    ],
    ids=lambda compressor: str(compressor.pipeline),
)
async def test_every_kind_of_pipeline_works_behind_a_retriever(compressor: TamisCompressor) -> None:
    retriever = behind(compressor)
    found = retriever.invoke(QUERY)
    assert ids(found)[0] == "best"
    assert await retriever.ainvoke(QUERY) == found
    assert [ids(batch) for batch in retriever.batch([QUERY, QUERY])] == [ids(found)] * 2


async def test_an_empty_store_gives_nothing() -> None:
    empty = InMemoryVectorStore(BagOfWords()).as_retriever()
    retriever = ContextualCompressionRetriever(
        base_retriever=empty, base_compressor=TamisCompressor("rebel", llm=SyncJudge())
    )
    assert retriever.invoke(QUERY) == await retriever.ainvoke(QUERY) == []


async def test_no_document_is_a_legal_answer() -> None:
    collector = RunCollectorCallbackHandler()
    retriever = behind(TamisCompressor(["lexical", {"abstain": {"threshold": 0.1}}]))
    found = [retriever.invoke("zebra", {"callbacks": [collector]}), await retriever.ainvoke("zebra")]
    assert found == [[], []]
    (run,) = collector.traced_runs
    assert [(child.name, child.error) for child in run.child_runs] == [
        ("VectorStoreRetriever", None),
        ("TamisCompressor", None),
    ]
    context = RunnableLambda(lambda documents: "".join(d.page_content for d in documents))
    assert (retriever | context).invoke("zebra") == ""


async def test_options_change_from_call_to_call() -> None:
    compressor = TamisCompressor("cross-encoder", cross_encoder=Overlap(), top_n=5)
    retriever = behind(compressor).configurable_fields(base_compressor=ConfigurableField(id="compressor"))

    def config(**options: Any) -> Any:
        return {"configurable": {"compressor": compressor.with_options(**options)}}

    assert len(retriever.invoke(QUERY)) == 5
    assert len(retriever.invoke(QUERY, config=config(top_n=2))) == 2
    assert len(await retriever.ainvoke(QUERY, config=config(top_n=None))) == 20
    assert len(await retriever.ainvoke(QUERY)) == 5


class Shorten(BaseDocumentTransformer):
    """Keeps the first forty characters."""

    def transform_documents(self, documents: Sequence[Document], **more: Any) -> Sequence[Document]:
        return [d.model_copy(update={"page_content": d.page_content[:40]}) for d in documents]

    async def atransform_documents(self, documents: Sequence[Document], **more: Any) -> Sequence[Document]:
        return self.transform_documents(documents)


async def test_it_stands_in_a_compressor_pipeline() -> None:
    first = TamisCompressor("lexical", top_n=8)
    last = TamisCompressor("rebel", llm=SyncJudge(), top_n=2, keep_retrieval_score=True)
    collector = RunCollectorCallbackHandler()
    retriever = behind(DocumentCompressorPipeline(transformers=[first, Shorten(), last]))
    found = retriever.invoke(QUERY, {"callbacks": [collector]})
    assert ids(found) == ["best", "good"]
    assert all(len(document.page_content) <= 40 for document in found)
    assert found[0].metadata["retrieval_score"] > found[1].metadata["retrieval_score"] > 0
    assert ids(await retriever.ainvoke(QUERY)) == ids(found)
    names = [run.name for run in collector.traced_runs[0].child_runs]
    assert names == ["VectorStoreRetriever", "TamisCompressor", "TamisCompressor"]


@pytest.mark.parametrize("judge", [SyncJudge, AsyncJudge])
async def test_traces_show_the_rerank_and_the_model_calls_below_it(judge: Any) -> None:
    retriever = behind(TamisCompressor("rebel", llm=judge(), engine={"cache": None}))
    collector = RunCollectorCallbackHandler()
    retriever.invoke(QUERY, {"callbacks": [collector]})
    await retriever.ainvoke(QUERY, {"callbacks": [collector]})
    for run in collector.traced_runs:
        base_run, compressor_run = run.child_runs
        assert (run.run_type, base_run.run_type) == ("retriever", "retriever")
        assert compressor_run.name == "TamisCompressor"
        assert [child.name for child in compressor_run.child_runs] == [judge.__name__] * 2
        assert (compressor_run.outputs or {})["output"] == (run.outputs or {})["documents"]


async def test_many_queries_at_once_share_one_compressor() -> None:
    judge = AsyncJudge(delay=0.1)
    retriever = behind(TamisCompressor("rebel", llm=judge))
    results = await asyncio.gather(*(retriever.ainvoke(f"{QUERY} {n}") for n in range(6)))
    assert all(ids(found)[:2] == ["best", "good"] for found in results)
    assert judge.most > 6


@pytest.mark.parametrize(
    "answer",
    [
        "The second passage is best.",
        '{"passages": [{"passage": 1',
        "I cannot help with that.",
        "[5] > [5] > [77]",
        ConnectionError("refused"),
    ],
)
@pytest.mark.parametrize("pipeline", ["rebel", "rebel-two-turn", "listwise"])
async def test_a_failing_model_never_breaks_retrieval(pipeline: str, answer: Any) -> None:
    seen: list[Ranking] = []
    compressor = TamisCompressor(
        pipeline, llm=SyncJudge(answer=lambda passages: answer), engine={"backoff": 0.0}, on_ranking=seen.append
    )
    before = ids(base().invoke(QUERY))
    retriever = behind(compressor)
    for found in (retriever.invoke(QUERY), await retriever.ainvoke(QUERY)):
        assert sorted(ids(found)) == sorted(before)
    assert all(ranking.degraded for ranking in seen)
    assert len(seen) == 2


async def test_a_hanging_model_costs_no_more_than_the_deadline() -> None:
    for judge in (SyncJudge(delay=5.0), AsyncJudge(delay=5.0)):
        retriever = behind(TamisCompressor("rebel", llm=judge, engine={"deadline": 0.5}))
        started = time.perf_counter()
        found = await retriever.ainvoke(QUERY)
        assert time.perf_counter() - started < 2.0
        assert ids(found) == ids(base().invoke(QUERY))


async def test_every_document_is_returned_or_accounted_for() -> None:
    found = base(40).invoke(QUERY)
    before = copy.deepcopy(found)
    compressor = TamisCompressor("rebel", llm=SyncJudge(), top_n=1)
    ranking = compressor.rank(found, QUERY)
    assert sorted([*ranking.positions, *(d.position for d in ranking.dropped)]) == list(range(40))
    assert {d.why for d in ranking.dropped} == {"below_relevance_gate", "top_n"}
    assert (await compressor.arank(found, QUERY)).positions == ranking.positions
    assert found == before


async def test_results_can_be_stored_as_json_with_their_explanation() -> None:
    (document,) = await behind(TamisCompressor("rebel", llm=SyncJudge(), top_n=1, explain=True)).ainvoke(QUERY)
    told = json.loads(document.model_dump_json())["metadata"]
    assert told["relevance_score"] == 13.0
    assert told["tamis"]["criteria"]["relevance"] == 9.0
    assert told["tamis"]["reason"] == "by keywords"


async def test_it_joins_a_chain_without_the_compression_retriever() -> None:
    rerank = TamisCompressor("lexical", top_n=2).as_runnable()
    chain = RunnablePassthrough.assign(documents=itemgetter("query") | base()) | rerank
    assert ids(chain.invoke({"query": QUERY})) == ids(await chain.ainvoke({"query": QUERY})) == ["best", "good"]
