"""Real vector stores that return distances as scores, over real passages: no rerank turns their order round.

Chroma brings a server and its clients, so it is not in the development environment; `pip install langchain-chroma`
lets its half run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.tamis import TamisRerank

from langchain_tamis import TamisCompressor
from support.places import DATA
from tamis import Ranking
from tamis.evaluate import read
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.metrics import values
from tamis.models import OnnxEmbedder
from tamis.values.calls import Embed
from tamis.values.similarity import rise

pytestmark = [
    pytest.mark.data,
    pytest.mark.model,
    pytest.mark.skipif(not (DATA / "cacm").is_dir(), reason="needs cacm of the test sets in $TAMIS_DATA"),
]
QUERIES, POOL, TOP = 12, 12, 20
IN_ORDER: list[Any] = [{"first_stage": {}}]


class Embedder:
    """bge-small on the first 64 tokens of each text; each text is embedded once."""

    def __init__(self, folder: Path) -> None:
        self._model, self._known = OnnxEmbedder(folder, pooling="cls", max_length=64), dict[str, list[float]]()

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        vectors = self._model.embed([Embed(self._model, text) for text in new])
        self._known |= {text: [float(x) for x in v.values] for text, v in zip(new, vectors, strict=True)}
        return [self._known[text] for text in texts]


class LlamaIndexEmbedding(BaseEmbedding):
    own: Any

    def _get_text_embedding(self, text: str) -> list[float]:
        return self.own([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self.own(texts)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self.own([query])[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self.own([query])[0]


class LangChainEmbeddings(Embeddings):
    def __init__(self, own: Embedder) -> None:
        self.own = own

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.own(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.own([text])[0]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return read(DATA / "cacm")


@pytest.fixture(scope="module")
def asked(dataset: Dataset) -> dict[str, str]:
    return {name: dataset.questions[name].query.text for name in list(dataset.qrels)[:QUERIES]}


@pytest.fixture(scope="module")
def texts(dataset: Dataset, asked: dict[str, str]) -> dict[str, str]:
    pooled = (passage for query in asked for passage, _ in dataset.run[query][:POOL])
    return {passage: dataset.corpus[passage].full_text for passage in pooled}


@pytest.fixture(scope="module")
def embedder(onnx_embedder_folder: Path) -> Embedder:
    return Embedder(onnx_embedder_folder)


Search = Callable[[str], list[NodeWithScore]]


@pytest.fixture(scope="module")
def faiss_search(embedder: Embedder, texts: dict[str, str]) -> Search:
    """LlamaIndex over a FAISS index of Euclidean distances, as its documentation shows it."""
    faiss = pytest.importorskip("faiss")
    stores = pytest.importorskip("llama_index.vector_stores.faiss")
    store = stores.FaissVectorStore(faiss_index=faiss.IndexFlatL2(384))
    nodes = [TextNode(text=text, id_=name) for name, text in texts.items()]
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex(nodes, storage_context=context, embed_model=LlamaIndexEmbedding(own=embedder))
    return index.as_retriever(similarity_top_k=TOP).retrieve


@pytest.fixture(scope="module")
def chroma_search(embedder: Embedder, texts: dict[str, str]) -> Callable[[str], list[Document]]:
    """LangChain over Chroma, its distances copied into the metadata."""
    chroma = pytest.importorskip("langchain_chroma")
    settings = pytest.importorskip("chromadb").config.Settings(anonymized_telemetry=False)
    store = chroma.Chroma(
        collection_name="passages", embedding_function=LangChainEmbeddings(embedder), client_settings=settings
    )
    store.add_texts(list(texts.values()), ids=list(texts))

    def search(query: str) -> list[Document]:
        found = store.similarity_search_with_score(query, k=TOP)
        return [document.model_copy(update={"metadata": {"score": distance}}) for document, distance in found]

    return search


def ndcg(dataset: Dataset, rankings: dict[str, Ranking]) -> float:
    return fmean(row["nDCG@10"] for row in values(["nDCG@10"], dataset, rankings).values())


def about(ranking: Ranking) -> list[str]:
    return [notice.message for notice in ranking.warnings if "distance" in notice.message]


def check(dataset: Dataset, ranked: dict[str, dict[str, Ranking]]) -> None:
    """`ranked`: by what was said of the scores, then by query."""
    for query, found in ranked["order"].items():
        assert found.positions == tuple(range(TOP)), f"the store's order for {query}"
    for query, found in ranked["detect"].items():
        assert len(about(found)) == 1
        assert found.positions == ranked["distance"][query].positions == ranked["negated"][query].positions
        assert not about(ranked["distance"][query])
    right, wrong = ndcg(dataset, ranked["detect"]), ndcg(dataset, ranked["similarity"])
    assert right > wrong
    assert right >= ndcg(dataset, ranked["order"])


def test_distances_of_a_faiss_index_in_llamaindex(
    faiss_search: Search, dataset: Dataset, asked: dict[str, str]
) -> None:
    ranked: dict[str, dict[str, Ranking]] = {
        name: {} for name in ("order", "detect", "distance", "similarity", "negated")
    }
    for name, query in asked.items():
        nodes = faiss_search(query)
        assert rise([node.score for node in nodes])
        for said in ("detect", "distance", "similarity"):
            ranked[said][name] = TamisRerank(scores=said).rank(nodes, query)
        ranked["order"][name] = TamisRerank(IN_ORDER).rank(nodes, query)
        negated = [NodeWithScore(node=node.node, score=-(node.score or 0.0)) for node in nodes]
        ranked["negated"][name] = TamisRerank().rank(negated, query)
    check(dataset, ranked)


def test_distances_of_chroma_in_langchain(
    chroma_search: Callable[[str], list[Document]], dataset: Dataset, asked: dict[str, str]
) -> None:
    ranked: dict[str, dict[str, Ranking]] = {
        name: {} for name in ("order", "detect", "distance", "similarity", "negated")
    }
    for name, query in asked.items():
        documents = chroma_search(query)
        assert rise([document.metadata["score"] for document in documents])
        for said in ("detect", "distance", "similarity"):
            ranked[said][name] = TamisCompressor(scores=said).rank(documents, query)
        ranked["order"][name] = TamisCompressor(IN_ORDER).rank(documents, query)
        negated = [d.model_copy(update={"metadata": {"score": -d.metadata["score"]}}) for d in documents]
        ranked["negated"][name] = TamisCompressor().rank(negated, query)
    check(dataset, ranked)
