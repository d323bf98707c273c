"""The framework's own tests of retrievers, run over a compression retriever."""

from __future__ import annotations

from typing import Any

from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests
from tests.langchain.fakes import QUERY, BagOfWords, documents

from langchain_tamis import TamisCompressor


class TamisRetriever(ContextualCompressionRetriever):
    """Takes `k`, as the standard tests ask for it: how many documents the compressor keeps."""

    k: int | None = None

    def _with(self, k: int | None = None) -> ContextualCompressionRetriever:
        assert isinstance(self.base_compressor, TamisCompressor)
        compressor = self.base_compressor.with_options(top_n=k or self.k)
        return ContextualCompressionRetriever(base_compressor=compressor, base_retriever=self.base_retriever)

    def _get_relevant_documents(self, query: str, *, run_manager: Any, **more: Any) -> list[Document]:
        return self._with(**more)._get_relevant_documents(query, run_manager=run_manager)

    async def _aget_relevant_documents(self, query: str, *, run_manager: Any, **more: Any) -> list[Document]:
        return await self._with(**more)._aget_relevant_documents(query, run_manager=run_manager)


class TestCompressionRetriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return TamisRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        store = InMemoryVectorStore(BagOfWords())
        store.add_documents(documents())
        return {"base_retriever": store.as_retriever(), "base_compressor": TamisCompressor()}

    @property
    def retriever_query_example(self) -> str:
        return QUERY
