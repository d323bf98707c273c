"""OpenAIChat against a server on loopback that speaks the protocol, well and badly."""

from __future__ import annotations

import asyncio
import copy
import json
import math
import pickle
import socket
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError

from support.servers import Response, chat_server, completion, first_tokens, refusal
from tamis.engine import Engine
from tamis.engine.retry import is_transient
from tamis.errors import ConfigError, MissingExtra, ModelError
from tamis.models import OpenAIChat
from tamis.parts.dump import dump
from tamis.stage.base import Stage
from tamis.values.answers import Failure, Generated, Logprobs
from tamis.values.calls import ChoiceLogprobs, Generate, Message
from tamis.values.model import MODELS, capabilities

pytest.importorskip("httpx")

KEY = "sk-secret-0123456789"
SCHEMA = {"type": "object", "properties": {"ids": {"type": "array", "items": {"type": "integer"}}}}


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def generate(model, text="hello", **options):
    return Generate(model, (Message("system", "Be brief."), Message("user", text)), **options)


def choices(model, *labels):
    return ChoiceLogprobs(model, (Message("user", "Is water wet?"),), labels)


def ask(model, **options):
    return model.generate([generate(model, **options)])[0]


# What is sent, what comes back


def test_a_generation_is_one_chat_completion():
    with chat_server(completion("hi", tokens=(11, 2))) as server:
        model = OpenAIChat("m", base_url=server.url + "/")
        answer = ask(model, max_tokens=5, temperature=0.5, stop=("\n",))
    assert answer == Generated("hi", tokens_in=11, tokens_out=2)
    assert server.paths == ["/v1/chat/completions"]
    assert server.requests == [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
            "max_tokens": 5,
            "temperature": 0.5,
            "stop": ["\n"],
        }
    ]
    assert "authorization" not in server.headers[0]


def test_pictures_are_parts_of_their_message():
    pictures = "data:image/png;base64,AA", "https://x/y.png"
    with chat_server(completion("hi")) as server:
        model = OpenAIChat("m", base_url=server.url, images=True, allow_image_addresses=True)
        model.generate([Generate(model, (Message("user", "which?", pictures),))])
    (message,) = server.requests[0]["messages"]
    assert message["content"] == [
        {"type": "text", "text": "which?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
    ]
    assert model.images
    assert not OpenAIChat("m").images


@pytest.mark.parametrize("address", ["https://x/y.png", "http://127.0.0.1/", "file:///etc/passwd", "/a.png", ""])
def test_an_address_of_a_picture_is_not_sent_without_permission(address):
    message = Message("user", "which?", ("data:image/png;base64,AA", address))
    with chat_server(completion("hi")) as server:
        model = OpenAIChat("m", base_url=server.url, images=True)
        written = model.generate([Generate(model, (message,)), Generate(model, (Message("user", "hi"),))])
        (chosen,) = model.choice_logprobs([ChoiceLogprobs(model, (message,), ("Yes", "No"))])
    assert isinstance(written[0], Failure)
    assert isinstance(chosen, Failure)
    assert "allow_image_addresses" in chosen.message
    assert written[1].text == "hi"
    assert len(server.requests) == 1


def test_one_answer_a_call_in_order():
    with chat_server(lambda request: request["messages"][-1]["content"].upper()) as server:
        model = OpenAIChat("m", base_url=server.url)
        calls = [generate(model, text) for text in "abc"]
        assert [answer.text for answer in model.generate(calls)] == ["A", "B", "C"]


def test_extra_body_and_headers_go_along():
    with chat_server() as server:
        extra = {"chat_template_kwargs": {"enable_thinking": False}, "temperature": 0.9}
        ask(OpenAIChat("m", base_url=server.url, extra_body=extra, headers={"X-Team": "search"}, api_key=KEY))
    assert server.requests[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert server.requests[0]["temperature"] == 0.9
    assert server.headers[0]["x-team"] == "search"
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_the_key_comes_from_the_named_environment_variable(monkeypatch):
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    with chat_server() as server:
        ask(OpenAIChat("m", base_url=server.url, api_key_env="MY_KEY"))
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_half_characters_do_not_stop_a_request():
    with chat_server() as server:
        ask(OpenAIChat("m", base_url=server.url), text="caf\u00e9 \ud800")
    assert server.requests[0]["messages"][1]["content"] == "café ?"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None}, ""),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": "answer", "reasoning_content": "thoughts"}, "answer"),
        ({"content": None, "refusal": "I cannot help"}, "I cannot help"),
    ],
)
def test_every_shape_of_message_becomes_text(message, text):
    with chat_server({"choices": [{"message": message, "finish_reason": "stop"}]}) as server:
        assert ask(OpenAIChat("m", base_url=server.url)) == Generated(text)


