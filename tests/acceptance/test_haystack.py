"""A Haystack user's day: a store, a retriever, a ranker, saved and loaded, sync and async, with a model that fails."""

from __future__ import annotations

import asyncio
import contextvars
import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import haystack
import pytest
from haystack import Document, Pipeline, component, tracing
from haystack.components.builders import PromptBuilder
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.dataclasses import ChatMessage
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.tools import ComponentTool
from haystack.tracing.tracer import Span, Tracer
from haystack_integrations.components.rankers import tamis as installed
from haystack_integrations.components.rankers.tamis import TamisRanker

from support.scripted import PASSAGE
from tamis import load

AsyncPipeline = getattr(haystack, "AsyncPipeline", Pipeline)
QUESTION = "Which mountain is the tallest?"
TEXTS = (
    "Mountain bikes are sold by the tallest shop in town.",
    "Everest, at 8849 metres, is the tallest mountain above sea level.",
    "Mauna Kea is a mountain that is the tallest from base to peak.",
    "A mountain of laundry.",
    "The tallest mountain in a poem about a mountain.",
)
STANDARD = ("depth", "diversity", "clarity", "authoritativeness", "recency")


@component
class Grader:
    """A chat generator that knows mountains. `delay` blocks; `says` replaces its answer."""

    def __init__(self, delay: float = 0.0, says: str | None = None) -> None:
        self.delay, self.says = delay, says

    @component.output_types(replies=list[ChatMessage])
    def run(self, messages: list[ChatMessage]) -> dict[str, Any]:
        time.sleep(self.delay)
        return self.answer(messages)

    def answer(self, messages: list[ChatMessage]) -> dict[str, Any]:
        entries = []
        for number, text in PASSAGE.findall(messages[-1].text):
            relevance = 10 * ("Everest" in text) + 7 * ("Mauna" in text)
            entries.append({"passage": int(number), "relevance": relevance, **dict.fromkeys(STANDARD, 1)})
        said = json.dumps({"passages": entries}) if self.says is None else self.says
        usage = {"prompt_tokens": 100, "completion_tokens": 20}
        return {"replies": [ChatMessage.from_assistant(said, meta={"usage": usage, "finish_reason": "stop"})]}


@component
class AsyncGrader(Grader):
    """The same, natively async as well."""

    @component.output_types(replies=list[ChatMessage])
    def run(self, messages: list[ChatMessage]) -> dict[str, Any]:
        return self.answer(messages)

    @component.output_types(replies=list[ChatMessage])
    async def run_async(self, messages: list[ChatMessage]) -> dict[str, Any]:
        await asyncio.sleep(self.delay)
        return self.answer(messages)


@component
class Report:
    """Something downstream that wants to know what the ranker did."""

    @component.output_types(line=str)
    def run(self, diagnostics: dict[str, Any]) -> dict[str, str]:
        return {"line": f"{diagnostics['usage']['calls']} calls, {len(diagnostics['dropped'])} dropped"}


def built(ranker: TamisRanker, kind: type = Pipeline) -> Any:
    store = InMemoryDocumentStore()
    store.write_documents([Document(content=text, meta={"n": number}) for number, text in enumerate(TEXTS)])
    pipe = kind()
    pipe.add_component("retriever", InMemoryBM25Retriever(store, top_k=5))
    pipe.add_component("ranker", ranker)
    pipe.connect("retriever.documents", "ranker.documents")
    return pipe


ASKED = {"retriever": {"query": QUESTION}, "ranker": {"query": QUESTION}}


