"""A user's own retriever, in each framework, becomes a test set whose first stage is that retriever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from haystack import Document as HaystackDocument
from haystack import Pipeline, component
from haystack.components.joiners import DocumentJoiner
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from tests.langchain.fakes import BagOfWords

from llamaindex.doubles import HashedWords
from support.evaluations import QUERIES, TEXTS
from tamis.errors import ConfigError
from tamis.evaluate import collect, evaluate, read
from tamis.evaluate.dataset import Dataset

ASKED = {query: text for query, (text, _) in QUERIES.items()}


def collected(retriever: Any, folder: Path, **options: Any) -> Dataset:
    """What was written, and that the first stage of an evaluation is just that."""
    collect(retriever, ASKED, folder, **options)
    rows = [f"{query}\t{p}\t{grade}\n" for query, (_, grades) in QUERIES.items() for p, grade in grades.items()]
    (folder / "qrels.tsv").write_text("".join(rows), encoding="utf-8")
    (evaluation,) = evaluate(["default"], folder, names=["nDCG@10"], bounds=False).evaluations
    assert evaluation.systems[0].means["nDCG@10"].n == len(ASKED)
    return read(folder)


class TestLlamaIndex:
    @pytest.fixture(scope="class")
    def index(self) -> VectorStoreIndex:
        nodes = [TextNode(text=text, id_=i, metadata={"source": f"{i}.txt"}) for i, text in TEXTS.items()]
        return VectorStoreIndex(nodes, embed_model=HashedWords())

    @pytest.mark.parametrize("whole", [False, True])
    def test_a_retriever_and_an_index(self, index: VectorStoreIndex, tmp_path: Path, whole: bool) -> None:
        retriever = index.as_retriever(similarity_top_k=5)
        data = collected(index if whole else retriever, tmp_path, **({"top_k": 5} if whole else {}))
        for query, text in ASKED.items():
            nodes = retriever.retrieve(text)
            assert data.run[query] == tuple((node.node.node_id, pytest.approx(node.score)) for node in nodes)
        assert data.corpus["p1"].text == TEXTS["p1"]
        assert data.corpus["p1"].metadata == {"source": "p1.txt"}


class TestLangChain:
    @pytest.fixture(scope="class")
    def store(self) -> InMemoryVectorStore:
        store = InMemoryVectorStore(BagOfWords(256))
        store.add_documents([Document(text, id=i, metadata={"page": 3}) for i, text in TEXTS.items()])
        return store

    @pytest.mark.parametrize("whole", [False, True])
    def test_a_vector_store_and_its_retriever_keep_their_scores(
        self, store: InMemoryVectorStore, tmp_path: Path, whole: bool
    ) -> None:
        retriever = store.as_retriever(search_kwargs={"k": 5})
        data = collected(store if whole else retriever, tmp_path, **({"top_k": 5} if whole else {}))
        for query, text in ASKED.items():
            found = store.similarity_search_with_score(text, k=5)
            assert data.run[query] == tuple((document.id, pytest.approx(score)) for document, score in found)
            assert [p for p, _ in data.run[query]] == [document.id for document in retriever.invoke(text)]
        assert data.corpus["p1"].metadata == {"page": 3}

    def test_a_retriever_without_scores_or_ids(self, tmp_path: Path) -> None:
        class Own(BaseRetriever):
            def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
                return [Document(text) for text in TEXTS.values() if {*query.split()} & {*text.lower().split()}]

        done = collect(Own(), ASKED, tmp_path)
        assert done.scores == "none"
        assert any("passages have no id" in notice for notice in done.notices)
        found = read(tmp_path, judged=False)
        assert [c.text for c in found.pool("q2")] == [d.page_content for d in Own().invoke(ASKED["q2"])]


@component
class Embedder:
    """Hashed counts of words, as Haystack embeds a text."""

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, Any]:
        return {"embedding": BagOfWords(256).embed_query(text)}


class TestHaystack:
    @pytest.fixture(scope="class")
    def store(self) -> InMemoryDocumentStore:
        store = InMemoryDocumentStore()
        embed = BagOfWords(256).embed_query
        store.write_documents(
            [HaystackDocument(id=i, content=t, embedding=embed(t), meta={"page": 3}) for i, t in TEXTS.items()]
        )
        return store

    def test_a_bm25_retriever(self, store: InMemoryDocumentStore, tmp_path: Path) -> None:
        data = collected(InMemoryBM25Retriever(store), tmp_path, top_k=4)
        for query, text in ASKED.items():
            found = InMemoryBM25Retriever(store).run(query=text, top_k=4)["documents"]
            assert data.run[query] == tuple((document.id, pytest.approx(document.score)) for document in found)
        assert data.corpus["p1"].metadata == {"page": 3}

    def test_a_pair_of_embedder_and_retriever_and_their_pipeline(
        self, store: InMemoryDocumentStore, tmp_path: Path
    ) -> None:
        pipeline = Pipeline()
        pipeline.add_component("embedder", Embedder())
        pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=6))
        pipeline.connect("embedder.embedding", "retriever.query_embedding")
        pair = collected((Embedder(), InMemoryEmbeddingRetriever(store, top_k=6)), tmp_path / "pair")
        whole = collected(pipeline, tmp_path / "pipeline")
        assert pair.run == whole.run
        assert {len(found) for found in whole.run.values()} == {6}

    def test_a_hybrid_pipeline_and_what_a_component_inside_gives(
        self, store: InMemoryDocumentStore, tmp_path: Path
    ) -> None:
        pipeline = Pipeline()
        pipeline.add_component("embedder", Embedder())
        pipeline.add_component("dense", InMemoryEmbeddingRetriever(store, top_k=3))
        pipeline.add_component("words", InMemoryBM25Retriever(store, top_k=3))
        pipeline.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion"))
        pipeline.connect("embedder.embedding", "dense.query_embedding")
        pipeline.connect("dense", "joiner")
        pipeline.connect("words", "joiner")
        joined = collected(pipeline, tmp_path / "joined")
        words = collected(pipeline, tmp_path / "words", output="words")
        assert all(0 < len(found) <= 3 for found in words.run.values())
        text = ASKED["q1"]
        made = pipeline.run({"embedder": {"text": text}, "words": {"query": text}})["joiner"]["documents"]
        assert [p for p, _ in joined.run["q1"]] == [document.id for document in made]

    def test_a_retriever_of_vectors_alone_says_what_to_give(self, store: InMemoryDocumentStore, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"takes query_embedding.*the pair \(text_embedder, retriever\)"):
            collect(InMemoryEmbeddingRetriever(store), ASKED, tmp_path)
