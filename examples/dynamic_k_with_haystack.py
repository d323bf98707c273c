"""Fixed k against dynamic k in a Haystack pipeline.

python examples/dynamic_k_with_haystack.py
"""

from __future__ import annotations

import os

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.rankers.tamis import TamisRanker

import fixed_or_dynamic


def build(setting: fixed_or_dynamic.Setting) -> tuple[fixed_or_dynamic.Ask, fixed_or_dynamic.Ask]:
    texts = [fixed_or_dynamic.text_of(passage) for passage in setting.passages]
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    found = zip(setting.passages, texts, setting.embedder.passages(texts), strict=True)
    store.write_documents([Document(id=p.id, content=text, embedding=vector) for p, text, vector in found])

    def pipeline(ranker: TamisRanker) -> fixed_or_dynamic.Ask:
        pipe = Pipeline()
        pipe.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=setting.depth))
        pipe.add_component("ranker", ranker)
        pipe.connect("retriever.documents", "ranker.documents")

        def ask(question: str) -> list[str]:
            vector = setting.embedder.query(question)
            result = pipe.run({"retriever": {"query_embedding": vector}, "ranker": {"query": question}})
            return [document.id for document in result["ranker"]["documents"]]

        return ask

    fixed = TamisRanker("cross-encoder", models=setting.models, engine=setting.engine, top_k=setting.k)
    dynamic = TamisRanker(setting.dynamic, models=setting.models, engine=setting.engine, top_k=setting.at_most)
    return pipeline(fixed), pipeline(dynamic)


if __name__ == "__main__":
    fixed_or_dynamic.main("Haystack", build)
