"""tamis in a LlamaIndex query engine: one line, `node_postprocessors=[TamisRerank(...)]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM, MockLLM
from llama_index.core.schema import TextNode
from llama_index.postprocessor.tamis import TamisRerank

from bundled_models import Embedder
from shown import Outcome
from stdlib_corpus import Passage
from tamis import Ranking


class BundledEmbedding(BaseEmbedding):
    """The demo's embedder in LlamaIndex's form."""

    embedder: Any

    def _get_query_embedding(self, query: str) -> list[float]:
        return self.embedder.query(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self.embedder.passages([text])[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class LlamaIndexSearch:
    """A `VectorStoreIndex` over the corpus and a query engine with tamis in it."""

    name, retriever = "LlamaIndex", "VectorStoreIndex (bge-small)"

    def __init__(self, passages: Sequence[Passage], embedder: Embedder, depth: int) -> None:
        texts = [f"{passage.title}\n{passage.text}" for passage in passages]
        nodes = [
            TextNode(
                id_=passage.id,
                text=text,
                metadata=passage.metadata,
                embedding=vector,
                excluded_embed_metadata_keys=list(passage.metadata),
                excluded_llm_metadata_keys=list(passage.metadata),
            )
            for passage, text, vector in zip(passages, texts, embedder.passages(texts), strict=True)
        ]
        self.index = VectorStoreIndex(nodes, embed_model=BundledEmbedding(embedder=embedder))
        self.depth = depth

    def before(self, question: str) -> list[str]:
        """Ids of the passages retrieved."""
        return [node.node_id for node in self.index.as_retriever(similarity_top_k=self.depth).retrieve(question)]

    def after(self, question: str, pipeline: Any, top_n: int, llm: LLM | None = None, **models: Any) -> Outcome:
        """The context that the query engine gave its generator."""
        rankings: list[Ranking] = []
        # A cache of its own: the seconds shown are not to profit from what another framework asked.
        rerank = TamisRerank(pipeline, models=models, engine={}, top_n=top_n, explain=True, on_ranking=rankings.append)
        engine = self.index.as_query_engine(
            llm=llm or MockLLM(max_tokens=1), similarity_top_k=self.depth, node_postprocessors=[rerank]
        )
        response = engine.query(question)
        assert [node.node_id for node in response.source_nodes] == [c.id for c in rankings[0].candidates]
        return Outcome.of(rankings[0])
