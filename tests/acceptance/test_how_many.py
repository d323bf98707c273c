"""How many documents a generator sees, none included: one line of dynamic k in each framework, end to end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from haystack import Document as HaystackDocument
from haystack import Pipeline as HaystackPipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.rankers.tamis import HaystackChat, TamisRanker
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.schema import TextNode
from llama_index.postprocessor.tamis import LlamaIndexLLM, TamisRerank
from tests.langchain.fakes import BagOfWords, SyncJudge

from langchain_tamis import LangChainChat, TamisCompressor
from llamaindex.doubles import HashedWords, NativeLLM
from tamis import Candidate, CrossEncoder, Ranking, load
from tamis.errors import ConfigError
from tamis.evaluate import Dataset, Question
from tamis.models import Function, OpenAIChat
from tamis.select import scorer_id
from tamis.training.calibration import fit
from tamis.values.ranking import Query

TEXTS = {
    "bowline": "A bowline knot makes a loop that holds",
    **{f"glacier-{n}": f"Glacier ice moves and carves, part {n}" for n in range(6)},
    **{f"tide-{n}": f"The tide comes and goes, part {n}" for n in range(5)},
}
ONE, MANY, NONE = "bowline knot loop", "glacier ice moves", "sourdough bread dough"
MANY_IDS = [f"glacier-{n}" for n in range(6)]


def share(call: Any) -> float:
    """Of the query's words, how many the text has."""
    query, text = (set(re.findall(r"\w+", words.lower())) for words in (call.query, call.text))
    return len(query & text) / len(query)


