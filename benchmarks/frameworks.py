"""tamis inside LlamaIndex, LangChain and Haystack, next to the LLM rerankers those frameworks come with.

Wall time at 50 ms a model call, and what becomes of the documents when the model answers badly.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Document as HaystackDocument
from haystack.components.rankers import LLMRanker
from haystack_integrations.components.rankers.tamis import TamisRanker
from langchain_classic.retrievers.document_compressors import LLMChainFilter, LLMListwiseRerank
from langchain_core.documents import Document
from llama_index.core.postprocessor import LLMRerank
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.tamis import TamisRerank

from langchain_tamis import TamisCompressor
from providers import (
    DOC_RELEVANCE,
    FLAWS,
    INDEX_LIST,
    PERMUTATION,
    RANKED_IDS,
    RUBRIC,
    BlockingLLM,
    ChatGenerator,
    ChatModel,
    Format,
    NativeLLM,
    Provider,
    YesNo,
    grade,
    passage,
)
from report import interleaved, ms, save, table
from tamis import Ranking

COUNT, DELAY, REPEATS = 100, 0.05, 15
ALL = 10 * COUNT
"""The `top_n` that asks for all documents; at `COUNT` it would cut off what a reranker returned twice."""
PACKAGES = ("tamis", "llama-index-core", "langchain-core", "langchain-classic", "haystack-ai")
ONE_CALL = {"listwise": {"model": "llm", "window": COUNT, "stride": COUNT}}
CALL_EACH = {"rebel": {"model": "llm", "batch_size": 1, "anchors": 0}}

Found = list[tuple[int, float | None]]
"""What came back: number of the passage, score if the contender gives one."""
NODES = [NodeWithScore(node=TextNode(text=passage(n), id_=str(n)), score=1 - n / 1000) for n in range(COUNT)]
DOCUMENTS = [Document(passage(n), id=str(n)) for n in range(COUNT)]
HAYSTACK = [HaystackDocument(content=passage(n), id=str(n)) for n in range(COUNT)]


@dataclass(frozen=True)
class Account:
    """What tamis reports next to its result: passages dropped for a reason, passages it could not judge."""

    dropped: set[int] = field(default_factory=set)
    flagged: set[int] = field(default_factory=set)

    def ranking(self, ranking: Ranking) -> None:
        """Positions are passage numbers here."""
        self.dropped.update(dropped.ranked.position for dropped in ranking.dropped)
        self.flagged.update(position for notice in ranking.warnings for position in notice.positions)

    def diagnostics(self, diagnostics: dict[str, Any]) -> None:
        """The same from the Haystack component's own output."""
        self.dropped.update(int(dropped["id"]) for dropped in diagnostics["dropped"])
        self.flagged.update(int(number) for warning in diagnostics["warnings"] for number in warning["ids"])


@dataclass(frozen=True)
class Contender:
    """A reranker over `provider`. `run` and `arun` take a query and give what came back."""

    framework: str
    name: str
    provider: Provider
    run: Callable[[str], Found]
    arun: Callable[[str], Coroutine[Any, Any, Found]]
    account: Account


def llama_index(name: str, answer: Format, delay: float, flaw: str = "none", llm: Any = NativeLLM) -> Contender:
    provider, account = Provider(answer, delay, flaw), Account()
    model = llm(provider=provider)
    reranker: Any
    if name == "LLMRerank":
        reranker = LLMRerank(llm=model, choice_batch_size=10, top_n=ALL)
    else:
        reranker = TamisRerank("rebel", llm=model, on_ranking=account.ranking)

    def found(nodes: Sequence[NodeWithScore]) -> Found:
        return [(int(node.node_id), node.score) for node in nodes]

    def run(query: str) -> Found:
        return found(reranker.postprocess_nodes(NODES, query_str=query))

    async def arun(query: str) -> Found:
        return found(await reranker.apostprocess_nodes(NODES, query_str=query))

    kind = "sync-only LLM" if llm is BlockingLLM else "async LLM"
    return Contender("LlamaIndex", f"{name} ({kind})", provider, run, arun, account)


def langchain(
    name: str, answer: Format | YesNo, delay: float, flaw: str = "none", pipeline: Any = "rebel", **options: Any
) -> Contender:
    provider, account = Provider(answer, delay, flaw), Account()
    model = ChatModel(provider=provider)
    compressor: Any
    if name == "LLMListwiseRerank":
        compressor = LLMListwiseRerank.from_llm(model, top_n=ALL)
    elif name == "LLMChainFilter":
        compressor = LLMChainFilter.from_llm(model)
    else:
        compressor = TamisCompressor(pipeline, llm=model, on_ranking=account.ranking, **options)

    def found(documents: Sequence[Document]) -> Found:
        return [(int(str(document.id)), document.metadata.get("relevance_score")) for document in documents]

    def run(query: str) -> Found:
        return found(compressor.compress_documents(DOCUMENTS, query))

    async def arun(query: str) -> Found:
        return found(await compressor.acompress_documents(DOCUMENTS, query))

    return Contender("LangChain", name, provider, run, arun, account)


