"""tamis in a Haystack `Pipeline`: one component, `TamisRanker(...)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.rankers.tamis import TamisRanker

from shown import Outcome, Shown
from stdlib_corpus import Passage


class HaystackSearch:
    """An `InMemoryBM25Retriever` over the corpus and a pipeline with tamis after it."""

    name, retriever = "Haystack", "InMemoryBM25Retriever"

    def __init__(self, passages: Sequence[Passage], depth: int) -> None:
        self.store = InMemoryDocumentStore()
        self.store.write_documents(
            [
                Document(id=passage.id, content=f"{passage.title}\n{passage.text}", meta=dict(passage.metadata))
                for passage in passages
            ]
        )
        self.depth = depth

    def before(self, question: str) -> list[str]:
        """Ids of the documents retrieved."""
        found = InMemoryBM25Retriever(self.store, top_k=self.depth).run(query=question)
        return [document.id for document in found["documents"]]

    def after(self, question: str, pipeline: Any, top_n: int, **models: Any) -> Outcome:
        """The documents that the pipeline gives."""
        pipe = Pipeline()
        pipe.add_component("retriever", InMemoryBM25Retriever(self.store, top_k=self.depth))
        # A cache of its own: the seconds shown are not to profit from what another framework asked.
        pipe.add_component("ranker", TamisRanker(pipeline, models=models, engine={}, top_k=top_n, explain=True))
        pipe.connect("retriever.documents", "ranker.documents")
        result = pipe.run({"retriever": {"query": question}, "ranker": {"query": question}})["ranker"]
        context = [_shown(document) for document in result["documents"]]
        usage, warnings = result["diagnostics"]["usage"], result["diagnostics"]["warnings"]
        return Outcome(context, usage["seconds"], usage["calls"], tuple(w["message"] for w in warnings))


def _shown(document: Document) -> Shown:
    told = document.meta["tamis"]
    return Shown(document.id, document.score, told["criteria"], told["reason"])