MODELS = {"cross_encoder": Function(share, "classify", name="share")}


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where an artefact lies that was fitted to 40 labelled queries: relevant is what has at least two words of three."""
    pytest.importorskip("sklearn")
    texts = ("red round apple", "red round ball", "red square", "blue line")
    pools = {
        f"q{n}": [Candidate(f"{text} {n}", id=f"{n}-{place}") for place, text in enumerate(texts * 2)]
        for n in range(40)
    }
    rankings = {
        name: CrossEncoder(MODELS["cross_encoder"]).rerank("red round apple", pool) for name, pool in pools.items()
    }
    questions = {name: Question(name, Query("red round apple")) for name in pools}
    qrels = {name: {str(c.id): int("round" in c.text) for c in pool} for name, pool in pools.items()}
    dataset = Dataset("shapes", questions, {}, qrels, {})
    path = tmp_path_factory.mktemp("fitted") / "calibration.json"
    fit(rankings, dataset, "platt", scorer=CrossEncoder(MODELS["cross_encoder"])).write(path)
    return str(path)


Ask = Callable[[str], Any]
"""From a question to the ids of what the generator is given."""


def llamaindex(pipeline: Any, at_most: int | None = None) -> tuple[Ask, Ask]:
    nodes = [TextNode(text=text, id_=name) for name, text in TEXTS.items()]
    engine = VectorStoreIndex(nodes, embed_model=HashedWords()).as_query_engine(
        llm=MockLLM(max_tokens=1),
        similarity_top_k=len(nodes),
        node_postprocessors=[TamisRerank(pipeline, models=MODELS, top_n=at_most)],
    )

    async def aask(question: str) -> list[str]:
        return [node.node_id for node in (await engine.aquery(question)).source_nodes]

    return lambda question: [node.node_id for node in engine.query(question).source_nodes], aask


def langchain(pipeline: Any, at_most: int | None = None) -> tuple[Ask, Ask]:
    store = InMemoryVectorStore(BagOfWords(256))
    store.add_documents([Document(text, id=name) for name, text in TEXTS.items()])
    retriever = ContextualCompressionRetriever(
        base_retriever=store.as_retriever(search_kwargs={"k": len(TEXTS)}),
        base_compressor=TamisCompressor(pipeline, models=MODELS, top_n=at_most),
    )

    async def aask(question: str) -> list[str | None]:
        return [document.id for document in await retriever.ainvoke(question)]

    return lambda question: [document.id for document in retriever.invoke(question)], aask


def haystack(pipeline: Any, at_most: int | None = None) -> tuple[Ask, Ask]:
    store = InMemoryDocumentStore()
    store.write_documents([HaystackDocument(id=name, content=text) for name, text in TEXTS.items()])
    pipe = HaystackPipeline()
    pipe.add_component("retriever", InMemoryBM25Retriever(store, top_k=len(TEXTS)))
    pipe.add_component("ranker", TamisRanker(pipeline, models=MODELS, top_k=at_most))
    pipe.connect("retriever.documents", "ranker.documents")

    def ids(result: Mapping[str, Any]) -> list[str]:
        return [document.id for document in result["ranker"]["documents"]]

    async def aask(question: str) -> list[str]:
        return ids(await pipe.run_async({"retriever": {"query": question}, "ranker": {"query": question}}))

    return lambda question: ids(pipe.run({"retriever": {"query": question}, "ranker": {"query": question}})), aask


in_every_framework = pytest.mark.parametrize("framework", [llamaindex, langchain, haystack])


def both(asks: tuple[Ask, Ask], question: str) -> list[str]:
    """What sync and async agree on."""
    found: list[str] = asks[0](question)
    assert asyncio.run(asks[1](question)) == found
    return found


def fitted(path: str, policy: str) -> list[Any]:
    return ["cross-encoder", {"calibrate": path}, {"dynamic_k": {"policy": policy, "k_min": 0}}]


@in_every_framework
@pytest.mark.parametrize("policy", ["calibrated", "expected_f", "expected_utility"])
def test_a_calibrated_pipeline_keeps_one_or_many_or_none(framework: Any, policy: str, calibrated: str) -> None:
    asks = framework(fitted(calibrated, policy))
    assert both(asks, ONE) == ["bowline"]
    assert sorted(both(asks, MANY)) == MANY_IDS
    assert both(asks, NONE) == []


@in_every_framework
def test_the_framework_s_own_bound_is_a_cap(framework: Any, calibrated: str) -> None:
    asks = framework(fitted(calibrated, "calibrated"), 3)
    assert both(asks, ONE) == ["bowline"]
    assert len(both(asks, MANY)) == 3
    assert both(asks, NONE) == []


@in_every_framework
def test_a_policy_without_any_fit_goes_behind_any_preset(framework: Any) -> None:
    asks = framework(["cross-encoder", {"dynamic_k": {"policy": {"at_least": 0.5}, "k_min": 0}}])
    assert [len(both(asks, question)) for question in (ONE, MANY, NONE)] == [1, 6, 0]
    asks = framework("cross-encoder-dynamic-k")
    assert both(asks, ONE) == ["bowline"]
    assert sorted(both(asks, MANY)) == MANY_IDS


@in_every_framework
def test_an_artefact_of_another_scorer_is_refused(framework: Any, calibrated: str) -> None:
    with pytest.raises(ConfigError, match="was fitted for the scorer"):
        framework(["lexical", {"calibrate": calibrated}, {"dynamic_k": "calibrated"}])


def test_an_artefact_fitted_with_another_client_holds_for_the_framework_s_model_of_that_name() -> None:
    def scorer(model: Any) -> str:
        return scorer_id(load("rebel", models={"llm": model}))

    fitted_with = scorer(OpenAIChat("scripted", base_url="http://localhost:8000/v1"))
    generator = type("Generator", (), {"model": "scripted", "run": lambda self, messages: {}})()
    assert scorer(LlamaIndexLLM(NativeLLM(reply=str))) == fitted_with
    assert scorer(LangChainChat(SyncJudge(), name="scripted")) == fitted_with
    assert scorer(HaystackChat(generator)) == fitted_with


def test_a_bound_for_one_call_in_haystack(calibrated: str) -> None:
    ranker = TamisRanker(fitted(calibrated, "calibrated"), models=MODELS, top_k=2)
    documents = [HaystackDocument(id=name, content=text) for name, text in TEXTS.items()]
    assert len(ranker.run(MANY, documents)["documents"]) == 2
    result = ranker.run(MANY, documents, top_k=50)
    assert len(result["documents"]) == 6
    assert {entry["why"] for entry in result["diagnostics"]["dropped"]} == {"policy_cut"}
    assert ranker.run(NONE, documents, top_k=50)["documents"] == []


def test_a_bound_for_one_call_in_langchain(calibrated: str) -> None:
    compressor = TamisCompressor(fitted(calibrated, "calibrated"), models=MODELS, top_n=2)
    documents = [Document(text, id=name) for name, text in TEXTS.items()]
    assert len(compressor.compress_documents(documents, MANY)) == 2
    assert len(compressor.with_options(top_n=None).compress_documents(documents, MANY)) == 6


def test_a_bound_set_later_in_llamaindex(calibrated: str) -> None:
    rankings: list[Ranking] = []
    rerank = TamisRerank(fitted(calibrated, "calibrated"), models=MODELS, top_n=2, on_ranking=rankings.append)
    nodes = VectorStoreIndex(
        [TextNode(text=text, id_=name) for name, text in TEXTS.items()], embed_model=HashedWords()
    ).as_retriever(similarity_top_k=50)
    assert len(rerank.postprocess_nodes(nodes.retrieve(MANY), query_str=MANY)) == 2
    rerank.top_n = None
    assert len(rerank.postprocess_nodes(nodes.retrieve(MANY), query_str=MANY)) == 6
    assert [{d.why for d in ranking.dropped} for ranking in rankings] == [{"policy_cut", "top_n"}, {"policy_cut"}]


def test_saved_with_its_artefact_s_path(calibrated: str, tmp_path: Path) -> None:
    pipeline = fitted(calibrated, "calibrated")
    assert TamisRerank(pipeline, models=MODELS).to_dict()["pipeline"] == pipeline
    assert TamisCompressor(pipeline, models=MODELS).to_data()["pipeline"] == pipeline
    lexical = ["lexical", {"dynamic_k": "largest_gap"}]
    assert TamisRanker(lexical).to_dict()["init_parameters"]["pipeline"] == {"stage": lexical}
    assert TamisRanker.from_dict(TamisRanker(lexical).to_dict()).to_dict() == TamisRanker(lexical).to_dict()