def test_an_answer_cut_by_the_token_limit_is_incomplete():
    with chat_server(completion("half an ans", finish_reason="length")) as server:
        assert not ask(OpenAIChat("m", base_url=server.url)).complete


# Choices


def test_choice_logprobs_reads_the_first_token():
    shown = {"Yes": math.log(0.5), " Yes": math.log(0.2), "yes": math.log(0.1), "ĠNo": -2.0, "Maybe": -3.0}
    with chat_server(first_tokens(shown)) as server:
        model = OpenAIChat("m", base_url=server.url)
        (answer,) = model.choice_logprobs([choices(model, "Yes", "No", "Unsure")])
    assert answer.values == pytest.approx((math.log(0.8), -2.0, -math.inf))
    assert (answer.tokens_in, answer.tokens_out) == (7, 1)
    request = server.requests[0]
    assert (request["max_tokens"], request["logprobs"], request["top_logprobs"]) == (1, True, 20)


def test_case_decides_where_choices_differ_by_it():
    with chat_server(first_tokens({"a": -1.0, "A": -2.0})) as server:
        model = OpenAIChat("m", base_url=server.url)
        assert model.choice_logprobs([choices(model, "A", "a")])[0].values == pytest.approx((-2.0, -1.0))


@pytest.mark.parametrize("reply", [first_tokens({"Maybe": -0.1}), completion("Yes"), completion("Yes", logprobs=None)])
def test_no_choice_shown_is_malformed(reply):
    with chat_server(reply) as server:
        model = OpenAIChat("m", base_url=server.url)
        (answer,) = model.choice_logprobs([choices(model, "Yes", "No")])
    assert isinstance(answer, Failure)
    assert answer.why == "malformed"


def test_fewer_top_logprobs_where_the_server_allows_fewer():
    def answer(request):
        if request["top_logprobs"] > 5:
            return refusal(400, "top_logprobs must be at most 5")
        return first_tokens({"Yes": -0.1})

    with chat_server(answer) as server:
        model = OpenAIChat("m", base_url=server.url)
        for _ in range(2):
            assert isinstance(model.choice_logprobs([choices(model, "Yes", "No")])[0], Logprobs)
    assert [request["top_logprobs"] for request in server.requests] == [20, 5, 5]


# What servers reject


def formats(server):
    return [request.get("response_format", {}).get("type") for request in server.requests]


def test_a_schema_is_sent_as_json_schema():
    closed = {**SCHEMA, "required": ["ids"], "additionalProperties": False}
    with chat_server("{}") as server:
        model = OpenAIChat("m", base_url=server.url)
        ask(model, schema=SCHEMA)
        ask(model, schema=closed)
    loose, strict = (request["response_format"] for request in server.requests)
    assert loose == {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    assert strict == {"type": "json_schema", "json_schema": {"name": "answer", "schema": closed, "strict": True}}


@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "response_format.type json_schema is not supported"), (422, "json_schema")],
)
def test_auto_falls_back_to_json_object_and_remembers(status, message):
    def answer(request):
        rejected = request.get("response_format", {}).get("type") == "json_schema"
        return refusal(status, message) if rejected else "{}"

    with chat_server(answer) as server:
        model = OpenAIChat("m", base_url=server.url)
        for _ in range(3):
            ask(model, schema=SCHEMA)
    assert formats(server) == ["json_schema", "json_object", "json_object", "json_object"]


def test_a_format_that_nobody_blamed_is_given_up_when_that_helped_twice():
    with chat_server(lambda r: refusal(422, "no") if "response_format" in r else "[1]") as server:
        model = OpenAIChat("m", base_url=server.url)
        assert [ask(model, schema=SCHEMA).text for _ in range(4)] == ["[1]"] * 4
    assert formats(server) == [*["json_schema", "json_object", None] * 2, None, None]


def test_an_error_that_no_format_avoids_is_not_blamed_on_the_format():
    replies = [refusal(400, "the prompt is too long")] * 3 + ["{}"]
    with chat_server(replies) as server:
        model = OpenAIChat("m", base_url=server.url)
        with pytest.raises(ModelError, match="too long"):
            ask(model, schema=SCHEMA)
        ask(model, schema=SCHEMA)
    assert formats(server) == ["json_schema", "json_object", None, "json_schema"]


