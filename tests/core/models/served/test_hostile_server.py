"""Servers that mean harm, or have lost their mind: the model says what came, in bounded time and memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.servers import Response, chat_server, completion

from tamis.errors import ConfigError, ModelError
from tamis.models import OpenAIChat, RerankService
from tamis.models.served.http import Reply
from tamis.models.served.wire import Body, Refused, read_json
from tamis.values.answers import Failure, Generated, Score
from tamis.values.calls import Classify, Generate, Message

KEY = "sk-Zq8mW2nVx4"
HEADER = "tenant-value-77"


def chat(url: str, **options: Any) -> OpenAIChat:
    return OpenAIChat("m", base_url=url, **options)


def service(url: str, **options: Any) -> RerankService:
    return RerankService("m", "cohere", base_url=url, **options)


MAKES = [chat, service]
RUNS = ["sync", "async"]


def ask(model: Any, run: str = "sync") -> list[Any]:
    """The answers to one call."""
    if isinstance(model, OpenAIChat):
        calls: list[Any] = [Generate(model, (Message("user", "hello"),), max_tokens=8)]
        return model.generate(calls) if run == "sync" else asyncio.run(model.agenerate(calls))
    calls = [Classify(model, "q", "text")]
    return model.classify(calls) if run == "sync" else asyncio.run(model.aclassify(calls))


def bomb(megabytes: int) -> bytes:
    """Zeros as gzip: a block of one megabyte, over and over."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * megabytes


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("run", RUNS)
def test_a_bomb_of_2600_megabytes_costs_little_time_and_memory(make: Callable[..., Any], run: str) -> None:
    packed = bomb(2600)
    limit = 4 * 2**20
    with chat_server(Response(200, packed, {"Content-Encoding": "gzip"})) as server:
        model = make(server.url, max_reply_bytes=limit)
        tracemalloc.start()
        began = time.perf_counter()
        try:
            with pytest.raises(ModelError, match=r"4,194,304 bytes.*max_reply_bytes") as caught:
                ask(model, run)
            took, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert not caught.value.retryable
    assert took < 5
    assert peak < 3 * limit + len(packed)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("length", [True, False])
def test_a_reply_over_the_limit_is_refused_whether_or_not_its_length_is_stated(
    make: Callable[..., Any], run: str, length: bool
) -> None:
    pieces = [b"HTTP/1.1 200 OK\r\n\r\n", *[b" " * 2**16] * 64]
    answer = Response(200, b" " * 2**22) if length else Response(pieces=pieces)
    with chat_server(answer) as server, pytest.raises(ModelError, match="max_reply_bytes") as caught:
        ask(make(server.url, max_reply_bytes=2**20), run)
    assert not caught.value.retryable


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
def test_an_encoding_that_was_not_asked_for_is_named(encoding: str) -> None:
    with chat_server(Response(200, b"\x8b" * 50, {"Content-Encoding": encoding})) as server:
        with pytest.raises(ModelError, match=f"Content-Encoding '{encoding}'"):
            ask(chat(server.url))
        assert server.headers[0]["accept-encoding"] == "gzip, deflate"


def packed_as(encoding: str, body: bytes) -> bytes:
    if encoding == "raw deflate":
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(body) + packer.flush()
    if encoding == "two gzips":
        return gzip.compress(body[:9]) + gzip.compress(body[9:])
    return gzip.compress(body) if encoding == "gzip" else zlib.compress(body)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("encoding", ["gzip", "two gzips", "deflate", "raw deflate"])
def test_packed_replies_are_read(encoding: str, run: str) -> None:
    body = packed_as(encoding, json.dumps(completion("hi" * 1000)).encode())
    header = "gzip" if "gzip" in encoding else "deflate"
    with chat_server(Response(200, body, {"Content-Encoding": header})) as server:
        (answer,) = ask(chat(server.url), run)
    assert answer.text == "hi" * 1000


