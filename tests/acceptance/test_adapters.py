"""One meaning in three frameworks: the same documents, pipelines and mistakes give the same in each adapter."""

from __future__ import annotations

import json
import logging
import math
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from haystack import Document as HaystackDocument
from haystack.dataclasses import ChatMessage
from haystack_integrations.components.rankers.tamis import HaystackChat, HaystackTextEmbedder, TamisRanker
from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.tamis import LlamaIndexEmbedding, LlamaIndexLLM, TamisRerank

from langchain_tamis import LangChainChat, LangChainEmbeddings, TamisCompressor
from llamaindex.doubles import NativeLLM
from support.scripted import Chat, grades
from tamis import Engine, Ranking
from tamis.errors import DegradedError, TamisError
from tamis.models import Function


@dataclass(frozen=True)
class Found:
    """A document as a retriever finds it, in no framework's terms."""

    text: str
    id: str
    score: float | None = None


FOUND = (
    Found("The kestrel hovers over the meadow.", "hover", 0.5),
    Found("A recipe for soup with leeks.", "soup", 0.4),
    Found("The kestrel nests in the old tower by the meadow.", "nest", 0.3),
    Found("Old tower stairs, hundred steps, no meadow.", "tower", None),
    Found("The kestrel hunts voles in the meadow.", "hunt", 0.1),
)
QUERY = "kestrel meadow"
KEYS = {"criteria", "reason", "retrieval_rank", "retrieval_score", "lifted_by"}


@dataclass(frozen=True)
class Got:
    """A returned document, in no framework's terms."""

    id: str
    text: str
    score: Any
    notes: dict[str, Any]


class Adapter(ABC):
    """One of the three, driven in the same way.

    `limit`, `lowest`: its names for the two cuts. `ways`: every way in. `switches`: its options that are true or false.
    """

    limit = "top_n"
    lowest = "threshold"
    ways: tuple[str, ...]
    switches: tuple[str, ...] = ("explain", "keep_retrieval_score")
    log: str

    @abstractmethod
    def make(self, *pipeline: Any, **options: Any) -> Any: ...

    @abstractmethod
    def documents(self, found: Sequence[Found]) -> list[Any]: ...

    @abstractmethod
    def rank(self, ranker: Any, documents: Any, query: Any) -> list[Got]: ...

    @abstractmethod
    async def arank(self, ranker: Any, documents: Any, query: Any) -> list[Got]: ...

    def entries(self, ranker: Any, documents: list[Any]) -> dict[str, Callable[[], Any]]:
        """What to call, by way in. Those of async code return an awaitable."""
        return {
            "sync": lambda: self.rank(ranker, documents, QUERY),
            "async": lambda: self.arank(ranker, documents, QUERY),
        }


class LangChain(Adapter):
    log = "langchain_tamis.compressor"
    ways = ("sync", "async", "rank", "arank", "runnable", "async runnable")

    def make(self, *pipeline: Any, **options: Any) -> Any:
        return TamisCompressor(*pipeline, **options)

    def documents(self, found: Sequence[Found]) -> list[Any]:
        return [
            LangChainDocument(one.text, id=one.id, metadata={} if one.score is None else {"score": one.score})
            for one in found
        ]

    def rank(self, ranker: Any, documents: Any, query: Any) -> list[Got]:
        return [self._got(document) for document in ranker.compress_documents(documents, query)]

    async def arank(self, ranker: Any, documents: Any, query: Any) -> list[Got]:
        return [self._got(document) for document in await ranker.acompress_documents(documents, query)]

    def _got(self, document: LangChainDocument) -> Got:
        assert document.id is not None
        return Got(document.id, document.page_content, document.metadata["relevance_score"], document.metadata)

    def entries(self, ranker: Any, documents: list[Any]) -> dict[str, Callable[[], Any]]:
        given = {"query": QUERY, "documents": documents}
        return {
            **super().entries(ranker, documents),
            "rank": lambda: ranker.rank(documents, QUERY),
            "arank": lambda: ranker.arank(documents, QUERY),
            "runnable": lambda: ranker.as_runnable().invoke(given),
            "async runnable": lambda: ranker.as_runnable().ainvoke(given),
        }


