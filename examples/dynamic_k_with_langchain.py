"""Fixed k against dynamic k in a LangChain compression retriever.

python examples/dynamic_k_with_langchain.py
"""

from __future__ import annotations

from langchain_classic.retrievers import ContextualCompressionRetriever

import fixed_or_dynamic
from langchain_tamis import TamisCompressor
from with_langchain import LangChainSearch


def build(setting: fixed_or_dynamic.Setting) -> tuple[fixed_or_dynamic.Ask, fixed_or_dynamic.Ask]:
    base = LangChainSearch(setting.passages, setting.embedder, setting.depth).base

    def retriever(compressor: TamisCompressor) -> fixed_or_dynamic.Ask:
        made = ContextualCompressionRetriever(base_retriever=base, base_compressor=compressor)
        return lambda question: [document.id or "" for document in made.invoke(question)]

    fixed = TamisCompressor("cross-encoder", models=setting.models, engine=setting.engine, top_n=setting.k)
    dynamic = TamisCompressor(setting.dynamic, models=setting.models, engine=setting.engine, top_n=setting.at_most)
    return retriever(fixed), retriever(dynamic)


if __name__ == "__main__":
    fixed_or_dynamic.main("LangChain", build)
