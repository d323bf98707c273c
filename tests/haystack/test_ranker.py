"""The ranker component, against what Haystack's own rankers and their users expect."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import json
import pickle
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from haystack import Document, Pipeline, component, tracing
from haystack.core.errors import DeserializationError, SerializationError
from haystack.core.serialization import component_from_dict, component_to_dict
from haystack.dataclasses import ChatMessage
from haystack.tracing.tracer import Span, Tracer
from haystack_integrations.components.rankers.tamis import HaystackChat, TamisRanker
from hypothesis import given
from hypothesis import strategies as st

from support.scripted import PASSAGE
from tamis import Embedding, Engine, Lexical, Rebel, TopN, presets
from tamis.errors import CapabilityError, ConfigError, DegradedError, ScaleError
from tamis.models import Function
from tamis.values.scale import LOGIT

CITIES = ("a recipe for soup", "Berlin is the capital of Germany", "Paris is a city in France")
FAST = {"backoff": 0.001}


def grades(prompt, best="berlin"):
    """A rubric answer: 9 for a passage that has the word `best`, 6 for a city, 1 otherwise."""
    entries = []
    for number, text in PASSAGE.findall(prompt):
        relevance = 9 if best in text.lower() else 6 if "city" in text else 1
        others = dict.fromkeys(("depth", "diversity", "clarity", "authoritativeness", "recency"), 0)
        entries.append({"passage": int(number), "relevance": relevance, **others, "reason": "so it is"})
    return json.dumps({"passages": entries})


@component
class Chat:
    """A sync-only chat generator that gives grades, or `says` something else."""

    def __init__(self, best: str = "berlin", says: str | None = None) -> None:
        self.best, self.says = best, says
        self.asked = []

    @component.output_types(replies=list[ChatMessage])
    def run(self, messages: list[ChatMessage]):
        return self.answer(messages)

    def answer(self, messages):
        self.asked.append(messages[-1].text)
        text = grades(messages[-1].text, self.best) if self.says is None else self.says
        return {"replies": [ChatMessage.from_assistant(text, meta={"usage": {"prompt_tokens": 11}})]}


@component
class AsyncChat(Chat):
    """The same, natively async as well."""

    @component.output_types(replies=list[ChatMessage])
    def run(self, messages: list[ChatMessage]):
        return self.answer(messages)

    @component.output_types(replies=list[ChatMessage])
    async def run_async(self, messages: list[ChatMessage]):
        await asyncio.sleep(0.01)
        return self.answer(messages)


class OnlyAsync(AsyncChat):
    @component.output_types(replies=list[ChatMessage])
    def run(self, messages: list[ChatMessage]):
        raise AssertionError("run was called, though there is a run_async")


class Fails(Chat):
    def run(self, messages):
        raise RuntimeError("the provider is down")


def docs(*texts, **scores):
    return [Document(id=str(number), content=text) for number, text in enumerate(texts)]


def ids(result):
    return [document.id for document in result["documents"]]


def scorer(scores=float, pipeline="cross-encoder", **options):
    """A ranker by scores that a function reads from the text."""
    model = Function(lambda call: scores(call.text), "classify", scale=LOGIT)
    return TamisRanker(pipeline, models={"cross_encoder": model}, **options)


def rebel(chat=None, **options):
    return TamisRanker("rebel", chat_generator=chat or Chat(), engine={**FAST, **options.pop("engine", {})}, **options)


# --- what a ranker is -------------------------------------------------------------------------------------------------


def test_documents_come_back_best_first_with_scores():
    result = rebel().run("capital of Germany", docs(*CITIES))
    assert ids(result) == ["1", "2"]
    assert result["documents"][0].score > result["documents"][1].score
    assert result["diagnostics"]["dropped"] == [{"id": "0", "why": "below_relevance_gate", "score": 1.0}]
    assert result["diagnostics"]["usage"]["calls"] == 1
    assert result["diagnostics"]["usage"]["tokens_in"] == 11
    json.dumps(result["diagnostics"])


def test_the_default_needs_no_model():
    assert ids(TamisRanker("texts").run("capital of Germany", docs(*CITIES)))[0] == "1"
    result = TamisRanker().run("capital of Germany", docs(*CITIES))
    assert result["diagnostics"]["usage"]["calls"] == 0


async def test_sync_and_async_give_the_same():
    for chat in (Chat(), AsyncChat()):
        sync, asynchronous = rebel(chat).run("q", docs(*CITIES)), await rebel(chat).run_async("q", docs(*CITIES))
        assert sync["documents"] == asynchronous["documents"]
        assert sync["diagnostics"]["dropped"] == asynchronous["diagnostics"]["dropped"]


PRESET_MODELS = {
    "cross_encoder": Function(lambda call: 1.0, "classify"),
    "second_cross_encoder": Function(lambda call: 1.0, "classify"),
    "lm": Function(lambda call: [-1.0], "prompt_logprobs"),
    "pair_llm": Function(lambda call: [-1.0] * len(call.choices), "choice_logprobs"),
    "second_embedder": Function(lambda call: [1.0, len(call.text)], "embed"),
    "token_embedder": Function(lambda call: [[1.0, 0.0]], "embed_tokens"),
    "list_reranker": Function(lambda call: [1.0] * len(call.texts), "score_list"),
}


@pytest.mark.filterwarnings("ignore:the pipeline does not use the models")  # one set of models for every preset
@pytest.mark.parametrize("name", [*presets()])
async def test_no_documents_no_calls(name):
    chat = Chat()
    chat.generation_kwargs = {"logprobs": True}
    models = PRESET_MODELS
    ranker = TamisRanker(name, chat_generator=chat, embedder=Vectors(), models=models)
    assert ranker.run("q", [])["documents"] == []
    assert (await ranker.run_async("q", []))["documents"] == []
    assert chat.asked == []


@pytest.mark.parametrize("query", ["", "  \n"])
async def test_a_blank_query_is_an_error(query):
    with pytest.raises(ValueError, match="contains text"):
        TamisRanker().run(query, docs("a"))
    with pytest.raises(ValueError, match="contains text"):
        await TamisRanker().run_async(query, docs("a"))


@pytest.mark.parametrize("top_k", [0, -1])
async def test_a_top_k_that_is_not_positive_is_an_error_everywhere(top_k):
    with pytest.raises(ValueError, match="top_k must be a whole number > 0"):
        TamisRanker(top_k=top_k)
    with pytest.raises(ValueError, match="top_k must be a whole number > 0"):
        TamisRanker(top_k=2).run("q", docs("a", "b"), top_k=top_k)
    with pytest.raises(ValueError, match="top_k must be a whole number > 0"):
        await TamisRanker(top_k=2).run_async("q", docs("a", "b"), top_k=top_k)


def test_top_k_at_run_time_comes_before_the_component_s():
    ranker = scorer(top_k=1)
    assert ids(ranker.run("q", docs("1", "3", "2"))) == ["1"]
    result = ranker.run("q", docs("1", "3", "2"), top_k=2)
    assert ids(result) == ["1", "2"]
    assert result["diagnostics"]["dropped"] == [{"id": "0", "why": "top_n", "score": 1.0}]
    assert len(ranker.run("q", docs("1", "3", "2"), top_k=99)["documents"]) == 3


def test_the_threshold_is_inclusive_and_comes_before_top_k():
    result = scorer(score_threshold=2.0, top_k=2).run("q", docs("1", "2", "3", "4"))
    assert ids(result) == ["3", "2"]
    assert {(d["id"], d["why"]) for d in result["diagnostics"]["dropped"]} == {("0", "below_threshold"), ("1", "top_n")}
    assert ids(scorer(score_threshold=2.0).run("q", docs("1", "2"))) == ["1"]


async def test_a_threshold_of_zero_at_run_time_counts():
    ranker = scorer(score_threshold=2.0)
    assert ids(ranker.run("q", docs("1", "2", "-1"), score_threshold=0.0)) == ["1", "0"]
    assert ids(await ranker.run_async("q", docs("1", "2", "-1"), score_threshold=0.0)) == ["1", "0"]


def test_a_threshold_on_an_order_without_scores_is_an_error():
    with pytest.raises(ScaleError, match="ordinal"):
        TamisRanker("listwise", chat_generator=Chat(says="[1]"), score_threshold=0.5).run("q", docs("a", "b"))


def test_scores_are_python_floats():
    result = scorer(np.float32).run("q", docs("0.5", "1.5"))
    assert [type(document.score) for document in result["documents"]] == [float, float]
    json.dumps([document.to_dict() for document in result["documents"]])


def test_a_pipeline_may_return_nothing():
    result = rebel(Chat(best="nothing of the kind")).run("q", docs("soup", "salad"))
    assert result["documents"] == []
    assert [entry["why"] for entry in result["diagnostics"]["dropped"]] == ["below_relevance_gate"] * 2


# --- documents --------------------------------------------------------------------------------------------------------


@dataclass
class Page(Document):
    number: int = 0


@pytest.mark.filterwarnings("ignore:Mutating attribute 'id' on an instance of 'Page'")  # Haystack's, of any subclass
async def test_the_input_is_never_changed():
    given_documents = [
        Page(id="a", content="Berlin", meta={"tags": ["x"]}, score=0.1, number=7, embedding=[0.5]),
        Document(content="soup", score=0.2),
    ]
    before = copy.deepcopy(given_documents)
    ranker = rebel(explain=True)
    first = ranker.run("q", given_documents)["documents"][0]
    await ranker.run_async("q", given_documents)
    assert given_documents == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranker.run("q", given_documents[1:])
    assert first is not given_documents[0]
    assert (type(first), first.id, first.number, first.embedding) == (Page, "a", 7, [0.5])


def test_explaining_adds_to_the_meta_of_the_copy_and_keeps_the_id():
    original = Document(content="Berlin", meta={"source": "atlas"}, score=0.25)
    (document,) = rebel(explain=True).run("q", [original])["documents"]
    assert document.id == original.id
    assert document.meta["source"] == "atlas"
    assert document.meta["tamis"]["criteria"]["relevance"] == 9.0
    assert document.meta["tamis"]["reason"] == "so it is"
    assert document.meta["tamis"]["retrieval_score"] == 0.25
    assert original.meta == {"source": "atlas"}
    assert rebel().run("q", [original])["documents"][0].meta == {"source": "atlas"}


def test_of_documents_with_one_id_the_highest_score_is_ranked():
    same = [Document(id="a", content="1", score=score) for score in (0.2, None, 0.9, 0.9)]
    given_documents = [same[0], Document(id="b", content="1"), *same[1:]]
    result = scorer(explain=True).run("q", given_documents)
    assert ids(result) == ["a", "b"]
    assert result["documents"][0].meta["tamis"]["retrieval_score"] == 0.9
    repeats = [(d["why"], d["score"]) for d in result["diagnostics"]["dropped"]]
    assert repeats == [("duplicate", 0.2), ("duplicate", None), ("duplicate", 0.9)]


def test_the_very_same_document_twice_is_one():
    document = Document(content="1")
    result = scorer().run("q", [document, document])
    assert len(result["documents"]) == 1
    assert len(result["diagnostics"]["dropped"]) == 1


def test_a_score_of_none_loses_to_a_negative_one():
    result = scorer(explain=True).run("q", [Document(id="a", content="1"), Document(id="a", content="1", score=-5.0)])
    assert result["documents"][0].meta["tamis"]["retrieval_score"] == -5.0


def test_meta_fields_are_ranked_along_falsy_ones_too():
    chat = Chat()
    document = Document(content="the report", meta={"year": 0, "author": None, "draft": False})
    rebel(chat, meta_fields_to_embed=["year", "author", "draft", "missing"]).run("q", [document])
    assert "0\nFalse\nthe report" in chat.asked[0]


def test_metadata_tells_near_identical_chunks_apart():
    chunks = [Document(content="Revenue rose.", meta={"company": name}) for name in ("Acme", "Berlin Motors")]
    result = rebel(meta_fields_to_embed=("company",)).run("q", chunks)
    assert ids(result) == [chunks[1].id]


def test_a_document_without_text_is_ranked_too():
    result = TamisRanker("lexical").run("q", [Document(id="a"), Document(id="b", content="q")])
    assert ids(result) == ["b", "a"]


def test_vectors_of_documents_reach_the_pipeline():
    asked = []
    model = Function(lambda call: asked.append(call.text) or [1.0, 0.0], "embed")
    ranker = TamisRanker(Embedding(model, given_vectors=True))
    embedded = {"a": [0.0, 1.0], "b": [1.0, 0.0]}
    result = ranker.run("q", [Document(id=name, content=name, embedding=vector) for name, vector in embedded.items()])
    assert ids(result) == ["b", "a"]
    assert asked == ["q"]


def test_the_content_a_token_budget_cuts_comes_back_cut():
    original = Document(content="a tall mountain " * 20, meta={"title": "Everest"}, score=0.5)
    before = original.to_dict()
    ranker = TamisRanker([{"token_budget": 20}], meta_fields_to_embed=["title"])
    (document,) = ranker.run("q", [original])["documents"]
    assert len(f"Everest\n{document.content}") == 80
    assert original.content.startswith(document.content)
    assert (document.id, document.meta) == (original.id, {"title": "Everest", "truncated": True})
    assert original.to_dict() == before
    (whole,) = ranker.run("q", [Document(content="short")])["documents"]
    assert (whole.content, whole.meta) == ("short", {})


async def test_diagnostics_tell_what_was_kept_and_how_sure_the_pipeline_is():
    pipeline = ["cross-encoder", {"abstain": {"threshold": 2.0}}, {"dynamic_k": {"policy": {"near_best": 1.0}}}]
    ranker = scorer(pipeline=pipeline)
    diagnostics = ranker.run("q", docs("1", "5", "4"))["diagnostics"]
    assert diagnostics["kept"] == [{"id": "1", "score": 5.0}, {"id": "2", "score": 4.0}]
    assert diagnostics["dropped"] == [{"id": "0", "why": "policy_cut", "score": 1.0}]
    assert (diagnostics["confidence"], diagnostics["abstained"]) == (5.0, False)
    for result in (ranker.run("q", docs("1", "0")), await ranker.run_async("q", docs("1", "0"))):
        assert result["documents"] == result["diagnostics"]["kept"] == []
        assert (result["diagnostics"]["confidence"], result["diagnostics"]["abstained"]) == (1.0, True)
        assert {entry["why"] for entry in result["diagnostics"]["dropped"]} == {"abstained"}
        assert json.loads(json.dumps(result["diagnostics"])) == result["diagnostics"]


# --- models that misbehave --------------------------------------------------------------------------------------------

GARBAGE = [
    "",
    "I am sorry, but I cannot help with that.",
    "The second document is clearly the best one!",
    '{"passages": [{"passage": 2, "relevance": 9',
    '{"passages": [{"passage": 0, "relevance": 9}, {"passage": 99, "relevance": 9}, {"passage": -1, "relevance": 9}]}',
    '{"passages": [{"passage": "two", "relevance": "high"}]}',
    "[[[[{{{{",
    "null",
    "Doc: 0, Relevance: 9\nDoc: 17, Relevance: 9",
]


@pytest.mark.parametrize(
    ("pipeline", "says"),
    [
        *(("rebel", says) for says in GARBAGE),
        *(("rebel-two-turn", says) for says in GARBAGE),
        *(("listwise", says) for says in (*GARBAGE[:3], "[0] > [99] > [4]", "null", "[[[[{{{{")),
    ],
)
async def test_garbage_loses_no_document_and_keeps_the_order(pipeline, says):
    for chat in (Chat(says=says), AsyncChat(says=says)):
        ranker = TamisRanker(pipeline, chat_generator=chat, engine=FAST)
        for result in (ranker.run("q", docs(*CITIES)), await ranker.run_async("q", docs(*CITIES))):
            assert ids(result) == ["0", "1", "2"]
            assert [document.score for document in result["documents"]] == [None] * 3
            assert result["diagnostics"]["degraded"]
            assert result["diagnostics"]["warnings"][-1]["ids"] == ["0", "1", "2"]


@given(says=st.text() | st.sampled_from(GARBAGE).map(lambda text: text * 3) | st.text('{}[]":,0123456789passgerlvnc '))
def test_whatever_a_model_says_every_document_is_accounted_for(says):
    for pipeline in ("rebel", "listwise"):
        result = TamisRanker(pipeline, chat_generator=Chat(says=says)).run("q", docs(*CITIES))
        assert sorted([*ids(result), *(d["id"] for d in result["diagnostics"]["dropped"])]) == ["0", "1", "2"]


def test_partial_answers_with_strings_duplicates_and_unknown_numbers():
    says = (
        'Sure! ```json\n{"passages": [{"passage": "3", "relevance": "8/10"}, {"passage": 3, "relevance": 0}, '
        '{"passage": 7, "relevance": 10}, {"passage": 2, "relevance": 9}]}\n``` Hope this helps.'
    )
    result = rebel(Chat(says=says)).run("q", docs(*CITIES))
    assert ids(result) == ["0", "1", "2"]
    unjudged, best, second = (document.score for document in result["documents"])
    assert unjudged is None
    assert (best, second) == (9 + 5 * 2.5 * 0.9, 8 + 5 * 2.5 * 0.8), "missing grades count as the row's mean"
    assert result["diagnostics"]["warnings"][0]["ids"] == ["0"]


def test_a_raising_generator_falls_back_and_top_k_still_holds():
    result = rebel(Fails()).run("q", docs(*CITIES), top_k=2)
    assert ids(result) == ["0", "1"]
    assert "the provider is down" in result["diagnostics"]["warnings"][0]["message"]
    assert result["diagnostics"]["usage"]["failed"] == 1
    assert result["diagnostics"]["usage"]["retries"] == 2


@pytest.mark.parametrize("chat", [Fails(), Chat(says="no idea")])
async def test_raise_on_failure_raises(chat):
    with pytest.raises(DegradedError, match="were not judged"):
        rebel(chat, raise_on_failure=True).run("q", docs(*CITIES))
    with pytest.raises(DegradedError, match="were not judged"):
        await rebel(chat, raise_on_failure=True).run_async("q", docs(*CITIES))


class Hangs(Chat):
    def __init__(self):
        super().__init__()
        self.released = threading.Event()

    def run(self, messages):
        self.released.wait(20)
        return self.answer(messages)


class HangsAsync(Hangs):
    async def run_async(self, messages):
        await asyncio.sleep(20)


@pytest.mark.parametrize("chat", [Hangs, HangsAsync])
async def test_a_hanging_generator_ends_at_the_deadline(chat):
    ranker = rebel(chat(), engine={"deadline": 0.5})
    started = time.monotonic()
    sync = ranker.run("q", docs(*CITIES))
    asynchronous = await ranker.run_async("q", docs(*CITIES))
    assert time.monotonic() - started < 5
    assert ids(sync) == ids(asynchronous) == ["0", "1", "2"]
    assert "deadline" in sync["diagnostics"]["warnings"][0]["message"]
    ranker.chat_generator.released.set()


def test_a_budget_of_calls_is_kept():
    chat = Chat()
    result = rebel(chat, engine={"max_calls": 1}).run("q", docs(*(f"city {n}" for n in range(25))))
    assert len(chat.asked) == 1
    assert len(result["documents"]) == 25
    assert result["documents"][20].score is None


# --- concurrency ------------------------------------------------------------------------------------------------------


class Blocks(Chat):
    def run(self, messages):
        time.sleep(0.3)
        return self.answer(messages)


async def ticks_while(work):
    ticks, task = 0, asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0.01)
        ticks += 1
    return ticks, task.result()


async def test_the_loop_keeps_running_while_a_generator_blocks():
    started = time.monotonic()
    ticks, result = await ticks_while(rebel(Blocks()).run_async("q", docs(*(f"city {n}" for n in range(50)))))
    assert len(result["documents"]) == 50
    assert ticks >= 10
    assert time.monotonic() - started < 1.2, "five calls of 0.3 seconds run at once"


async def test_a_generator_with_run_async_is_awaited():
    assert ids(await rebel(OnlyAsync()).run_async("q", docs(*CITIES))) == ["1", "2"]


async def test_run_works_inside_a_running_loop():
    assert ids(rebel(AsyncChat()).run("q", docs(*CITIES))) == ["1", "2"]


async def test_one_ranker_serves_many_requests_at_once():
    ranker = rebel(AsyncChat())
    results = await asyncio.gather(*(ranker.run_async(f"question {n}", docs(*CITIES)) for n in range(20)))
    assert {tuple(ids(result)) for result in results} == {("1", "2")}


def test_one_ranker_serves_many_event_loops():
    ranker = rebel(AsyncChat())
    for _ in range(3):
        assert ids(asyncio.run(ranker.run_async("q", docs(*CITIES)))) == ["1", "2"]


def test_answers_are_remembered_for_the_component_s_lifetime():
    chat = Chat()
    ranker = rebel(chat)
    first, second = ranker.run("q", docs(*CITIES)), ranker.run("q", docs(*CITIES))
    assert first["documents"] == second["documents"]
    assert len(chat.asked) == 1
    assert second["diagnostics"]["usage"]["cached"] == 1
    forgetful = rebel(chat := Chat(), engine={"cache": None})
    forgetful.run("q", docs(*CITIES))
    forgetful.run("q", docs(*CITIES))
    assert len(chat.asked) == 2


# --- arguments --------------------------------------------------------------------------------------------------------


def test_any_way_to_describe_a_pipeline(tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text("- lexical: {}\n- top_n: 1\n")
    data = [{"lexical": {}}, {"top_n": 1}]
    for pipeline in (Lexical() | TopN(1), data, {"stage": data}, {"pipeline": {"stages": data}}, str(path), path):
        assert ids(TamisRanker(pipeline).run("capital of Germany", docs(*CITIES))) == ["1"]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"pipeline": "lexicl"}, ConfigError, "Did you mean 'lexical'"),
        ({"pipeline": "nowhere.yaml"}, ConfigError, "no pipeline file"),
        ({"pipeline": "rebel"}, ConfigError, "'llm'"),
        ({"pipeline": [{"top_n": {"m": 3}}]}, ConfigError, "top_n"),
        ({"pipeline": "pointwise", "chat_generator": Chat()}, CapabilityError, "choice_logprobs"),
        ({"pipeline": "rebel", "chat_generator": "gpt"}, ConfigError, "not a chat generator"),
        ({"pipeline": "rebel", "chat_generator": Chat(), "models": {"llm": Chat()}}, ValueError, "given twice"),
        ({"engine": {"deadlin": 3}}, ConfigError, "deadlin"),
        ({"engine": {"deadline": -1}}, ConfigError, "deadline"),
    ],
)
def test_wrong_arguments_are_errors_when_the_component_is_made(arguments, error, says):
    with pytest.raises(error, match=says):
        TamisRanker(**arguments)


@pytest.mark.filterwarnings("ignore:the pipeline does not use the models")  # one set of models for every preset
def test_every_preset_is_a_pipeline():
    chat = Chat(says="[1] > [2]")
    chat.generation_kwargs = {"logprobs": True}
    models = PRESET_MODELS
    for name in presets():
        ranker = TamisRanker(name, chat_generator=chat, embedder=Vectors(), models=models)
        assert len(ranker.run("q", docs("a", "b"))["documents"]) == 2


@component
class Vectors:
    """A text embedder: one dimension a letter."""

    @component.output_types(embedding=list[float])
    def run(self, text: str):
        return {"embedding": [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]}


async def test_a_text_embedder_is_the_model_called_embedder():
    ranker = TamisRanker("embedding", embedder=Vectors())
    assert ids(ranker.run("soup", docs(*CITIES)))[0] == "0"
    assert ids(await ranker.run_async("soup", docs(*CITIES)))[0] == "0"


def test_a_wrapped_generator_can_be_one_of_the_models():
    chat = Chat()
    ranker = TamisRanker([{"rebel": {"model": "judge"}}], models={"judge": HaystackChat(chat)})
    assert ids(ranker.run("q", docs(*CITIES))) == ["1", "2"]


def test_run_and_run_async_declare_the_same_sockets():
    ranker = TamisRanker()
    assert set(ranker.__haystack_output__._sockets_dict) == {"documents", "diagnostics"}
    assert set(ranker.__haystack_input__._sockets_dict) == {"query", "documents", "top_k", "score_threshold"}


# --- lifecycle --------------------------------------------------------------------------------------------------------


class Lives(Chat):
    def __init__(self):
        super().__init__()
        self.events = []

    def warm_up(self):
        self.events.append("warm_up")

    def close(self):
        self.events.append("close")


class LivesAsync(Lives):
    async def warm_up_async(self):
        self.events.append("warm_up_async")

    async def close_async(self):
        self.events.append("close_async")


async def test_the_generator_is_warmed_up_and_closed_along():
    chat = Lives()
    ranker = rebel(chat)
    assert chat.events == [], "making a component starts nothing"
    ranker.warm_up()
    ranker.close()
    assert chat.events == ["warm_up", "close"]
    await ranker.warm_up_async()
    await ranker.close_async()
    assert chat.events == ["warm_up", "close"] * 2

    chat = LivesAsync()
    ranker = rebel(chat)
    await ranker.warm_up_async()
    await ranker.close_async()
    assert chat.events == ["warm_up_async", "close_async"]


async def test_running_warms_up_first():
    chat = LivesAsync()
    ranker = rebel(chat)
    ranker.run("q", [])
    assert chat.events == []
    ranker.run("q", docs("a"))
    assert chat.events == ["warm_up"]
    await ranker.run_async("q", docs("a"))
    assert chat.events == ["warm_up", "warm_up_async"]


async def test_a_component_without_lifecycle_is_fine():
    ranker = rebel()
    ranker.warm_up()
    ranker.close()
    await ranker.warm_up_async()
    await ranker.close_async()


def test_a_warm_up_that_fails_is_an_error_not_a_degraded_ranking():
    class NoKey(Chat):
        def warm_up(self):
            raise ValueError("no API key")

    with pytest.raises(ValueError, match="no API key"):
        rebel(NoKey()).run("q", docs("a"))


def test_a_wrapped_generator_among_the_models_is_warmed_up_too():
    chat = Lives()
    TamisRanker("rebel", models={"llm": HaystackChat(chat)}).warm_up()
    assert chat.events == ["warm_up"]


# --- tracing and telemetry --------------------------------------------------------------------------------------------


@dataclass
class Recorded(Span):
    name: str
    parent: Span | None
    tags: dict = field(default_factory=dict)

    def set_tag(self, key, value):
        self.tags[key] = value

    set_content_tag = set_tag


class Recorder(Tracer):
    def __init__(self):
        self.spans = []
        self.current = contextvars.ContextVar("current", default=None)

    @contextmanager
    def trace(self, operation_name, tags=None, parent_span=None):
        span = Recorded(operation_name, parent_span, dict(tags or {}))
        self.spans.append(span)
        token = self.current.set(span)
        try:
            yield span
        finally:
            self.current.reset(token)

    def current_span(self):
        return self.current.get()


@pytest.fixture
def recorder():
    recorder = Recorder()
    tracing.enable_tracing(recorder)
    yield recorder
    tracing.disable_tracing()


@pytest.mark.parametrize("chat", [Chat, AsyncChat])
async def test_each_call_is_a_span_under_the_current_one_with_its_usage(recorder, chat):
    many = docs(*(f"city {n}" for n in range(25)))
    for turn in ("sync", "async"):
        recorder.spans.clear()
        ranker = rebel(chat(), engine={"deadline": 10})
        with recorder.trace("haystack.component.run") as parent:
            _ = ranker.run("q", many) if turn == "sync" else await ranker.run_async("q", many)
        calls = [span for span in recorder.spans if span.name == "haystack.chat_generator.run"]
        assert len(calls) == 3
        for span in calls:
            assert span.parent is parent
            assert span.tags["haystack.component.type"] == chat.__name__
            assert span.tags["haystack.component.input"]["messages"][-1].text.startswith("<query>")
            reply = span.tags["haystack.component.output"]["replies"][0]
            assert reply.meta["usage"] == {"prompt_tokens": 11}


def test_a_failed_call_is_a_span_without_output(recorder):
    rebel(Fails(), engine={"retries": 0, "backoff": None}).run("q", docs("a"))
    (span,) = recorder.spans
    assert "haystack.component.output" not in span.tags


def test_usage_statistics_name_ready_pipelines_only():
    assert rebel()._get_telemetry_data() == {"pipeline": "rebel"}
    assert TamisRanker([{"lexical": {}}])._get_telemetry_data() == {"pipeline": "custom"}


# --- saving and copying -----------------------------------------------------------------------------------------------

PARAMETERS = {
    "pipeline": "rebel",
    "embedder": None,
    "top_k": 3,
    "score_threshold": 1.5,
    "engine": {"deadline": 2.0},
    "scores": "distance",
    "meta_fields_to_embed": ["title"],
    "explain": True,
    "raise_on_failure": True,
}


@pytest.fixture(autouse=True)
def _trusted(monkeypatch):
    """Generators defined in a test are outside Haystack 3's list of trusted modules."""
    monkeypatch.setenv("HAYSTACK_DESERIALIZATION_ALLOWLIST", __name__)