class LlamaIndex(Adapter):
    log = "llama_index.postprocessor.tamis.base"
    ways = ("sync", "async", "rank", "arank", "bundle")

    def make(self, *pipeline: Any, **options: Any) -> Any:
        return TamisRerank(*pipeline, **options)

    def documents(self, found: Sequence[Found]) -> list[Any]:
        return [NodeWithScore(node=TextNode(text=one.text, id_=one.id), score=one.score) for one in found]

    def rank(self, ranker: Any, documents: Any, query: Any) -> list[Got]:
        return [self._got(node) for node in ranker.postprocess_nodes(documents, query_str=query)]

    async def arank(self, ranker: Any, documents: Any, query: Any) -> list[Got]:
        return [self._got(node) for node in await ranker.apostprocess_nodes(documents, query_str=query)]

    def _got(self, node: NodeWithScore) -> Got:
        return Got(node.node.node_id, node.node.get_content(), node.score, node.node.metadata)

    def entries(self, ranker: Any, documents: list[Any]) -> dict[str, Callable[[], Any]]:
        return {
            **super().entries(ranker, documents),
            "bundle": lambda: ranker.postprocess_nodes(documents, QueryBundle(QUERY)),
            "rank": lambda: ranker.rank(documents, QUERY),
            "arank": lambda: ranker.arank(documents, QueryBundle(QUERY)),
        }


class Haystack(Adapter):
    log = "haystack_integrations.components.rankers.tamis.ranker"
    limit = "top_k"
    lowest = "score_threshold"
    ways = ("sync", "async")
    switches = ("explain", "raise_on_failure")

    def make(self, *pipeline: Any, **options: Any) -> Any:
        return TamisRanker(*pipeline, **options)

    def documents(self, found: Sequence[Found]) -> list[Any]:
        return [HaystackDocument(id=one.id, content=one.text, score=one.score) for one in found]

    def rank(self, ranker: Any, documents: Any, query: Any) -> list[Got]:
        return [self._got(document) for document in ranker.run(query, documents)["documents"]]

    async def arank(self, ranker: Any, documents: Any, query: Any) -> list[Got]:
        return [self._got(document) for document in (await ranker.run_async(query, documents))["documents"]]

    def _got(self, document: HaystackDocument) -> Got:
        return Got(document.id, document.content or "", document.score, document.meta)


ADAPTERS = (LangChain(), LlamaIndex(), Haystack())


def called(value: Any) -> str:
    return type(value).__name__ if isinstance(value, Adapter) else str(value)


@pytest.fixture(params=ADAPTERS, ids=called)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


def grader() -> Chat:
    """Grades relevance and depth, with a reason; says nothing of the tower."""

    def grade(text: str) -> dict[str, Any]:
        if "tower stairs" in text:
            return {}
        good = "kestrel" in text
        return {"relevance": 8 if good else 4, "depth": 3 if "nests" in text else 2, "reason": text.split()[0]}

    return Chat(lambda call: grades(call, grade))


REBEL = [{"rebel": {"model": "llm", "criteria": ["depth"]}}]
PIPELINES: dict[str, Any] = {
    "rebel": REBEL,
    "graph": ["lexical", {"graph": {"method": "propagation"}}],
    "lexical": "lexical",
    "default": "default",
}


def explanations(adapter: Adapter, pipeline: str, found: Sequence[Found] = FOUND) -> dict[str, Any]:
    models = {"llm": grader()} if pipeline == "rebel" else None
    ranker = adapter.make(PIPELINES[pipeline], models=models, explain=True)
    return {got.id: got.notes["tamis"] for got in adapter.rank(ranker, adapter.documents(found), QUERY)}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_explanation_is_the_same_in_all_three(pipeline: str) -> None:
    first, *others = (explanations(adapter, pipeline) for adapter in ADAPTERS)
    assert all(other == first for other in others)
    assert len(first) >= 4
    assert all(set(why) == KEYS for why in first.values())
    assert all(json.loads(json.dumps(why, allow_nan=False)) == why for why in first.values())