def haystack(name: str, answer: Format, delay: float, flaw: str = "none", pipeline: Any = "rebel") -> Contender:
    provider, account = Provider(answer, delay, flaw), Account()
    generator = ChatGenerator(provider)
    ranker: Any
    if name == "LLMRanker":
        ranker = LLMRanker(chat_generator=generator, top_k=ALL)
    else:
        ranker = TamisRanker(pipeline, chat_generator=generator)

    def found(result: dict[str, Any]) -> Found:
        if "diagnostics" in result:
            account.diagnostics(result["diagnostics"])
        return [(int(document.id), document.score) for document in result["documents"]]

    def run(query: str) -> Found:
        return found(ranker.run(query=query, documents=HAYSTACK))

    async def arun(query: str) -> Found:
        return found(await ranker.run_async(query=query, documents=HAYSTACK))

    return Contender("Haystack", name, provider, run, arun, account)


# --- wall time --------------------------------------------------------------------------------------------------------


def races() -> list[list[Contender]]:
    """Groups of contenders that call the same model as often; the first of each is tamis, the others' yardstick."""
    return [
        *(
            [
                llama_index("tamis rebel", RUBRIC, DELAY, llm=llm),
                llama_index("LLMRerank", DOC_RELEVANCE, DELAY, llm=llm),
            ]
            for llm in (BlockingLLM, NativeLLM)
        ),
        [
            langchain("tamis rebel, 1 passage a call", RUBRIC, DELAY, pipeline=CALL_EACH),
            langchain("the same, concurrency 100", RUBRIC, DELAY, pipeline=CALL_EACH, engine={"concurrency": COUNT}),
            langchain("LLMChainFilter", YesNo(), DELAY),
        ],
        [
            langchain("tamis listwise, one window", PERMUTATION, DELAY, pipeline=ONE_CALL),
            langchain("tamis rebel, 10 passages a call", RUBRIC, DELAY),
            langchain("LLMListwiseRerank", RANKED_IDS, DELAY),
        ],
        [
            haystack("tamis listwise, one window", PERMUTATION, DELAY, pipeline=ONE_CALL),
            haystack("tamis rebel, 10 passages a call", RUBRIC, DELAY),
            haystack("LLMRanker", INDEX_LIST, DELAY),
        ],
    ]


def speed() -> str:
    rows: list[list[object]] = []
    with asyncio.Runner() as loop:
        for group in races():
            runs: dict[str, Callable[[int], object]] = {}
            calls: dict[str, int] = {}
            for contender in group:
                for mode in ("sync", "async"):
                    runs[f"{contender.name} {mode}"] = timed(contender, mode, loop, calls)
            seconds = interleaved(runs, REPEATS)
            for contender in group:
                for mode in ("sync", "async"):
                    key = f"{contender.name} {mode}"
                    ratio = seconds[key] / seconds[f"{group[0].name} {mode}"]
                    own = contender is group[0]
                    shown = "1" if own else f"{ratio:.2f}"
                    rows.append([contender.framework, contender.name, mode, calls[key], ms(seconds[key]), shown])
    return table(["framework", "reranker", "mode", "calls", "median ms", "time / first tamis row's"], rows)


def timed(contender: Contender, mode: str, loop: asyncio.Runner, calls: dict[str, int]) -> Callable[[int], object]:
    """One rerank of a query not asked before, so that no cache answers; checks that all documents came back."""

    def run(repeat: int) -> object:
        query, before = f"question {repeat}, {mode}", contender.provider.calls
        found = contender.run(query) if mode == "sync" else loop.run(contender.arun(query))
        assert sorted(number for number, _ in found) == list(range(COUNT)), contender.name
        calls[f"{contender.name} {mode}"] = contender.provider.calls - before
        return found

    return run


# --- bad answers ------------------------------------------------------------------------------------------------------