def test_to_dict_and_back():
    ranker = TamisRanker(**PARAMETERS, chat_generator=Chat(best="paris"))
    data = ranker.to_dict()
    assert data["type"] == "haystack_integrations.components.rankers.tamis.ranker.TamisRanker"
    nested = {"type": f"{__name__}.Chat", "init_parameters": {"best": "paris", "says": None}}
    assert data["init_parameters"] == {**PARAMETERS, "chat_generator": nested}
    before = copy.deepcopy(data)
    again = TamisRanker.from_dict(data)
    assert data == before, "loading leaves the data as it was"
    assert again.to_dict() == data
    assert isinstance(again.chat_generator, Chat)
    assert again.chat_generator.best == "paris"


def test_defaults_to_dict_and_back():
    data = TamisRanker().to_dict()
    assert data["init_parameters"]["pipeline"] == "default"
    assert data["init_parameters"]["chat_generator"] is None
    assert TamisRanker.from_dict(data).to_dict() == data
    assert TamisRanker.from_dict({"type": data["type"], "init_parameters": {}}).to_dict() == data


def test_an_embedder_is_saved_along():
    data = TamisRanker("embedding", embedder=Vectors()).to_dict()
    assert isinstance(TamisRanker.from_dict(data).embedder, Vectors)


@pytest.mark.parametrize(
    "pipeline",
    [
        Lexical() | TopN(2),
        Lexical(),
        [{"lexical": {}}, {"top_n": 2}],
        {"lexical": {}},
        {"type": "some.module", "stage": {"lexical": {}}},
        {"stage": [{"rebel": {"model": "llm", "gate": 4}}], "title": "mine"},
    ],
)
@pytest.mark.filterwarnings("ignore:the pipeline does not use the models")  # one generator for every pipeline
def test_a_pipeline_is_saved_as_plain_data(pipeline):
    ranker = TamisRanker(pipeline, chat_generator=Chat())
    data = json.loads(json.dumps(component_to_dict(ranker, "ranker")))
    again = component_from_dict(TamisRanker, data, "ranker")
    assert again.to_dict() == data
    assert ids(again.run("q", docs(*CITIES))) == ids(ranker.run("q", docs(*CITIES)))