def test_the_explanation_says_criteria_reason_and_where_the_retriever_had_it(adapter: Adapter) -> None:
    why = explanations(adapter, "rebel")
    assert why["nest"] == {
        "criteria": {"relevance": 8.0, "depth": 3.0},
        "reason": "The",
        "retrieval_rank": 2,
        "retrieval_score": 0.3,
        "lifted_by": [],
    }
    assert why["tower"]["criteria"] == {"relevance": None, "depth": None}
    assert why["tower"]["reason"] is None
    assert (why["tower"]["retrieval_rank"], why["tower"]["retrieval_score"]) == (3, None)


def test_the_explanation_names_what_lifted_a_document(adapter: Adapter) -> None:
    lifts = [lift for why in explanations(adapter, "graph").values() for lift in why["lifted_by"]]
    assert lifts
    for lift in lifts:
        assert set(lift) == {"position", "id", "weight", "channel"}
        assert FOUND[lift["position"]].id == lift["id"]
        assert lift["weight"] > 0


def test_ranks_are_those_of_the_callers_list_where_ids_repeat() -> None:
    """Haystack ranks one document per id. The reported places are those of the list that came in."""
    again = (Found(FOUND[0].text, "nest", -1.0), *FOUND)
    why = explanations(Haystack(), "graph", again)
    assert {name: why[name]["retrieval_rank"] for name in why} == {one.id: n for n, one in enumerate(FOUND, 1)}
    lifts = [lift for one in why.values() for lift in one["lifted_by"]]
    assert lifts
    assert all(again[lift["position"]].id == lift["id"] for lift in lifts)


@pytest.mark.parametrize("pipeline", PIPELINES)
async def test_scores_are_python_floats_or_none(adapter: Adapter, pipeline: str) -> None:
    scored = [Found(one.text, one.id, None if one.score is None else float(np.float32(one.score))) for one in FOUND]
    ranker = adapter.make(PIPELINES[pipeline], models={"llm": grader()} if pipeline == "rebel" else None)
    sync = adapter.rank(ranker, adapter.documents(scored), QUERY)
    assert {type(got.score) for got in sync} <= {float, type(None)}
    assert sync == await adapter.arank(ranker, adapter.documents(scored), QUERY)


def test_numpy_scores_of_a_model_become_python_floats(adapter: Adapter) -> None:
    model = Function(lambda call: np.float32(len(call.text)), "classify")
    ranker = adapter.make("cross-encoder", models={"cross_encoder": model})
    assert {type(got.score) for got in adapter.rank(ranker, adapter.documents(FOUND), QUERY)} == {float}


def test_a_text_that_a_budget_cuts_comes_back_cut_and_says_so(adapter: Adapter) -> None:
    ranker = adapter.make(["lexical", {"token_budget": 6}])
    documents = adapter.documents(FOUND)
    got = adapter.rank(ranker, documents, QUERY)
    whole = {one.id: one.text for one in FOUND}
    assert all(whole[one.id].startswith(one.text) for one in got)
    assert [one.text != whole[one.id] for one in got] == [one.notes.get("truncated", False) for one in got]
    assert any(one.notes.get("truncated") for one in got)


every_way = pytest.mark.parametrize(
    ("adapter", "way"), [(adapter, way) for adapter in ADAPTERS for way in adapter.ways], ids=called
)
every_switch = pytest.mark.parametrize(
    ("adapter", "option"), [(adapter, option) for adapter in ADAPTERS for option in adapter.switches], ids=called
)


async def result_of(adapter: Adapter, ranker: Any, documents: list[Any], way: str) -> Any:
    result = adapter.entries(ranker, documents)[way]()
    return await result if hasattr(result, "__await__") else result


@every_way
@pytest.mark.parametrize("found", [FOUND, ()], ids=["documents", "no documents"])
async def test_on_ranking_is_called_once_whatever_the_way_in(
    adapter: Adapter, way: str, found: Sequence[Found]
) -> None:
    seen: list[Ranking] = []
    ranker = adapter.make("lexical", on_ranking=seen.append, **{adapter.limit: 2})
    await result_of(adapter, ranker, adapter.documents(found), way)
    (ranking,) = seen
    assert len(ranking) == min(2, len(found))
    assert len(ranking.kept) + len(ranking.dropped) == len(found)