@given(
    body=st.binary(max_size=2000),
    encoding=st.sampled_from(["gzip", "deflate"]),
    cuts=st.lists(st.integers(0, 2000), max_size=5),
)
def test_a_body_comes_out_as_it_went_in_however_it_is_cut(body: bytes, encoding: str, cuts: list[int]) -> None:
    packed = packed_as(encoding, body)
    reading = Body({"content-encoding": encoding}, 4000)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(packed)], strict=True):
        for _ in reading.feed(packed[start:end]):
            pass
    assert bytes(reading.end()) == body


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "", "br"]), st.integers(1, 200))
def test_any_bytes_are_read_within_the_limit_or_refused(body: bytes, encoding: str, limit: int) -> None:
    try:
        reading = Body({"content-encoding": encoding}, limit)
        for _ in reading.feed(body):
            pass
        assert len(reading.end()) <= limit
    except Refused:
        pass


BROKEN = {
    "no JSON": b"<html>502</html>",
    "an empty body": b"",
    "cut JSON": b'{"choices": [{"mess',
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "deep, whole": b"[" * 900 + b"]" * 900,
    "no UTF-8": b'{"choices": "\xff\xfe"}',
    "a key twice": b'{"choices": [], "choices": []}',
    "a number of 5000 digits": b'{"choices": ' + b"9" * 5000 + b"}",
    "NaN": b'{"choices": NaN, "results": NaN}',
    "a list": b"[1e999, Infinity, -Infinity]",
    "text": b'"text"',
    "an odd error": b'{"error": {"code": 1e999, "message": {"a": [1]}}}',
    "an error of no kind": b'{"error": [1, 2]}',
    "a message that is a list": b'{"choices": [{"message": []}], "results": [[]]}',
}


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_broken_reply_is_a_model_error(make: Callable[..., Any], run: str, status: int, body: bytes) -> None:
    headers = {"Content-Type": "application/json; charset=hex"}
    with chat_server(Response(status, body, headers)) as server, pytest.raises(ModelError):
        ask(make(server.url), run)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"{}" * 500)[:-9], b"no gzip at all", gzip.compress(b"{}") + b"garbage"],
    ids=["cut", "none", "more behind"],
)
def test_broken_gzip_is_a_retryable_error(body: bytes, run: str) -> None:
    with chat_server(Response(200, body, {"Content-Encoding": "gzip"})) as server, pytest.raises(ModelError) as caught:
        ask(chat(server.url), run)
    assert caught.value.retryable
    assert "gzip" in str(caught.value)


@pytest.mark.parametrize("run", RUNS)
def test_a_reply_shorter_than_it_says_is_a_retryable_error(run: str) -> None:
    pieces = [b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"choices"']
    with chat_server(Response(pieces=pieces)) as server, pytest.raises(ModelError) as caught:
        ask(chat(server.url), run)
    assert caught.value.retryable


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "results", "index", "relevance_score", "usage", "error"])
            | st.sampled_from(["code", "detail", "prompt_tokens", "logprobs", "refusal", "text", "meta", "type"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def mad() -> Iterator[tuple[Any, dict[str, Any]]]:
    said: dict[str, Any] = {}
    with chat_server(lambda _: Response(said["status"], json.dumps(said["data"]))) as server:
        yield server, said


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=json_values, inside=st.integers(0, 4), status=st.sampled_from([200, 200, 404, 500]))
def test_any_json_is_an_answer_a_failure_or_a_model_error(
    mad: tuple[Any, dict[str, Any]], data: Any, inside: int, status: int
) -> None:
    server, said = mad
    wraps: list[Callable[[Any], Any]] = [
        lambda data: data,
        lambda data: {"choices": [data], "results": [data]},
        lambda data: {"choices": [{"message": data, "usage": data}], "results": {"a": data}},
        lambda data: {"choices": [{"message": {"content": data}}], "usage": data, "results": [], "meta": data},
        lambda data: {"choices": [{"message": {"content": "x"}, "finish_reason": data}], "results": [{"index": 0}]},
    ]
    said.update(data=wraps[inside](data), status=status)
    for make in MAKES:
        try:
            answers = ask(make(server.url))
        except ModelError:
            continue
        assert len(answers) == 1
        assert isinstance(answers[0], (Generated, Score, Failure))


def test_a_reply_of_many_values_is_refused_by_number() -> None:
    with pytest.raises(Refused, match=r"1,048,576 values.*max_reply_bytes"):
        read_json(b"[" + b"[]," * 1_100_000 + b"0]", 32 * 2**20)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("where", ["headers", "body"])
def test_a_server_that_drips_is_waited_for_once(make: Callable[..., Any], run: str, where: str) -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    more = [b"X: 1\r\n"] * 60 if where == "headers" else [b"\r\n", *[b" "] * 60]
    with chat_server(Response(pieces=[head, *more], pause=0.1)) as server:
        model = make(server.url, timeout=0.5)
        began = time.perf_counter()
        with pytest.raises(ModelError, match=r"did not answer within 0\.5 s") as caught:
            ask(model, run)
        took = time.perf_counter() - began
    assert caught.value.retryable
    assert took < 1.5


def test_the_event_loop_goes_on_while_a_large_reply_is_read() -> None:
    numbers = [round(number * 0.1, 1) for number in range(400_000)]
    body = gzip.compress(json.dumps({**completion("hi"), "extra": numbers}).encode(), 1)

    async def run(model: OpenAIChat) -> tuple[Any, float]:
        asking = asyncio.ensure_future(model.agenerate([Generate(model, (Message("user", "x"),), max_tokens=8)]))
        longest = 0.0
        while not asking.done():
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - began)
        return (await asking)[0], longest

    with chat_server(Response(200, body, {"Content-Encoding": "gzip"})) as server:
        began = time.perf_counter()
        answer, longest = asyncio.run(run(chat(server.url)))
        whole = time.perf_counter() - began
    assert answer.text == "hi"
    assert longest < max(0.1, whole / 3)