def test_what_cannot_be_saved_is_an_error_not_left_out():
    model = Function(lambda call: 1.0, "classify")
    with pytest.raises(SerializationError, match="cross_encoder"):
        TamisRanker("cross-encoder", models={"cross_encoder": model}).to_dict()
    with pytest.raises(ConfigError, match="HaystackChat cannot be written as data"):
        TamisRanker(Rebel(HaystackChat(Chat()))).to_dict()
    with pytest.raises(SerializationError, match="on_event"):
        component_to_dict(TamisRanker(engine={"on_event": print}), "ranker")


def test_a_generator_that_cannot_be_saved_is_an_error_not_left_out():
    class Hidden(Chat):
        def __init__(self, secret):
            super().__init__()
            self._secret = secret

    with pytest.raises(SerializationError, match="secret"):
        rebel(Hidden("x")).to_dict()


def test_untrusted_modules_are_refused_where_haystack_refuses_them(monkeypatch):
    pytest.importorskip("haystack.core.serialization_security")
    monkeypatch.setenv("HAYSTACK_DESERIALIZATION_ALLOWLIST", "")
    data = rebel().to_dict()
    with pytest.raises(DeserializationError, match="allowlist"):
        TamisRanker.from_dict(data)


def test_copies_rank_alike_and_share_nothing_that_locks():
    ranker = TamisRanker(**{**PARAMETERS, "raise_on_failure": False, "engine": None}, chat_generator=Chat())
    ranker.run("q", docs(*CITIES))
    for twin in (copy.deepcopy(ranker), pickle.loads(pickle.dumps(ranker))):
        assert twin.to_dict() == ranker.to_dict()
        assert ids(twin.run("q", docs(*CITIES))) == ids(ranker.run("q", docs(*CITIES)))
        assert twin._reranker is not ranker._reranker


