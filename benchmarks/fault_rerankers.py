"""The rerankers that meet the faults: tamis, the frameworks' own with their own clients, `rerankers` and `rank_llm`.

All as they come, retries included, but for a time limit of `TIMEOUT` seconds a request where one can be set, and for
being told to return every passage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from providers import DOC_RELEVANCE, INDEX_LIST, PERMUTATION, RANKED_IDS, RUBRIC, Format, YesNo, passage
from tamis import Engine, Groupwise, Listwise, Pointwise, Ranking, Rebel
from tamis.models import OpenAIChat
from tamis.stage.base import Stage

COUNT, TIMEOUT, KEY, QUERY = 12, 1.0, "sk-none", "which notes matter?"
PASSAGES = [passage(number) for number in range(COUNT)]
GRADES = Format("{", lambda number, grade: f'"{number}": {grade}', ", ", "}")


@dataclass(frozen=True)
class Came:
    """What came back: numbers of passages, best first; those reported as dropped; those reported as not judged."""

    kept: list[int]
    dropped: set[int] = field(default_factory=set)
    flagged: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Reranker:
    """`make` takes the address of a server and gives what reranks all passages. `needs`: modules it cannot do without.

    `form`: how its model should answer. `filters`: it is asked to leave passages out.
    """

    name: str
    form: Format | YesNo
    make: Callable[[str], Callable[[], Came]]
    needs: tuple[str, ...] = ()
    filters: bool = False

    @property
    def missing(self) -> list[str]:
        return [module for module in self.needs if not importable(module)]

    def load(self) -> None:
        for module in self.needs:
            import_module(module)


def importable(module: str) -> bool:
    try:
        return module in sys.modules or find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def tamis(stage: Callable[[OpenAIChat], Stage]) -> Callable[[str], Callable[[], Came]]:
    def make(url: str) -> Callable[[], Came]:
        reranker, engine = stage(OpenAIChat("test", base_url=url, timeout=TIMEOUT, api_key=KEY)), Engine()

        def run() -> Came:
            ranking: Ranking = reranker.rerank(QUERY, PASSAGES, engine=engine)
            dropped = {dropped.position for dropped in ranking.dropped}
            notices = (notice for notice in ranking.warnings if notice.degraded)
            flagged = {position for notice in notices for position in notice.positions}
            return Came(list(ranking.positions), dropped, flagged)

        return run

    return make


def llama_index(rank_gpt: bool) -> Callable[[str], Callable[[], Came]]:
    def make(url: str) -> Callable[[], Came]:
        from llama_index.core.postprocessor import LLMRerank
        from llama_index.core.schema import NodeWithScore, TextNode
        from llama_index.llms.openai_like import OpenAILike

        llm = OpenAILike(model="test", api_base=url, api_key=KEY, timeout=TIMEOUT, is_chat_model=True)
        nodes = [NodeWithScore(node=TextNode(text=text, id_=str(n)), score=0.0) for n, text in enumerate(PASSAGES)]
        if rank_gpt:
            from llama_index.postprocessor.rankgpt_rerank import RankGPTRerank

            reranker = RankGPTRerank(llm=llm, top_n=10 * COUNT)
        else:
            reranker = LLMRerank(llm=llm, top_n=10 * COUNT)
        return lambda: Came([int(node.node_id) for node in reranker.postprocess_nodes(nodes, query_str=QUERY)])

    return make


def langchain(filters: bool) -> Callable[[str], Callable[[], Came]]:
    def make(url: str) -> Callable[[], Came]:
        from langchain_classic.retrievers.document_compressors import LLMChainFilter, LLMListwiseRerank
        from langchain_core.documents import Document
        from langchain_openai import ChatOpenAI

        model = ChatOpenAI(model="test", base_url=url, api_key=KEY, timeout=TIMEOUT)
        documents = [Document(text, id=str(number)) for number, text in enumerate(PASSAGES)]
        own = LLMChainFilter.from_llm(model) if filters else LLMListwiseRerank.from_llm(model, top_n=10 * COUNT)
        return lambda: Came([int(str(document.id)) for document in own.compress_documents(documents, QUERY)])

    return make


def haystack(url: str) -> Callable[[], Came]:
    from haystack import Document
    from haystack.components.generators.chat import OpenAIChatGenerator
    from haystack.components.rankers import LLMRanker
    from haystack.utils import Secret

    generator = OpenAIChatGenerator(api_key=Secret.from_token(KEY), model="test", api_base_url=url, timeout=TIMEOUT)
    ranker = LLMRanker(chat_generator=generator, top_k=10 * COUNT)
    documents = [Document(content=text, id=str(number)) for number, text in enumerate(PASSAGES)]
    return lambda: Came([int(document.id) for document in ranker.run(query=QUERY, documents=documents)["documents"]])


def rerankers(url: str) -> Callable[[], Came]:
    import litellm
    from rerankers import Reranker as Peer

    litellm.api_base, litellm.request_timeout = url, TIMEOUT
    ranker = Peer("openai/test", model_type="rankgpt", api_key=KEY, verbose=0)
    ids = list(range(COUNT))
    return lambda: Came([r.document.doc_id for r in ranker.rank(QUERY, PASSAGES, doc_ids=ids, rank_end=COUNT)])


def rank_llm(litellm: bool) -> Callable[[str], Callable[[], Came]]:
    """Its time limit is 300 s, and fixed."""

    def make(url: str) -> Callable[[], Came]:
        os.environ["TIKTOKEN_CACHE_DIR"] = str(files("litellm.litellm_core_utils").joinpath("tokenizers"))
        from rank_llm.data import Candidate, Query, Request
        from rank_llm.rerank.listwise.rank_gpt import SafeOpenai
        from rank_llm.rerank.listwise.rank_litellm import SafeLiteLLM
        from rank_llm.rerank.reranker import TEMPLATES
        from rank_llm.rerank.reranker import Reranker as Peer

        prompt = str(TEMPLATES / "rank_gpt_template.yaml")
        shared = {"context_size": 16_000, "prompt_template_path": prompt}
        if litellm:
            own = SafeLiteLLM("openai/test", api_key=KEY, api_base=url, **shared)
        else:
            own = SafeOpenai("test", keys=KEY, base_url=url, **shared)
        candidates = [Candidate(number, 1.0, {"contents": text}) for number, text in enumerate(PASSAGES)]
        request = Request(Query(QUERY, 1), candidates)

        def run() -> Came:
            result = Peer(own).rerank(request, rank_end=COUNT)
            return Came([candidate.docid for candidate in result.candidates])

        return run

    return make


LLAMA = ("llama_index.core.postprocessor", "llama_index.llms.openai_like")
LANGCHAIN = ("langchain_classic.retrievers.document_compressors", "langchain_openai")
HAYSTACK = ("haystack.components.rankers", "haystack.components.generators.chat")
RANK_GPT = "llama_index.postprocessor.rankgpt_rerank"
ALL = (
    Reranker("tamis Listwise", PERMUTATION, tamis(Listwise)),
    Reranker("tamis Pointwise", YesNo(), tamis(Pointwise)),
    Reranker("tamis Groupwise", GRADES, tamis(Groupwise)),
    Reranker("tamis Rebel", RUBRIC, tamis(Rebel)),
    Reranker("LlamaIndex LLMRerank", DOC_RELEVANCE, llama_index(False), LLAMA),
    Reranker("LlamaIndex RankGPTRerank", PERMUTATION, llama_index(True), (*LLAMA, RANK_GPT)),
    Reranker("LangChain LLMListwiseRerank", RANKED_IDS, langchain(False), LANGCHAIN),
    Reranker("LangChain LLMChainFilter", YesNo(), langchain(True), LANGCHAIN, filters=True),
    Reranker("Haystack LLMRanker", INDEX_LIST, haystack, HAYSTACK),
    Reranker("rerankers RankGPT", PERMUTATION, rerankers, ("litellm", "rerankers.models.rankgpt_rankers")),
    Reranker("rank_llm SafeOpenai", PERMUTATION, rank_llm(False), ("litellm", "rank_llm.rerank.listwise.rank_gpt")),
    Reranker("rank_llm SafeLiteLLM", PERMUTATION, rank_llm(True), ("litellm", "rank_llm.rerank.listwise.rank_litellm")),
)