def test_a_format_that_has_worked_is_not_given_up_for_any_bad_request():
    with chat_server(["{}", refusal(400, "the prompt is too long")]) as server:
        model = OpenAIChat("m", base_url=server.url)
        ask(model, schema=SCHEMA)
        with pytest.raises(ModelError, match="too long"):
            ask(model, schema=SCHEMA)
    assert len(server.requests) == 2


@pytest.mark.parametrize(("structured", "sent"), [("json_schema", "json_schema"), ("json_object", "json_object")])
def test_a_format_asked_for_is_not_changed(structured, sent):
    with chat_server(refusal(400, "response_format is not supported")) as server:
        model = OpenAIChat("m", base_url=server.url, structured=structured)
        with pytest.raises(ModelError, match="response_format"):
            ask(model, schema=SCHEMA)
    assert formats(server) == [sent]


def test_structured_none_sends_no_format():
    with chat_server("{}") as server:
        ask(OpenAIChat("m", base_url=server.url, structured="none"), schema=SCHEMA)
    assert formats(server) == [None]


def picky(request):
    """As OpenAI's reasoning models."""
    if "max_tokens" in request:
        return refusal(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    if request.get("temperature", 1) != 1:
        return refusal(400, "Unsupported value: 'temperature' does not support 0 with this model.")
    return "ok"


def test_reasoning_models_get_what_they_take():
    with chat_server(picky) as server:
        model = OpenAIChat("m", base_url=server.url)
        assert ask(model, max_tokens=9).text == "ok"
        assert ask(model, max_tokens=9).text == "ok"
    assert len(server.requests) == 4
    assert server.requests[-1]["max_completion_tokens"] == 9
    assert "temperature" not in server.requests[-1]


def test_the_prompt_in_an_error_teaches_nothing():
    """Servers of the FastAPI kind send the request back; words in it must not be taken for the complaint."""
    echo = {"detail": [{"loc": ["body", "stop"], "msg": "too many", "input": {"temperature": 0, "max_tokens": 1}}]}
    with chat_server(Response(422, echo)) as server, pytest.raises(ModelError, match="too many"):
        ask(OpenAIChat("m", base_url=server.url))
    assert len(server.requests) == 1


def test_what_threads_find_out_at_the_same_time_adds_up():
    def answer(request):
        if request.get("response_format", {}).get("type") == "json_schema":
            return refusal(400, "json_schema is not supported")
        return picky(request)

    with chat_server(answer) as server:
        model = OpenAIChat("m", base_url=server.url)
        with ThreadPoolExecutor(8) as pool:
            texts = pool.map(lambda i: ask(model, schema=SCHEMA if i % 2 else None).text, range(32))
            assert set(texts) == {"ok"}
        before = len(server.requests)
        ask(model, schema=SCHEMA)
        assert len(server.requests) == before + 1


# What goes wrong


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (404, False), (408, True), (429, True), (500, True), (503, True), (307, False)],
)
def test_http_errors_say_whether_to_ask_again(status, retryable):
    with (
        chat_server(refusal(status, "the reason")) as server,
        pytest.raises(ModelError, match=f"HTTP {status}: the reason") as caught,
    ):
        ask(OpenAIChat("m", base_url=server.url))
    assert caught.value.retryable is retryable
    assert is_transient(caught.value) is retryable


def test_retry_after_reaches_the_engine():
    with chat_server(refusal(429, "slow down", Retry_After="7")) as server, pytest.raises(ModelError) as caught:
        ask(OpenAIChat("m", base_url=server.url))
    assert caught.value.retry_after == 7.0


def test_an_empty_account_is_not_worth_a_retry():
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    with chat_server(Response(429, body)) as server, pytest.raises(ModelError) as caught:
        ask(OpenAIChat("m", base_url=server.url))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "body", ["<html>502</html>", "{", "[]", {"choices": []}, {"choices": [{"text": "old"}]}, "null"]
)
def test_a_reply_that_is_no_completion_is_a_retryable_error(body):
    with chat_server(Response(200, body)) as server, pytest.raises(ModelError, match="something that is not") as caught:
        ask(OpenAIChat("m", base_url=server.url))
    assert caught.value.retryable


@pytest.mark.parametrize(("code", "retryable"), [(429, True), (400, False), (None, True)])
def test_an_error_inside_a_200(code, retryable):
    with (
        chat_server(Response(200, {"error": {"message": "upstream", "code": code}})) as server,
        pytest.raises(ModelError, match="upstream") as caught,
    ):
        ask(OpenAIChat("m", base_url=server.url))
    assert caught.value.retryable is retryable


