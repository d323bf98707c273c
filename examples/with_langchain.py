"""tamis in a LangChain `ContextualCompressionRetriever`: one line, `base_compressor=TamisCompressor(...)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore

from bundled_models import Embedder
from langchain_tamis import TamisCompressor
from shown import Outcome
from stdlib_corpus import Passage
from tamis import Ranking


class BundledEmbeddings(Embeddings):
    """The demo's embedder in LangChain's form."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embedder.passages(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.embedder.query(text)


class LangChainSearch:
    """An `InMemoryVectorStore` over the corpus and a compression retriever with tamis in it."""

    name, retriever = "LangChain", "InMemoryVectorStore (bge-small)"

    def __init__(self, passages: Sequence[Passage], embedder: Embedder, depth: int) -> None:
        self.store = InMemoryVectorStore(BundledEmbeddings(embedder))
        self.store.add_documents(
            [
                Document(id=passage.id, page_content=f"{passage.title}\n{passage.text}", metadata=passage.metadata)
                for passage in passages
            ]
        )
        self.base = self.store.as_retriever(search_kwargs={"k": depth})

    def before(self, question: str) -> list[str]:
        """Ids of the documents retrieved."""
        return [document.id or "" for document in self.base.invoke(question)]

    def after(self, question: str, pipeline: Any, top_n: int, **models: Any) -> Outcome:
        """The documents that the compression retriever gives."""
        rankings: list[Ranking] = []
        # A cache of its own: the seconds shown are not to profit from what another framework asked.
        compressor = TamisCompressor(pipeline, models=models, engine={}, top_n=top_n, on_ranking=rankings.append)
        retriever = ContextualCompressionRetriever(base_retriever=self.base, base_compressor=compressor)
        documents = retriever.invoke(question)
        assert [document.id for document in documents] == [c.id for c in rankings[0].candidates]
        return Outcome.of(rankings[0])
