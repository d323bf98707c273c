"""Fixed k against dynamic k in a LlamaIndex query engine.

python examples/dynamic_k_with_llamaindex.py
"""

from __future__ import annotations

from llama_index.core.llms import MockLLM
from llama_index.postprocessor.tamis import TamisRerank

import fixed_or_dynamic
from with_llamaindex import LlamaIndexSearch


def build(setting: fixed_or_dynamic.Setting) -> tuple[fixed_or_dynamic.Ask, fixed_or_dynamic.Ask]:
    index = LlamaIndexSearch(setting.passages, setting.embedder, setting.depth).index

    def engine(rerank: TamisRerank) -> fixed_or_dynamic.Ask:
        made = index.as_query_engine(llm=MockLLM(), similarity_top_k=setting.depth, node_postprocessors=[rerank])
        return lambda question: [node.node_id for node in made.query(question).source_nodes]

    fixed = TamisRerank("cross-encoder", models=setting.models, engine=setting.engine, top_n=setting.k)
    dynamic = TamisRerank(setting.dynamic, models=setting.models, engine=setting.engine, top_n=setting.at_most)
    return engine(fixed), engine(dynamic)


if __name__ == "__main__":
    fixed_or_dynamic.main("LlamaIndex", build)