def test_long_bodies_are_cut():
    with chat_server(Response(500, "x" * 5000)) as server, pytest.raises(ModelError) as caught:
        ask(OpenAIChat("m", base_url=server.url))
    assert str(caught.value).count("x") <= 200


def test_a_server_that_hangs_is_given_up_after_the_timeout():
    with chat_server(Response(delay=30)) as server:
        model = OpenAIChat("m", base_url=server.url, timeout=0.3)
        started = time.monotonic()
        with pytest.raises(ModelError, match=r"did not answer within 0\.3 s") as caught:
            ask(model)
        with pytest.raises(ModelError, match=r"did not answer within 0\.3 s"):
            asyncio.run(model.agenerate([generate(model)]))
    assert caught.value.retryable
    assert time.monotonic() - started < 5


def test_no_server_at_all_names_the_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    model = OpenAIChat("m", base_url=url)
    for attempt in (lambda: ask(model), lambda: asyncio.run(model.agenerate([generate(model)]))):
        with pytest.raises(ModelError, match=f"cannot connect to {url}") as caught:
            attempt()
        assert caught.value.retryable


def test_openai_needs_a_key_at_the_first_call_only():
    model = OpenAIChat("gpt-x")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        ask(model)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        asyncio.run(model.agenerate([generate(model)]))


def test_httpx_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(MissingExtra, match=r"packages/core\[openai\]"):
        ask(OpenAIChat("m", base_url="http://localhost:1/v1"))


# Secrets


def test_the_key_shows_nowhere(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
    leaky = refusal(401, f"Incorrect API key provided: {KEY} or team-secret")
    with chat_server(leaky) as server:
        model = OpenAIChat("m", base_url=server.url, api_key=KEY, headers={"api-key": "team-secret"})
        with pytest.raises(ModelError) as caught:
            ask(model)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    shown = "".join(traceback.format_exception(caught.value)) + repr(model) + json.dumps(dump(model)) + model.cache_key
    for secret in (KEY, "team-secret", "sk-from-environment"):
        assert secret not in shown


def test_a_key_that_cannot_be_sent_is_not_repeated():
    with chat_server() as server:
        model = OpenAIChat("m", base_url=server.url, api_key="sk-bro\u2026ken")
        with pytest.raises(ConfigError, match="paste it again") as caught:
            ask(model)
    assert "ken" not in str(caught.value).replace("paste", "")
    assert not server.requests


def test_a_wrong_field_does_not_show_the_key():
    with pytest.raises(ValidationError) as caught:
        OpenAIChat(api_key=KEY)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://user:pass@host/v1", ""])
def test_a_bad_address_is_refused_when_made(url):
    with pytest.raises(ValidationError) as caught:
        OpenAIChat("m", base_url=url)
    assert "pass@" not in str(caught.value)


# As data, copied, in threads and event loops


def test_it_can_be_written_as_data_and_read_back():
    model = MODELS.build({"openai": "qwen3-8b", "base_url": "http://localhost:8000/v1", "api_key": KEY})
    assert dump(model) == {"openai": {"model": "qwen3-8b", "base_url": "http://localhost:8000/v1"}}
    assert MODELS.build(dump(model)) == OpenAIChat("qwen3-8b", base_url="http://localhost:8000/v1")
    with pytest.raises(ConfigError, match="structured"):
        MODELS.build({"openai": "m", "structured": "xml"})


def test_what_it_declares():
    model = OpenAIChat("m", extra_body={"seed": 1}, context_window=4096)
    assert capabilities(model) == ("generate", "choice_logprobs")
    assert (model.name, model.max_batch, model.max_concurrency, model.context_window) == ("m", 1, 16, 4096)
    assert model.cache_key == 'openai:https://api.openai.com/v1:m:{"seed": 1}'
    assert model.cache_key != OpenAIChat("m").cache_key


def test_async_gives_what_sync_gives():
    with chat_server(lambda r: first_tokens({"Yes": -0.5}) if "logprobs" in r else completion("hi")) as server:
        model = OpenAIChat("m", base_url=server.url)

        async def both():
            return await model.agenerate([generate(model)]), await model.achoice_logprobs([choices(model, "Yes", "No")])

        expected = (model.generate([generate(model)]), model.choice_logprobs([choices(model, "Yes", "No")]))
        assert asyncio.run(both()) == expected
    assert server.requests[0] == server.requests[2]
    assert server.requests[1] == server.requests[3]


def test_one_instance_serves_several_event_loops():
    with chat_server() as server:
        model = OpenAIChat("m", base_url=server.url)

        async def many():
            answers = await asyncio.gather(*(model.agenerate([generate(model, str(i))]) for i in range(8)))
            return [answer.text for (answer,) in answers]

        for _ in range(3):
            assert asyncio.run(many()) == ["ok"] * 8
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(lambda _: asyncio.run(many()), range(3))) == [["ok"] * 8] * 3
        assert ask(model).text == "ok"
        assert len(model._async_clients) <= 3