@every_way
async def test_a_callback_that_raises_is_logged_and_loses_nothing(
    adapter: Adapter, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(ranking: Ranking) -> None:
        raise RuntimeError("the dashboard is down")

    documents = adapter.documents(FOUND)
    with caplog.at_level(logging.ERROR):
        loud = await result_of(adapter, adapter.make("lexical", on_ranking=broken), documents, way)
        silent = await result_of(adapter, adapter.make("lexical"), documents, way)
    assert getattr(loud, "positions", loud) == getattr(silent, "positions", silent)
    (record,) = caplog.records
    assert record.name == adapter.log
    assert record.exc_info is not None
    assert "the dashboard is down" in str(record.exc_info[1])
    assert "kestrel" not in record.getMessage()


async def test_a_callback_that_nobody_would_await_is_refused_or_logged(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    async def later(ranking: Ranking) -> None: ...

    with pytest.raises(ValueError, match=r"(?s)on_ranking.*plain function"):
        adapter.make("lexical", on_ranking=later)
    with pytest.raises(ValueError, match="on_ranking"):
        adapter.make("lexical", on_ranking="print")
    hidden = adapter.make("lexical", on_ranking=lambda ranking: later(ranking))
    assert adapter.rank(hidden, adapter.documents(FOUND), QUERY)
    assert any("plain function" in record.getMessage() for record in caplog.records)


def test_a_rerank_that_raises_has_no_ranking_to_report(adapter: Adapter) -> None:
    seen: list[Ranking] = []
    silent = Chat(lambda call: RuntimeError("down"))
    options = {"models": {"llm": silent}, "engine": {"on_failure": "raise", "retries": 0}}
    with pytest.raises(DegradedError):
        adapter.rank(adapter.make("rebel", on_ranking=seen.append, **options), adapter.documents(FOUND), QUERY)
    assert seen == []


WRONG_LIMITS = (0, -1, 1.0, 1.5, "1", True, [], math.nan)
WRONG_THRESHOLDS = ("x", "0.5", math.nan, math.inf, -math.inf, True, [])
WRONG_DOCUMENTS = (None, "text", b"text", [1, 2, 3], ("t",), {"a": 1}, 7, [None])
MISUSE = r"(documents|nodes).* must be .*Pass what a retriever returned"
WRONG_QUERIES = (None, 1, "", " \n", b"kestrel", ["kestrel"])


@pytest.mark.parametrize("value", WRONG_LIMITS, ids=repr)
def test_a_wrong_limit_is_named_when_the_ranker_is_made(adapter: Adapter, value: Any) -> None:
    with pytest.raises(ValueError, match=adapter.limit):
        adapter.make("lexical", **{adapter.limit: value})


@pytest.mark.parametrize("value", WRONG_THRESHOLDS, ids=repr)
def test_a_wrong_threshold_is_named_when_the_ranker_is_made(adapter: Adapter, value: Any) -> None:
    with pytest.raises(ValueError, match=adapter.lowest):
        adapter.make("lexical", **{adapter.lowest: value})


@every_switch
@pytest.mark.parametrize("value", ["yes", 1, None], ids=repr)
def test_a_switch_is_true_or_false(adapter: Adapter, option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        adapter.make(**{option: value})


@pytest.mark.parametrize("value", WRONG_DOCUMENTS, ids=repr)
async def test_what_is_no_document_is_named_with_its_place_and_a_remedy(adapter: Adapter, value: Any) -> None:
    ranker = adapter.make("lexical")
    with pytest.raises(TamisError, match=MISUSE):
        adapter.rank(ranker, value, QUERY)
    with pytest.raises(TamisError, match=MISUSE):
        await adapter.arank(ranker, value, QUERY)


def test_one_wrong_document_among_many_is_named_by_its_place(adapter: Adapter) -> None:
    with pytest.raises(TamisError, match=r"(documents|nodes)\[5\] must be a .*, got str"):
        adapter.rank(adapter.make("lexical"), [*adapter.documents(FOUND), "text"], QUERY)


@pytest.mark.parametrize("value", WRONG_QUERIES, ids=repr)
async def test_what_is_no_query_is_a_value_error_that_says_so(adapter: Adapter, value: Any) -> None:
    ranker = adapter.make("lexical")
    with pytest.raises(ValueError, match="query"):
        adapter.rank(ranker, adapter.documents(FOUND), value)
    with pytest.raises(ValueError, match="query"):
        await adapter.arank(ranker, adapter.documents(FOUND), value)


@pytest.mark.parametrize("engine", [{"deadlin": 3}, {"deadline": "soon"}, "fast", 3, [("deadline", 3)]], ids=repr)
def test_wrong_engine_options_are_refused_when_the_ranker_is_made(adapter: Adapter, engine: Any) -> None:
    with pytest.raises(ValueError, match=r"engine|deadlin"):
        adapter.make("lexical", engine=engine)


@pytest.mark.parametrize("models", ["llm", ["llm"], 3], ids=repr)
def test_models_are_a_mapping(adapter: Adapter, models: Any) -> None:
    with pytest.raises(ValueError, match="models"):
        adapter.make("rebel", models=models)


def test_a_model_given_twice_is_refused(adapter: Adapter) -> None:
    own = "chat_generator" if isinstance(adapter, Haystack) else "llm"

    class Component:
        def run(self, messages: list[Any]) -> dict[str, Any]:
            return {}

    model: Any = Component() if isinstance(adapter, Haystack) else grader()
    with pytest.raises(ValueError, match=r"given twice.*llm"):
        adapter.make("rebel", models={"llm": grader()}, **{own: model})


def test_an_engine_can_be_shared_and_is_not_written_as_data(adapter: Adapter) -> None:
    engine, model = Engine(), Function(lambda call: float(len(call.text)), "classify")
    model.cache_key = "lengths"  # type: ignore[attr-defined]
    seen: list[Ranking] = []
    for _ in range(2):
        ranker = adapter.make("cross-encoder", models={"cross_encoder": model}, engine=engine, on_ranking=seen.append)
        adapter.rank(ranker, adapter.documents(FOUND), QUERY)
    assert [ranking.usage.cached for ranking in seen] == [0, len(FOUND)]
    saved = adapter.make("lexical", engine=engine)
    if isinstance(saved, TamisRerank):
        assert saved.to_dict()["engine"] is None
        return
    with pytest.raises(Exception, match="Engine"):
        saved.to_dict() if isinstance(saved, TamisRanker) else saved.to_data()


def data(ranker: Any) -> dict[str, Any]:
    saved: dict[str, Any] = ranker.to_data() if isinstance(ranker, TamisCompressor) else ranker.to_dict()
    return saved


def back(adapter: Adapter, saved: dict[str, Any]) -> Any:
    kind: Any = type(adapter.make())
    return kind.from_data(saved) if isinstance(adapter, LangChain) else kind.from_dict(saved)


def test_a_callback_is_not_saved_and_the_rest_round_trips(adapter: Adapter) -> None:
    engine = {"deadline": 3.0, "cache": None, "on_failure": "raise"}
    ranker = adapter.make("lexical", on_ranking=print, engine=engine, explain=True, **{adapter.limit: 2})
    saved = json.loads(json.dumps(data(ranker)))
    assert "on_ranking" not in json.dumps(saved)
    twin = back(adapter, saved)
    assert twin.on_ranking is None
    assert twin.engine == engine
    assert adapter.rank(twin, adapter.documents(FOUND), QUERY) == adapter.rank(ranker, adapter.documents(FOUND), QUERY)


@pytest.mark.parametrize("option", ["on_event", "cache"])
def test_an_engine_option_that_is_no_data_is_an_error_and_not_left_out(adapter: Adapter, option: str) -> None:
    live: Any = print if option == "on_event" else Engine().cache
    with pytest.raises(Exception, match=option):
        data(adapter.make("lexical", engine={option: live}))


ORDER = "[2] > [1] > [3] > [4] > [5]"


class HaystackJudge:
    def run(self, messages: list[Any]) -> dict[str, Any]:
        return {"replies": [ChatMessage.from_assistant(ORDER)]}


class HaystackWords:
    def run(self, text: str) -> dict[str, Any]:
        return {"embedding": [float(len(text)), 1.0]}


FRAMEWORK_MODELS: dict[str, dict[str, tuple[str, Callable[..., Any], Callable[[], Any]]]] = {
    "LangChain": {
        "llm": ("llm", LangChainChat, lambda: FakeListChatModel(responses=[ORDER])),
        "embedder": ("embeddings", LangChainEmbeddings, lambda: DeterministicFakeEmbedding(size=8)),
    },
    "LlamaIndex": {
        "llm": ("llm", LlamaIndexLLM, lambda: NativeLLM(reply=lambda prompt: ORDER)),
        "embedder": ("embed_model", LlamaIndexEmbedding, lambda: MockEmbedding(embed_dim=3)),
    },
    "Haystack": {
        "llm": ("chat_generator", HaystackChat, HaystackJudge),
        "embedder": ("embedder", HaystackTextEmbedder, HaystackWords),
    },
}
USES = {"llm": "rankgpt", "embedder": [{"embedding": {"model": "embedder"}}]}


def on_disk(folder: Path) -> int:
    """Rows of answers and of vectors below `folder`."""
    rows = 0
    for file in folder.rglob("*.sqlite"):
        with sqlite3.connect(file) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                rows += connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
    return rows


@pytest.mark.parametrize("role", USES)
def test_a_frameworks_model_is_remembered_in_memory_and_never_on_disk(
    adapter: Adapter, role: str, tmp_path: Path
) -> None:
    option, _, model = FRAMEWORK_MODELS[called(adapter)][role]
    engine = {"cache": str(tmp_path / "answers.sqlite"), "vectors": str(tmp_path / "vectors")}
    seen: list[Ranking] = []
    for _ in range(2):
        ranker = adapter.make(USES[role], engine=engine, on_ranking=seen.append, **{option: model()})
        for _ in range(2):
            adapter.rank(ranker, adapter.documents(FOUND), QUERY)
    assert [ranking.usage.calls > 0 for ranking in seen] == [True, False, True, False]
    assert on_disk(tmp_path) == 0


@pytest.mark.parametrize("role", USES)
def test_a_frameworks_model_whose_key_the_caller_gives_is_found_again_on_disk(
    adapter: Adapter, role: str, tmp_path: Path
) -> None:
    _, wrap, model = FRAMEWORK_MODELS[called(adapter)][role]
    engine = {"cache": str(tmp_path / "answers.sqlite"), "vectors": str(tmp_path / "vectors")}
    seen: list[Ranking] = []
    for _ in range(2):
        models = {role: wrap(model(), cache_key="scripted, version 1")}
        ranker = adapter.make(USES[role], engine=engine, on_ranking=seen.append, models=models)
        adapter.rank(ranker, adapter.documents(FOUND), QUERY)
    assert [ranking.usage.calls > 0 for ranking in seen] == [True, False]
    assert seen[0].positions == seen[1].positions


@pytest.mark.parametrize("role", USES)
def test_a_framework_model_is_wrapped_wherever_it_is_given(adapter: Adapter, role: str) -> None:
    """As an argument of its own, or among `models` by the name the pipeline calls it."""
    option, _, model = FRAMEWORK_MODELS[called(adapter)][role]
    documents = adapter.documents(FOUND)
    own = adapter.rank(adapter.make(USES[role], **{option: model()}), documents, QUERY)
    named = adapter.rank(adapter.make(USES[role], models={role: model()}), documents, QUERY)
    assert own == named
    assert len(own) == len(FOUND)


@pytest.mark.parametrize(
    ("adapter", "option", "value"),
    [
        (ADAPTERS[0], "score_keys", "score"),
        (ADAPTERS[0], "metadata_in_text", "title"),
        (ADAPTERS[0], "metadata_in_text", [1]),
        (ADAPTERS[1], "metadata_mode", "loud"),
        (ADAPTERS[2], "meta_fields_to_embed", "title"),
        (ADAPTERS[2], "meta_fields_to_embed", [1]),
        (ADAPTERS[2], "meta_fields_to_embed", None),
    ],
    ids=called,
)
def test_what_to_read_of_a_document_is_checked_too(adapter: Adapter, option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        adapter.make("lexical", **{option: value})


@pytest.mark.parametrize("adapter", ADAPTERS[:2], ids=called)
def test_an_option_set_later_is_checked_as_well(adapter: Adapter) -> None:
    ranker = adapter.make("lexical")
    for option, value in (("top_n", "2"), ("top_n", 0), ("threshold", math.nan), ("on_ranking", 3), ("explain", "no")):
        with pytest.raises(ValueError, match=option):
            setattr(ranker, option, value)
    ranker.top_n = 1
    assert len(adapter.rank(ranker, adapter.documents(FOUND), QUERY)) == 1