def test_engine_options_are_those_of_the_engine():
    assert TamisRanker(engine={"deadline": 3.0, "max_calls": 2})._reranker.engine.options.deadline == 3.0
    assert TamisRanker()._reranker.engine.options.on_failure == Engine().options.on_failure


REACHING = [{"listwise": {"model": {"openai": "m", "base_url": "http://localhost:9/v1"}}}]


def test_a_pipeline_written_in_python_may_open_addresses_and_one_from_data_or_a_file_may_not(tmp_path):
    data = TamisRanker(REACHING).to_dict()
    widened = {**data, "init_parameters": {**data["init_parameters"], "allow": "all"}}
    for written in (data, widened):
        with pytest.raises(ValueError, match=r"allow=\{'network:localhost:9'\}"):
            TamisRanker.from_dict(written)
    file = tmp_path / "sent.yaml"
    file.write_text(json.dumps(REACHING), encoding="utf-8")
    with pytest.raises(ValueError, match="network:localhost:9"):
        TamisRanker(file)
    TamisRanker(str(file), allow={"network:localhost"})


def test_who_loads_a_haystack_pipeline_can_permit_what_its_ranker_does():
    from haystack.core.serialization import DeserializationCallbacks

    made = Pipeline()
    made.add_component("ranker", TamisRanker(REACHING))
    written = made.dumps()
    with pytest.raises(Exception, match="ranker") as refused:
        Pipeline.loads(written)
    assert "network:localhost:9" in str(refused.value.__cause__)

    def permit(name, cls, parameters):
        if cls is TamisRanker:
            parameters["allow"] = {"network:localhost:9"}

    again = Pipeline.loads(written, callbacks=DeserializationCallbacks(component_pre_init=permit))
    assert again.dumps() == written


# --- scores that are distances ----------------------------------------------------------------------------------------


def test_of_repeated_distances_the_nearest_is_ranked():
    given_documents = [
        Document(id=name, content=name, score=score) for name, score in zip("abca", (0.1, 0.4, 0.8, 0.9), strict=True)
    ]
    result = TamisRanker([{"first_stage": {}}]).run("q", given_documents)
    assert ids(result) == ["a", "b", "c"]
    assert [(d["id"], d["score"]) for d in result["diagnostics"]["dropped"]] == [("a", 0.9)]
    assert "distance" in result["diagnostics"]["warnings"][0]["message"]
    far = TamisRanker([{"first_stage": {}}], scores="similarity").run("q", given_documents)
    assert ids(far) == ["a", "c", "b"]
    assert not far["diagnostics"]["warnings"]
    unread = TamisRanker([{"first_stage": {}}], scores="ignore").run("q", given_documents[::-1])
    assert ids(unread) == ["a", "c", "b"]


def test_an_unknown_kind_of_score_is_refused():
    with pytest.raises(ValueError, match="scores must be one of 'detect', 'similarity', 'distance', 'ignore'"):
        TamisRanker(scores="distances")