PEERS: dict[str, Callable[[str], Contender]] = {
    "LlamaIndex LLMRerank": lambda flaw: llama_index("LLMRerank", DOC_RELEVANCE, 0.0, flaw),
    "LangChain LLMListwiseRerank": lambda flaw: langchain("LLMListwiseRerank", RANKED_IDS, 0.0, flaw),
    "LangChain LLMChainFilter": lambda flaw: langchain("LLMChainFilter", YesNo(), 0.0, flaw),
    "Haystack LLMRanker": lambda flaw: haystack("LLMRanker", INDEX_LIST, 0.0, flaw),
    "tamis rebel (LlamaIndex)": lambda flaw: llama_index("tamis rebel", RUBRIC, 0.0, flaw),
    "tamis rebel (LangChain)": lambda flaw: langchain("tamis rebel", RUBRIC, 0.0, flaw),
    "tamis rebel (Haystack)": lambda flaw: haystack("tamis rebel", RUBRIC, 0.0, flaw),
    "tamis listwise (LangChain)": lambda flaw: langchain("tamis", PERMUTATION, 0.0, flaw, pipeline=ONE_CALL),
}
NO_SCORES = {flaw for flaw in FLAWS if "score" not in flaw}
APPLIES = {
    "LLMChainFilter": {"none", "refusal in prose", "empty", "code fences", "all scores in words"},
    "LLMListwiseRerank": NO_SCORES,
    "LLMRanker": NO_SCORES,
    "listwise": NO_SCORES,
}
"""The flaws an answer of each reranker can have, where not all: some ask for no scores, one for a single word."""
HARMS = ("raised", "lost", "doubled", "misscored", "unflagged")


def outcome(contender: Contender) -> dict[str, int | str]:
    """What became of the documents, how many each; empty when all is well. `raised` names the error."""
    try:
        found = contender.run("question")
    except Exception as error:
        return {"raised": type(error).__name__}
    times = Counter(number for number, _ in found)
    order = [number for number, _ in found]
    flagged = contender.account.flagged
    kept = COUNT if order == list(range(COUNT)) and contender.name != "LLMChainFilter" else 0
    counts = {
        "lost": COUNT - len(times.keys() | contender.account.dropped),
        "doubled": sum(count - 1 for count in times.values()),
        "misscored": sum(score is not None and score != grade(number) for number, score in found),
        "unflagged": kept if not flagged else 0,
        "flagged": len(flagged),
    }
    return {what: count for what, count in counts.items() if count}


def shown(what: str, value: int | str) -> str:
    if what == "raised":
        return f"raised {value}"
    return f"{value} {'not reordered' if what == 'unflagged' else what}"


def harm() -> tuple[str, str]:
    """A table of how often each reranker did harm, and one of what it did with each flaw."""
    logging.disable(logging.CRITICAL)
    rows: dict[str, list[str]] = {flaw: [] for flaw in FLAWS}
    totals: list[list[object]] = []
    for name, make in PEERS.items():
        applies = next((flaws for part, flaws in APPLIES.items() if part in name), set(FLAWS))
        found = {flaw: outcome(make(flaw)) for flaw in FLAWS if flaw in applies}
        assert not found["none"], (name, found["none"])
        for flaw in FLAWS:
            cell = ", ".join(shown(*item) for item in found[flaw].items()) if flaw in found else "-"
            rows[flaw].append(cell or "ok")
        totals.append([name, len(found) - 1, *(sum(what in harms for harms in found.values()) for what in HARMS)])
    logging.disable(logging.NOTSET)
    head = ["reranker", "kinds of flaw", "raised", "lost documents", "doubled documents", "gave wrong scores"]
    detail = table(["flaw", *PEERS], [[flaw, *row] for flaw, row in rows.items()])
    return table([*head, "did not reorder, unsaid"], totals), detail


def main() -> None:
    totals, detail = harm()
    save(
        "frameworks",
        "tamis and the frameworks' own LLM rerankers",
        PACKAGES,
        f"## Wall time: {COUNT} documents, {DELAY * 1e3:.0f} ms a model call, median of {REPEATS} interleaved runs",
        speed(),
        "Within a group (same framework, same model) times are divided by those of the group's first row in the same "
        "mode. The model takes the same time whatever it is asked, so one call over 100 documents is as quick here as "
        "one over 10; with a real model, whose time grows with what it reads and writes, it is not.",
        "`LLMRerank`: `choice_batch_size=10`; its async path runs 4 calls at once. `LLMChainFilter`: 1 document a "
        "call, sync by a thread pool of a size Python chooses by cores, async all at once. `LLMListwiseRerank`, "
        "`LLMRanker`: all documents in one call. tamis: 16 calls at once unless said otherwise.",
        f"## Bad answers: what becomes of {COUNT} documents, all of them relevant",
        "Every answer of the model has the flaw, that to a repeated question included, in the format the reranker "
        "asked for. Counted are the kinds of flaw that ended so: raised: an error instead of a result. lost: "
        "documents neither returned nor reported as dropped. doubled: returned more than once. misscored: returned "
        "with a score the model did not give them. not reordered: all in incoming order, which a log line tells but "
        "the result does not. flagged: kept in incoming order without a score, and named in the result's warnings. "
        "`-`: this reranker asks for no such thing. All are as they come, but for being told to return every "
        "document. LangChain's structured output is read by its `PydanticOutputParser`; a provider that enforces a "
        "schema prevents some of these flaws.",
        totals,
        detail,
    )


if __name__ == "__main__":
    main()
