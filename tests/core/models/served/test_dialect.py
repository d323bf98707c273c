"""Parts of the protocol that servers refuse: understood from their words, asked for once, counted, and remembered."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import combinations
from typing import Any

import pytest

from support.servers import Response, chat_server, completion, first_tokens, refusal
from tamis import Engine, Listwise, Pointwise
from tamis.errors import ModelError
from tamis.models import OpenAIChat
from tamis.models.served.dialect import FORMAT, POLICY, QUIRKS, SILENT, TOO_LARGE
from tamis.values.answers import Generated
from tamis.values.calls import Generate, Message

pytest.importorskip("httpx")

SCHEMA = {"type": "object", "properties": {"ids": {"type": "array", "items": {"type": "integer"}}}}
TEXTS = ["a recipe", "a hill", "a tall mountain"]


def has_system(request: Mapping[str, Any]) -> bool:
    return any(message["role"] == "system" for message in request["messages"])


REFUSALS: dict[str, tuple[Callable[[Mapping[str, Any]], bool], list[str]]] = {
    "max_tokens": (
        lambda request: "max_tokens" in request,
        [
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "Unrecognized request argument supplied: max_tokens",
        ],
    ),
    "temperature": (
        lambda request: request.get("temperature", 1) != 1,
        ["Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."],
    ),
    "stop": (
        lambda request: "stop" in request,
        ["Unsupported parameter: 'stop' is not supported with this model.", "stop: Extra inputs are not permitted"],
    ),
    "system": (
        has_system,
        [
            "System role not supported",
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
            "Conversation roles must alternate user/assistant/user/assistant/...",
            "Only user, assistant and tool roles are supported, got system.",
            "Developer instruction is not enabled for models/gemma-3-12b-it",
        ],
    ),
    "response_format": (lambda request: "response_format" in request, ["response_format is not supported"]),
}
WORDINGS = [(field, words) for field, (_, wordings) in REFUSALS.items() for words in wordings]


def fussy(words: Mapping[str, str], status: int = 400) -> Callable[[dict], Any]:
    """A server that refuses these fields, one at a time, in these words."""

    def answer(request: dict) -> Any:
        for field, said in words.items():
            if REFUSALS[field][0](request):
                return refusal(status, said)
        return completion("[1] END [2]")

    return answer


def asked(model: OpenAIChat) -> Generated:
    messages = (Message("system", "Be brief."), Message("user", "hello"))
    (answer,) = model.generate([Generate(model, messages, max_tokens=9, stop=("END",), schema=SCHEMA)])
    assert isinstance(answer, Generated)
    return answer


@pytest.mark.parametrize(("field", "words"), WORDINGS)
@pytest.mark.parametrize("status", [400, 404, 422])
def test_every_refusal_is_understood_once(field: str, words: str, status: int) -> None:
    with chat_server(fussy({field: words}, status)) as server:
        model = OpenAIChat("m", base_url=server.url)
        assert asked(model).text.startswith("[1] ")
        refused = len(server.requests) - 1
        assert refused == (2 if field == "response_format" else 1)
        asked(model)
        assert len(server.requests) == refused + 2
    last = server.requests[-1]
    assert not REFUSALS[field][0](last)
    assert "hello" in last["messages"][-1]["content"]
    assert any("Be brief." in message["content"] for message in last["messages"])


def test_any_number_of_refusals_comes_to_an_end() -> None:
    first = {field: wordings[0] for field, (_, wordings) in REFUSALS.items()}
    for count in (len(first) - 1, len(first)):
        for fields in combinations(first, count):
            with chat_server(fussy({field: first[field] for field in fields})) as server:
                model = OpenAIChat("m", base_url=server.url)
                asked(model)
                assert len(server.requests) <= 1 + count + ("response_format" in fields)
                before = len(server.requests)
                asked(model)
                assert len(server.requests) == before + 1


def test_without_stop_the_text_ends_where_it_would_have() -> None:
    with chat_server(fussy({"stop": REFUSALS["stop"][1][0]})) as server:
        answer = asked(OpenAIChat("m", base_url=server.url))
    assert (answer.text, answer.complete) == ("[1] ", True)


def test_a_server_that_takes_neither_field_of_the_limit_is_not_asked_for_ever() -> None:
    def answer(request: dict) -> Response:
        field = "max_tokens" if "max_tokens" in request else "max_completion_tokens"
        return refusal(400, f"Unsupported parameter: '{field}' is not supported with this model.")

    with chat_server(answer) as server, pytest.raises(ModelError, match="not supported"):
        asked(OpenAIChat("m", base_url=server.url))
    assert len(server.requests) == 2


def test_the_field_a_known_model_needs_is_sent_at_once_and_given_up_where_refused() -> None:
    with chat_server("ok") as server:
        asked(OpenAIChat("o4-mini", base_url=server.url))
    (request,) = server.requests
    assert "max_completion_tokens" in request
    assert not {"max_tokens", "temperature", "stop"} & set(request)

    def old(request: dict) -> Any:
        return refusal(400, "unknown field max_completion_tokens") if "max_completion_tokens" in request else "ok"

    with chat_server(old) as server:
        model = OpenAIChat("o4-mini", base_url=server.url)
        asked(model)
        asked(model)
    assert ["max_tokens" in request for request in server.requests] == [False, True, True]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_callers_word_on_the_field_stands(field: Any) -> None:
    for name in ("o4-mini", "m"):
        server_of = chat_server(lambda request: refusal(400, f"{field} is not supported"))
        with server_of as server, pytest.raises(ModelError, match="not supported"):
            asked(OpenAIChat(name, base_url=server.url, token_limit=field, thinking_budget=0, structured="none"))
        assert [field in request for request in server.requests] == [True]


# Counted and remembered


def listwise(model: OpenAIChat, engine: Engine) -> Any:
    return engine.rerank(Listwise(model), "tall mountain", TEXTS)


def alistwise(model: OpenAIChat, engine: Engine) -> Any:
    return asyncio.run(engine.arerank(Listwise(model), "tall mountain", TEXTS))


def picky(request: dict) -> Any:
    refused = fussy({field: REFUSALS[field][1][0] for field in ("max_tokens", "temperature", "system")})(request)
    return refused if isinstance(refused, Response) else "[3] > [2] > [1]"


@pytest.mark.parametrize("run", [listwise, alistwise])
def test_further_requests_count_against_the_budget_of_calls(run: Callable[..., Any]) -> None:
    for most in range(1, 5):
        with chat_server(picky) as server:
            model = OpenAIChat("m", base_url=server.url)
            first = run(model, Engine(retries=0, cache=None, max_calls=most))
            assert len(server.requests) == most
            assert first.degraded is (most < 4)
            assert first.usage.retries == most - 1
            if most < 4:
                assert "no further request may be made now" in str(first.warnings[0])
            rest = run(model, Engine(retries=0, cache=None, max_calls=4))
            assert not rest.degraded
            assert len(server.requests) == most + (4 if most < 4 else 1)  # What has worked is remembered.


def test_further_requests_count_in_the_pace_of_the_model() -> None:
    with chat_server(picky) as server:
        model = OpenAIChat("m", base_url=server.url, requests_per_minute=2)
        ranking = listwise(model, Engine(retries=0, cache=None, deadline=5.0))
        assert len(server.requests) == 2
    assert ranking.degraded


def test_what_was_learned_holds_in_threads_and_in_a_fork_and_nowhere_else() -> None:
    with chat_server(picky) as server:
        model = OpenAIChat("m", base_url=server.url, max_concurrency=8)
        engine = Engine(retries=0, cache=None)
        with ThreadPoolExecutor(8) as pool:
            rankings = list(pool.map(lambda _: listwise(model, engine), range(8)))
        assert not any(ranking.degraded for ranking in rankings)
        before = len(server.requests)
        assert not listwise(model, engine).degraded
        child = os.fork()
        if not child:
            os._exit(listwise(model, Engine(retries=0, cache=None)).degraded)
        assert os.waitpid(child, 0)[1] == 0
        assert len(server.requests) == before + 2
        listwise(OpenAIChat("m", base_url=server.url), engine)
        assert len(server.requests) == before + 6


# Log-probabilities


@pytest.mark.parametrize(
    "words",
    [
        "Unsupported parameter: 'logprobs' is not supported with this model.",
        "You are not allowed to request logprobs from this model; it is not supported",
        "Unknown name: top_logprobs",
    ],
)
def test_a_model_without_log_probabilities_is_not_asked_for_them_again(words: str) -> None:
    with chat_server(lambda request: refusal(400, words) if "logprobs" in request else "ok") as server:
        model = OpenAIChat("m", base_url=server.url, max_concurrency=1)
        ranking = Engine(retries=0, cache=None).rerank(Pointwise(model), "tall mountain", TEXTS)
        assert len(server.requests) == 1
        assert asked(model).text == "ok"
    assert ranking.degraded
    assert ranking.positions == (0, 1, 2)
    assert "does not give log-probabilities" in str(ranking.warnings[0])
    assert "'listwise'" in str(ranking.warnings[0])


@pytest.mark.parametrize(
    "logprobs",
    [None, {}, {"content": None}, {"content": []}, {"content": [{"token": "Yes", "logprob": 0.0, "top_logprobs": []}]}],
)
def test_a_server_that_leaves_log_probabilities_out_is_soon_asked_for_none(logprobs: Any) -> None:
    with chat_server(completion("Yes", logprobs=logprobs)) as server:
        model = OpenAIChat("m", base_url=server.url, max_concurrency=1)
        ranking = Engine(retries=0, cache=None).rerank(
            Pointwise(model), "tall mountain", [f"text {n}" for n in range(40)]
        )
        assert len(server.requests) == SILENT
    assert ranking.degraded
    assert ranking.positions == tuple(range(40))
    assert "'listwise'" in str(ranking.warnings[0])


def test_a_reply_without_log_probabilities_among_others_teaches_nothing() -> None:
    replies = itertools.cycle(["Yes", "Yes", first_tokens({"Yes": -0.1, "No": -2.0})])
    with chat_server(lambda request: next(replies)) as server:
        model = OpenAIChat("m", base_url=server.url, max_concurrency=1)
        Engine(retries=0, cache=None).rerank(Pointwise(model), "tall mountain", [f"text {n}" for n in range(12)])
        assert len(server.requests) == 12


def test_an_empty_answer_that_used_its_whole_limit_was_a_thought() -> None:
    def serve(request: Mapping[str, Any]) -> Any:
        return completion("[2] > [1]") if request["max_tokens"] > 400 else completion("", finish_reason="length")

    with chat_server(serve) as server:
        model = OpenAIChat("unknown", base_url=server.url)
        ranking = Engine(retries=0, cache=None).rerank(Listwise(model), "tall mountain", ["a", "b"])
        assert len(server.requests) == 2
        Engine(retries=0, cache=None).rerank(Listwise(model), "tall hill", ["a", "b"])
        assert len(server.requests) == 3, "remembered"
    assert ranking.positions == (1, 0)
    assert not ranking.degraded


def test_fewer_log_probabilities_are_no_lack_of_them() -> None:
    def answer(request: dict) -> Any:
        few = request["top_logprobs"] <= 5
        return first_tokens({"Yes": -0.1, "No": -2.0}) if few else refusal(400, "top_logprobs must be at most 5")

    with chat_server(answer) as server:
        model = OpenAIChat("m", base_url=server.url)
        assert not Engine(retries=0, cache=None).rerank(Pointwise(model), "tall mountain", TEXTS).degraded


# What teaches nothing


def shape(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request without its texts."""
    return {**request, "messages": [message["role"] for message in request["messages"]]}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "Internal system error: message queue timed out"),
        (503, "The system is busy, message: try later"),
        (500, "GPU temperature too high, request aborted"),
        (400, "GPU temperature too high, request aborted"),
        (400, "Operation not supported by the message bus; stop and retry"),
        (500, "System role not supported"),
        (429, "temperature is not supported"),
        (400, "The system could not process your prompt (content policy)"),
        (400, "System message not allowed by the content policy"),
        (400, "User location is not supported; see schema of regions"),
        (400, "bad request"),
        (500, "context length: 1 tokens"),
        (400, "context length: 1 tokens"),
        (400, "hello, the temperature is not supported"),
    ],
)
def test_an_ordinary_error_changes_no_later_request(status: int, words: str) -> None:
    prompt = (Message("system", "Be brief."), Message("user", "hello, the temperature is not supported"))

    def ask(model: OpenAIChat) -> None:
        call = Generate(model, prompt, max_tokens=9, stop=("END",), schema=SCHEMA)
        with suppress(ModelError):
            model.generate([call])

    with chat_server([refusal(status, words), "[1]"]) as server:
        model = OpenAIChat("qwen3-8b", base_url=server.url)
        first = Generate(model, prompt).messages
        assert first == prompt
        ask(model)
        ask(model)
    assert shape(server.requests[-1]) == shape(server.requests[0])