def test_a_cancelled_request_leaves_no_thread() -> None:
    before = threading.active_count()

    async def run(model: OpenAIChat) -> None:
        async with asyncio.timeout(0.1):
            await model.agenerate([Generate(model, (Message("user", "x"),), max_tokens=8)])

    with chat_server(Response(delay=5)) as server, pytest.raises(TimeoutError):
        asyncio.run(run(chat(server.url, timeout=5)))
    assert threading.active_count() <= before + 1


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("run", RUNS)
def test_cookies_are_not_kept(make: Callable[..., Any], run: str) -> None:
    with chat_server(Response(200, completion("x"), {"Set-Cookie": "tenant=a; Path=/"})) as server:
        model = make(server.url)

        async def twice() -> None:
            for _ in range(2):
                with pytest.raises(ModelError) if make is service else nullcontext():
                    await _aask(model)

        if run == "async":
            asyncio.run(twice())
        else:
            for _ in range(2):
                with pytest.raises(ModelError) if make is service else nullcontext():
                    ask(model)
        assert len(server.headers) == 2
        assert not any("cookie" in headers for headers in server.headers)


async def _aask(model: Any) -> Any:
    if isinstance(model, OpenAIChat):
        return await model.agenerate([Generate(model, (Message("user", "hello"),), max_tokens=8)])
    return await model.aclassify([Classify(model, "q", "text")])


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_reported_with_its_target_and_not_followed(
    make: Callable[..., Any], run: str, status: int
) -> None:
    with chat_server("x") as other:
        target = other.url.replace("//", f"//user:{KEY}@") + f"/chat?key={KEY}"
        with chat_server(Response(status, "", {"Location": target})) as server:
            with pytest.raises(ModelError, match=f"{other.url}/chat,") as caught:
                ask(make(server.url, api_key=KEY), run)
            assert len(server.requests) == 1
        assert not other.requests
    assert KEY not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SSL_CERT_FILE", "/no/such/file"),
        ("HTTPS_PROXY", f"foo://user:{KEY}@proxy:1"),
        ("HTTP_PROXY", f"http://user:{KEY}@proxy:port"),
        ("ALL_PROXY", f"socks9://user:{KEY}@proxy:1"),
        ("NO_PROXY", f"[::1,{KEY}"),
        ("no_proxy", "[::1"),
    ],
)
@pytest.mark.parametrize("run", RUNS)
def test_environment_that_httpx_refuses_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, run: str
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    if variable.lower() == "no_proxy":
        monkeypatch.setenv("HTTPS_PROXY", "http://localhost:9")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=variable) as caught:
        ask(chat("http://127.0.0.1:9/v1"), run)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("run", RUNS)