def texts(result: dict[str, Any]) -> list[str]:
    return [document.content for document in result["ranker"]["documents"]]


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Haystack 3 loads classes of trusted modules only; the generators here are in none."""
    monkeypatch.setenv("HAYSTACK_DESERIALIZATION_ALLOWLIST", __name__)


def test_one_line_in_a_pipeline_without_any_model():
    result = built(TamisRanker(top_k=2)).run(ASKED)
    assert len(result["ranker"]["documents"]) == 2
    assert TEXTS[1] in texts(result)


@pytest.mark.parametrize("grader", [Grader, AsyncGrader])
def test_a_language_model_decides_which_and_how_many(grader):
    result = built(TamisRanker("rebel", chat_generator=grader())).run(ASKED)
    assert texts(result) == [TEXTS[1], TEXTS[2]]
    diagnostics = result["ranker"]["diagnostics"]
    assert [entry["why"] for entry in diagnostics["dropped"]] == ["below_relevance_gate"] * 3
    assert diagnostics["usage"]["tokens_in"] == 100
    assert diagnostics["usage"]["tokens_out"] == 20
    assert not diagnostics["degraded"]
    assert texts(built(TamisRanker("rebel", chat_generator=grader(), top_k=1)).run(ASKED)) == [TEXTS[1]]


@pytest.mark.parametrize("grader", [Grader, AsyncGrader])
async def test_async_gives_the_same(grader):
    result = await built(TamisRanker("rebel", chat_generator=grader()), AsyncPipeline).run_async(ASKED)
    assert texts(result) == [TEXTS[1], TEXTS[2]]


async def test_a_sync_pipeline_runs_inside_a_running_loop():
    assert texts(built(TamisRanker("rebel", chat_generator=AsyncGrader())).run(ASKED)) == [TEXTS[1], TEXTS[2]]


async def test_a_blocking_generator_does_not_block_the_loop():
    pipe = built(TamisRanker("rebel", chat_generator=Grader(delay=0.5)), AsyncPipeline)
    task, ticks = asyncio.ensure_future(pipe.run_async(ASKED)), 0
    while not task.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert texts(task.result()) == [TEXTS[1], TEXTS[2]]
    assert ticks > 20


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_saved_loaded_and_run_again(kind):
    ranker = TamisRanker(
        [{"rebel": {"model": "llm", "gate": 5}}, {"top_n": 4}],
        chat_generator=AsyncGrader(),
        top_k=1,
        engine={"deadline": 30.0},
        meta_fields_to_embed=["n"],
        explain=True,
    )
    pipeline = AsyncPipeline if kind == "async" else Pipeline
    saved = built(ranker, pipeline).dumps()
    loaded = pipeline.loads(saved)
    assert loaded.dumps() == saved
    store = loaded.get_component("retriever").document_store
    store.delete_documents([document.id for document in store.filter_documents()])
    store.write_documents([Document(content=text, meta={"n": number}) for number, text in enumerate(TEXTS)])
    result = await loaded.run_async(ASKED) if kind == "async" else loaded.run(ASKED)
    assert texts(result) == [TEXTS[1]]
    assert result["ranker"]["documents"][0].meta["tamis"]["criteria"]["relevance"] == 10.0


def test_a_pipeline_of_haystack_s_own_parts_loads_without_any_trust_setting(monkeypatch):
    chat = pytest.importorskip("haystack.components.generators.chat")
    if not hasattr(chat, "MockChatGenerator"):
        pytest.skip("Haystack 2 has no mock generator")
    monkeypatch.delenv("HAYSTACK_DESERIALIZATION_ALLOWLIST")
    saved = built(TamisRanker("rebel", chat_generator=chat.MockChatGenerator("no idea"))).dumps()
    result = Pipeline.loads(saved)
    assert result.get_component("ranker").run(QUESTION, [Document(content="a")])["diagnostics"]["degraded"]


@pytest.mark.parametrize(
    "says", ["I'd rather not.", '{"passages": [{"passage": 1,', "", '{"passages": [{"passage": 12}]}']
)
def test_an_unusable_answer_leaves_the_retriever_s_order(says):
    pipe = built(TamisRanker("rebel", chat_generator=Grader(says=says)))
    before = pipe.get_component("retriever").run(QUESTION)["documents"]
    result = pipe.run(ASKED)
    assert texts(result) == [document.content for document in before]
    assert result["ranker"]["diagnostics"]["degraded"]
    assert "not judged" in result["ranker"]["diagnostics"]["warnings"][0]["message"]


def test_a_slow_model_meets_the_deadline():
    pipe = built(TamisRanker("rebel", chat_generator=Grader(delay=10), engine={"deadline": 0.5}))
    started = time.monotonic()
    assert len(texts(pipe.run(ASKED))) == 5
    assert time.monotonic() - started < 5


def test_overrides_for_one_question():
    pipe = built(TamisRanker("rebel", chat_generator=Grader(), top_k=1))
    overridden = {**ASKED, "ranker": {"query": QUESTION, "top_k": 2, "score_threshold": 0.0}}
    assert texts(pipe.run(overridden)) == [TEXTS[1], TEXTS[2]]
    with pytest.raises(Exception, match="top_k must be a whole number > 0"):
        pipe.run({**ASKED, "ranker": {"query": QUESTION, "top_k": 0}})


def test_ranked_documents_and_diagnostics_flow_on():
    pipe = built(TamisRanker("rebel", chat_generator=Grader()))
    template = "{% for d in documents %}{{ d.content }} {% endfor %}{{ query }}"
    pipe.add_component("prompt", PromptBuilder(template, required_variables=["documents", "query"]))
    pipe.add_component("report", Report())
    pipe.connect("ranker.documents", "prompt.documents")
    pipe.connect("ranker.diagnostics", "report.diagnostics")
    result = pipe.run({**ASKED, "prompt": {"query": QUESTION}})
    assert result["prompt"]["prompt"] == f"{TEXTS[1]} {TEXTS[2]} {QUESTION}"
    assert result["report"]["line"] == "1 calls, 3 dropped"


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_prompt_is_built_from_no_document_too(kind):
    pipe = built(
        TamisRanker(["lexical", {"abstain": {"threshold": 0.1}}]), AsyncPipeline if kind == "async" else Pipeline
    )
    pipe.add_component("prompt", PromptBuilder("{% for d in documents %}{{ d.content }}{% endfor %}?"))
    pipe.add_component("report", Report())
    pipe.connect("ranker.documents", "prompt.documents")
    pipe.connect("ranker.diagnostics", "report.diagnostics")
    asked = {**ASKED, "ranker": {"query": "zebra"}}
    result = await pipe.run_async(asked) if kind == "async" else pipe.run(asked)
    assert result["prompt"]["prompt"] == "?"
    assert result["report"]["line"] == "0 calls, 5 dropped"


def test_as_a_tool_every_parameter_says_what_it_is_for():
    """An agent sees the descriptions alone."""
    tool = ComponentTool(component=TamisRanker(), name="rank")
    described = {name: told.get("description", "") for name, told in tool.parameters["properties"].items()}
    assert set(described) == {"query", "documents", "top_k", "score_threshold"}
    for name, description in described.items():
        assert description != f"Input '{name}' for the component."
        assert len(description.split()) >= 5
    assert "```" not in tool.description
    assert tool.description.startswith("Ranks documents")


def test_an_agent_can_call_it_as_a_tool():
    tool = ComponentTool(component=TamisRanker("lexical"), name="rank")
    passages = [{"content": text} for text in TEXTS]
    (best,) = tool.invoke(query=QUESTION, documents=passages, top_k=1)["documents"]
    (expected,) = load("lexical").rerank(QUESTION, TEXTS).positions[:1]
    assert best.content == TEXTS[expected] != TEXTS[0]
    with pytest.raises(Exception, match="top_k must be a whole number > 0"):
        tool.invoke(query=QUESTION, documents=passages, top_k=0)


def test_the_store_is_left_as_it_was():
    pipe = built(TamisRanker("rebel", chat_generator=Grader(), explain=True))
    store = pipe.get_component("retriever").document_store
    before = [document.to_dict() for document in store.filter_documents()]
    pipe.run(ASKED)
    assert [document.to_dict() for document in store.filter_documents()] == before


class Recorded(Span):
    def __init__(self, name: str, parent: Any) -> None:
        self.name, self.parent, self.tags = name, parent, {}

    def set_tag(self, key: str, value: Any) -> None:
        self.tags[key] = value

    set_content_tag = set_tag


class Recorder(Tracer):
    def __init__(self) -> None:
        self.spans: list[Recorded] = []
        self.current: contextvars.ContextVar[Any] = contextvars.ContextVar("current", default=None)

    @contextmanager
    def trace(self, operation_name, tags=None, parent_span=None):
        span = Recorded(operation_name, parent_span or self.current.get())
        span.set_tags(tags or {})
        self.spans.append(span)
        token = self.current.set(span)
        try:
            yield span
        finally:
            self.current.reset(token)

    def current_span(self):
        return self.current.get()


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_token_usage_reaches_the_tracer_under_the_ranker_s_span(kind):
    recorder = Recorder()
    tracing.enable_tracing(recorder)
    try:
        ranker = TamisRanker("rebel", chat_generator=Grader(), engine={"deadline": 30})
        if kind == "sync":
            built(ranker).run(ASKED)
        else:
            await built(ranker, AsyncPipeline).run_async(ASKED)
    finally:
        tracing.disable_tracing()
    (call,) = [span for span in recorder.spans if span.name == "haystack.chat_generator.run"]
    assert call.parent.tags["haystack.component.name"] == "ranker"
    assert call.tags["haystack.component.output"]["replies"][0].meta["usage"]["completion_tokens"] == 20


def test_the_package_leaves_the_namespace_to_others():
    place = Path(installed.__file__).parent
    above = place.parents[2]
    assert not list(above.glob("__init__.py"))
    assert not list((above / "components").glob("__init__.py"))
    assert not (place.parent / "__init__.py").exists()
    assert (place / "py.typed").is_file()