def test_what_did_not_help_is_not_remembered() -> None:
    replies = [refusal(400, "Unsupported parameter: 'stop' is not supported."), refusal(400, "no credit"), "[1]"]
    with chat_server(replies) as server:
        model = OpenAIChat("m", base_url=server.url)
        with pytest.raises(ModelError, match="no credit"):
            asked_plainly(model)
        asked_plainly(model)
    assert ["stop" in request for request in server.requests] == [True, False, True]


def asked_plainly(model: OpenAIChat) -> None:
    model.generate([Generate(model, (Message("user", "hello"),), max_tokens=9, stop=("END",))])


def test_a_window_smaller_than_what_was_taken_is_not_believed() -> None:
    refused = refusal(400, "This model's maximum context length is 600 tokens")
    taken = completion("[1]", tokens=(5000, 3))
    with chat_server([taken, refused, taken]) as server:
        model = OpenAIChat("qwen3-8b", base_url=server.url)
        for _ in range(3):
            asked(model)
    limits = [request["max_tokens"] for request in server.requests]
    assert limits == [limits[0], limits[0], 9, limits[0]]


@pytest.mark.parametrize(
    "said",
    [
        lambda turn: f"This model's maximum context length is {200_000 - turn} tokens",
        lambda turn: f"This model's maximum context length is {5000 - turn} tokens",
        lambda turn: f"max_tokens is too large: at most {4000 - turn} completion tokens",
    ],
)
def test_few_further_requests_are_made_for_one_call(said: Callable[[int], str]) -> None:
    turns = itertools.count()
    with chat_server(lambda _: refusal(400, said(next(turns)))) as server:
        with pytest.raises(ModelError):
            asked(OpenAIChat("qwen3-8b", base_url=server.url))
        assert len(server.requests) <= 3


def test_a_server_error_that_names_a_field_is_understood_for_the_call_alone() -> None:
    """llama.cpp has answered HTTP 500 where a chat template takes no system role."""
    with chat_server(fussy({"system": "System role not supported"}, 500)) as server:
        model = OpenAIChat("m", base_url=server.url)
        asked(model)
        asked(model)
    assert [has_system(request) for request in server.requests] == [True, False, True, False]


# Words of a hostile server


@pytest.mark.parametrize(
    "unit", ["max_tokens ", "system ", "role ", "not ", "context length ", "1,", "at most ", "failed to ", " "]
)
def test_the_words_of_an_error_are_read_in_little_time(unit: str) -> None:
    said = unit * (4096 // len(unit))
    began = time.process_time()
    for pattern in (*(quirk.refused for quirk in QUIRKS), TOO_LARGE, FORMAT, POLICY):
        pattern.search(said)
    assert time.process_time() - began < 0.5