async def test_requests_of_one_loop_run_at_the_same_time():
    with chat_server(lambda request: Response(200, completion("ok"), delay=0.5)) as server:
        model = OpenAIChat("m", base_url=server.url)
        await asyncio.gather(*(model.agenerate([generate(model)]) for _ in range(8)))
        await model.aclose()
    assert server.most_at_once == 8


async def test_aclose_closes_and_the_next_call_opens_anew():
    with chat_server() as server:
        model = OpenAIChat("m", base_url=server.url)
        await model.agenerate([generate(model)])
        client = model._async_client()
        await model.aclose()
        assert client.is_closed
        assert (await model.agenerate([generate(model)]))[0].text == "ok"
        await model.aclose()


def test_close_and_go_on():
    with chat_server() as server:
        model = OpenAIChat("m", base_url=server.url)
        model.close()
        ask(model)
        client = model._client
        model.close()
        assert client.is_closed
        assert ask(model).text == "ok"
        model.close()


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_makes_connections_of_its_own(copied):
    with chat_server() as server:
        model = OpenAIChat("m", base_url=server.url, api_key=KEY)
        ask(model)
        asyncio.run(model.agenerate([generate(model)]))
        twin = copied(model)
        assert twin == model
        assert ask(twin).text == "ok"
        assert twin._client is not model._client
    assert server.headers[-1]["authorization"] == f"Bearer {KEY}"


def test_threads_share_one_client():
    with chat_server() as server:
        model = OpenAIChat("m", base_url=server.url)
        with ThreadPoolExecutor(8) as pool:
            clients = set(pool.map(lambda _: id(model._client), range(32)))
            assert {answer.text for answer in pool.map(lambda _: ask(model), range(32))} == {"ok"}
    assert len(clients) == 1


# Under the engine


class AskAll(Stage):
    """Asks one question a candidate and keeps the order."""

    def __init__(self, model):
        self.model = model
        self.answers = None

    def plan(self, ranking):
        self.answers = yield [generate(self.model, ranked.candidate.text) for ranked in ranking.kept]
        return ranking


@pytest.mark.parametrize("run", ["sync", "async"])
def test_the_engine_waits_as_told_and_asks_again(run):
    with chat_server([refusal(429, "slow down", Retry_After="0.3"), refusal(500, "oops"), "ok"]) as server:
        stage, engine = AskAll(OpenAIChat("m", base_url=server.url)), Engine(backoff=0.01, cache=None)
        started = time.monotonic()
        if run == "sync":
            ranking = engine.rerank(stage, "q", ["text"])
        else:
            ranking = asyncio.run(engine.arerank(stage, "q", ["text"]))
    assert [answer.text for answer in stage.answers] == ["ok"]
    assert (ranking.usage.calls, ranking.usage.retries, ranking.usage.tokens_in) == (1, 2, 7)
    assert time.monotonic() - started >= 0.3


def test_the_engine_turns_a_rejection_into_a_failure_at_once():
    with chat_server(refusal(404, "no such model")) as server:
        stage = AskAll(OpenAIChat("m", base_url=server.url))
        ranking = Engine(cache=None).rerank(stage, "q", ["a", "b"])
    assert all(isinstance(answer, Failure) and "no such model" in answer.message for answer in stage.answers)
    assert (ranking.usage.failed, len(server.requests)) == (2, 2)


def test_the_engine_keeps_many_requests_in_flight():
    with chat_server(lambda request: Response(200, completion("ok"), delay=0.1)) as server:
        Engine(cache=None).rerank(AskAll(OpenAIChat("m", base_url=server.url)), "q", ["text"] * 32)
    assert 8 < server.most_at_once <= 16


def test_openais_key_goes_to_openai_only(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
    with chat_server() as server:
        ask(OpenAIChat("m", base_url=server.url))
        ask(OpenAIChat("m", base_url=server.url, api_key_env="OPENAI_API_KEY"))
    assert [headers.get("authorization") for headers in server.headers] == [None, "Bearer sk-from-environment"]