def test_a_header_that_is_not_ascii_is_named_and_its_value_is_not(run: str) -> None:
    with pytest.raises(ConfigError, match="X-Tenant") as caught:
        ask(chat("http://127.0.0.1:9/v1", headers={"X-Tenant": f"ü{KEY}"}), run)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "echo",
    [KEY, KEY[:-1], KEY[1:-1], HEADER, f"Bearer {KEY}", "c2stWnE4bVcyblZ4NA==", f"{{'authorization': '{KEY}'}}"],
)
def test_a_server_that_shows_the_key_is_quoted_without_it(echo: str) -> None:
    answer = Response(401, {"error": {"message": f"bad key {echo} given"}})
    with (
        chat_server(answer) as server,
        pytest.raises(ModelError, match=r"bad key.*\*\*\*.* given") as caught,
    ):
        ask(chat(server.url, api_key=KEY, headers={"x-tenant": HEADER}))
    assert not any(secret[start : start + 8] in str(caught.value) for secret in (KEY, HEADER) for start in range(5))


@pytest.mark.parametrize(
    ("make", "pasted"),
    [
        (chat, "https://h.example/v1/chat/completions"),
        (chat, "https://h.example/v1/chat/completions/"),
        (service, "https://h.example/v1/rerank"),
        (lambda url: RerankService("m", "vllm", base_url=url), "https://h.example/v1/rerank/"),
    ],
)
def test_a_pasted_address_is_understood(make: Callable[..., Any], pasted: str) -> None:
    assert make(pasted).base_url == "https://h.example/v1"


@pytest.mark.parametrize("end", ["completions", "responses", "embeddings", "rerank"])
def test_the_address_of_another_endpoint_is_refused_with_the_right_one(end: str) -> None:
    with pytest.raises((ConfigError, ValueError), match="Give 'https://h.example/v1'"):
        chat(f"https://h.example/v1/{end}")


def test_the_address_of_a_chat_endpoint_is_refused_by_a_rerank_service() -> None:
    with pytest.raises((ConfigError, ValueError), match="requests go to /rerank. Give 'https://h.example/v1'"):
        service("https://h.example/v1/chat/completions")


@pytest.mark.parametrize("run", RUNS)
def test_a_query_of_the_address_goes_behind_the_path(run: str) -> None:
    with chat_server("hi") as server:
        ask(chat(f"{server.url}/deployments/d?api-version=2024-10-21"), run)
    assert server.paths == ["/v1/deployments/d/chat/completions?api-version=2024-10-21"]


@pytest.mark.parametrize(
    "address",
    [
        f"https://u:{KEY}@h/v1",
        f"https://h/v1?api_key={KEY}",
        f"https://h/v1?key={KEY}",
        f"https://h/v1#{KEY[:2]}",
        "https://h:99999/v1",
        "https://[h/v1",
        "https://h/v 1",
        "https://h/v1\n",
        "h/v1",
    ],
)
def test_an_address_that_no_request_can_go_to_is_refused_when_the_model_is_made(address: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        chat(address)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"message": [[]] * 100_000}},
        {"error": {"message": "x" * 10**7}},
        {"error": "x" * 10**7},
        {"error": {"message": {str(number): number for number in range(100_000)}, "code": [["x" * 10**6]]}},
        {"detail": [{"loc": ["body"] * 10**5, "msg": "m"}] * 100_000},
    ],
)
def test_a_message_of_any_size_is_cut_before_it_is_written_out(said: Any) -> None:
    began = time.process_time()
    messages = {Reply(400, said, "").message for _ in range(20)}
    assert time.process_time() - began < 0.5
    assert len(messages.pop()) < 10_000


def test_the_event_loop_gets_its_turn_between_single_bytes() -> None:
    body = Body({}, 10_000)
    turns = sum(1 for _ in range(4000) for _ in body.feed(b"x"))
    assert turns >= 4000 / 64
    assert body.end() == b"x" * 4000


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b",".join([b"[]"] * 480_000) + b"]",
        b"{" + b",".join(b'"%d":1' % number for number in range(400_000)) + b"}",
    ],
)
def test_replies_of_very_many_small_values_are_refused_before_they_are_read(text: bytes) -> None:
    with pytest.raises(Refused, match="max_reply_bytes"):
        read_json(text, 32 * 2**20)


def test_a_small_limit_leaves_room_for_the_scores_of_a_thousand_documents() -> None:
    results = [{"index": number, "relevance_score": 0.5, "document": {"text": "x"}} for number in range(1000)]
    assert len(read_json(json.dumps({"results": results}).encode(), 2**18)["results"]) == 1000
