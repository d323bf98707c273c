"""tamis inside LlamaIndex, LangChain and Haystack, next to the LLM rerankers those frameworks come with.

Wall time at 50 ms a model call, and what becomes of the documents when the model answers badly.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
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

COUNT, DELAY, REPEATS = 100, 0.05, 7
PACKAGES = ("tamis", "llama-index-core", "langchain-core", "langchain-classic", "haystack-ai")
ONE_CALL = {"listwise": {"model": "llm", "window": COUNT, "stride": COUNT}}
CALL_EACH = {"rebel": {"model": "llm", "batch_size": 1, "anchors": 0}}

Found = list[tuple[int, float | None]]
"""What came back: number of the passage, score if the contender gives one."""
NODES = [NodeWithScore(node=TextNode(text=passage(n), id_=str(n)), score=1 - n / 1000) for n in range(COUNT)]
DOCUMENTS = [Document(passage(n), id=str(n)) for n in range(COUNT)]
HAYSTACK = [HaystackDocument(content=passage(n), id=str(n)) for n in range(COUNT)]


@dataclass(frozen=True)
class Contender:
    """A reranker over `provider`. `run` and `arun` take a query and give what came back."""

    framework: str
    name: str
    provider: Provider
    run: Callable[[str], Found]
    arun: Callable[[str], Coroutine[Any, Any, Found]]
    rankings: Sequence[Ranking] = ()
    """Where tamis puts the whole result: what was dropped, what could not be judged."""


def llama_index(name: str, answer: Format, delay: float, flaw: str = "none", llm: Any = NativeLLM) -> Contender:
    provider = Provider(answer, delay, flaw)
    model, rankings = llm(provider=provider), list[Ranking]()
    reranker: Any
    if name == "LLMRerank":
        reranker = LLMRerank(llm=model, choice_batch_size=10, top_n=COUNT)
    else:
        reranker = TamisRerank("rebel", llm=model, on_ranking=rankings.append)

    def found(nodes: Sequence[NodeWithScore]) -> Found:
        return [(int(node.node_id), node.score) for node in nodes]

    def run(query: str) -> Found:
        return found(reranker.postprocess_nodes(NODES, query_str=query))

    async def arun(query: str) -> Found:
        return found(await reranker.apostprocess_nodes(NODES, query_str=query))

    kind = "sync-only LLM" if llm is BlockingLLM else "async LLM"
    return Contender("LlamaIndex", f"{name} ({kind})", provider, run, arun, rankings)


def langchain(
    name: str, answer: Format | YesNo, delay: float, flaw: str = "none", pipeline: Any = "rebel", **options: Any
) -> Contender:
    provider = Provider(answer, delay, flaw)
    model, rankings = ChatModel(provider=provider), list[Ranking]()
    compressor: Any
    if name == "LLMListwiseRerank":
        compressor = LLMListwiseRerank.from_llm(model, top_n=COUNT)
    elif name == "LLMChainFilter":
        compressor = LLMChainFilter.from_llm(model)
    else:
        compressor = TamisCompressor(pipeline, llm=model, on_ranking=rankings.append, **options)

    def found(documents: Sequence[Document]) -> Found:
        return [(int(str(document.id)), document.metadata.get("relevance_score")) for document in documents]

    def run(query: str) -> Found:
        return found(compressor.compress_documents(DOCUMENTS, query))

    async def arun(query: str) -> Found:
        return found(await compressor.acompress_documents(DOCUMENTS, query))

    return Contender("LangChain", name, provider, run, arun, rankings)


def haystack(name: str, answer: Format, delay: float, flaw: str = "none", pipeline: Any = "rebel") -> Contender:
    provider, rankings = Provider(answer, delay, flaw), list[Ranking]()
    generator = ChatGenerator(provider)
    ranker: Any
    if name == "LLMRanker":
        ranker = LLMRanker(chat_generator=generator, top_k=COUNT)
    else:
        ranker = TamisRanker(pipeline, chat_generator=generator)

    def found(result: dict[str, Any]) -> Found:
        return [(int(document.id), document.score) for document in result["documents"]]

    def run(query: str) -> Found:
        return found(ranker.run(query=query, documents=HAYSTACK))

    async def arun(query: str) -> Found:
        return found(await ranker.run_async(query=query, documents=HAYSTACK))

    return Contender("Haystack", name, provider, run, arun, rankings)


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
APPLY = {
    LLMChainFilter.__name__: set(FLAWS) - {"an id past the end", "an id before the start", "an id twice"},
    LLMListwiseRerank.__name__: {flaw for flaw in FLAWS if "score" not in flaw},
    LLMRanker.__name__: {flaw for flaw in FLAWS if "score" not in flaw},
    "listwise": {flaw for flaw in FLAWS if "score" not in flaw},
}


def outcome(contender: Contender) -> str:
    """What became of the documents: lost, doubled, given the score of another."""
    try:
        found = contender.run("question")
    except Exception as error:
        return f"raised {type(error).__name__}, {COUNT} lost"
    times = Counter(number for number, _ in found)
    accounted = {dropped.ranked.position for ranking in contender.rankings for dropped in ranking.dropped}
    lost = COUNT - len(times.keys() | accounted)
    doubled = sum(count - 1 for count in times.values())
    wrong = sum(score is not None and score != grade(number) for number, score in found)
    bad = [f"{count} {what}" for count, what in ((lost, "lost"), (doubled, "doubled"), (wrong, "misscored")) if count]
    unjudged = {place for r in contender.rankings for notice in r.warnings for place in notice.positions}
    flagged = f"{len(unjudged)} flagged as unjudged" if unjudged else ""
    return ", ".join([*bad, flagged] if flagged else bad) or "ok"


def harm() -> tuple[str, str]:
    logging.disable(logging.CRITICAL)
    cells: dict[str, list[str]] = {flaw: [] for flaw in FLAWS}
    totals: list[list[object]] = []
    for name, make in PEERS.items():
        applies = next((flaws for part, flaws in APPLY.items() if part in name), set(FLAWS))
        found = {flaw: outcome(make(flaw)) for flaw in FLAWS if flaw in applies}
        for flaw in FLAWS:
            cells[flaw].append(found.get(flaw, "-"))
        told = list(found.values())
        counts = [sum(word in text for text in told) for word in ("raised", "lost", "doubled", "misscored")]
        totals.append([name, len(told), *counts])
    logging.disable(logging.NOTSET)
    rows = [[flaw, *row] for flaw, row in cells.items()]
    head = ["reranker", "kinds of answer", "raised", "lost documents", "doubled documents", "gave wrong scores"]
    return table(["flaw", *PEERS], rows), table(head, totals)


def main() -> None:
    detail, totals = harm()
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
        "Every answer of the model has the flaw, repeats included, in the format that the reranker asked for. lost: "
        "neither returned nor reported as dropped. doubled: returned once more. misscored: returned with a score "
        "the model did not give it. flagged: kept in incoming order without a score, and named in a warning. "
        "All rerankers as they come, but for being told to return all documents.",
        totals,
        detail,
    )


if __name__ == "__main__":
    main()
