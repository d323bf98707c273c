"""Models that think before they answer: room for their thoughts, told beforehand or learned, in every budget."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError

from support.servers import Response, chat_server, completion
from tamis import Engine, Listwise, load
from tamis.judges import Permutation, Thinking
from tamis.models import CostOnly, OpenAIChat
from tamis.models.served.habits import ROWS, THINKING_TOKENS, habits_of, thinking_switch
from tamis.values.answers import Generated
from tamis.values.calls import Generate, Message
from tamis.values.ranking import Ranking

pytest.importorskip("httpx")

TEXTS = ["a recipe", "a hill", "a tall mountain"]
NEEDED = 400
ORDER = "[3] > [2] > [1]"


def limit_of(request: Mapping[str, Any]) -> int:
    return int(request.get("max_completion_tokens", request.get("max_tokens", 0)))


def thinker(request: dict) -> dict:
    """Writes a thought of `NEEDED` tokens before its answer; a smaller limit cuts it there."""
    limit = limit_of(request)
    if limit < NEEDED:
        cut = completion("", finish_reason="length", tokens=(50, limit))
        cut["choices"][0]["message"]["reasoning_content"] = "Let me think"
        return cut
    whole = completion(ORDER, tokens=(50, NEEDED + 9))
    whole["choices"][0]["message"]["reasoning_content"] = "Let me think. The third is best."
    whole["usage"]["completion_tokens_details"] = {"reasoning_tokens": NEEDED}
    return whole


def rerank(model: Any, engine: Engine | None = None) -> Ranking:
    return (engine or Engine(retries=0, cache=None)).rerank(Listwise(model), "tall mountain", TEXTS)


async def arerank(model: Any, engine: Engine) -> Ranking:
    return await engine.arerank(Listwise(model), "tall mountain", TEXTS)


RUNS: list[Callable[[Any, Engine], Ranking]] = [
    rerank,
    lambda model, engine: asyncio.run(arerank(model, engine)),
]


# Known by name


@pytest.mark.parametrize(
    "name",
    [
        *[
            "o1",
            "o3-mini",
            "o4-mini-2025-04-16",
            "gpt-5",
            "openai/gpt-5-mini",
            "gpt-5.2-pro",
            "gpt-oss-120b",
            "gpt-oss:20b",
        ],
        *[
            "deepseek-reasoner",
            "deepseek-ai/DeepSeek-R1-0528",
            "deepseek-r1:14b",
            "us.deepseek.r1-v1:0",
            "Qwen/QwQ-32B",
        ],
        *["Qwen/Qwen3-8B", "qwen3:4b", "Qwen3-235B-A22B-Thinking-2507", "magistral-small-2506", "kimi-k2-thinking"],
        *[
            "Phi-4-reasoning",
            "zai-org/GLM-4.6",
            "MiniMax-M2",
            "gemini-2.5-flash",
            "grok-4",
            "DeepSeek-R1-Distill-Qwen-7B",
        ],
    ],
)
def test_models_that_think_are_known_by_name(name: str) -> None:
    assert habits_of(name).thinks
    assert OpenAIChat(name, base_url="http://localhost:1").thinking_tokens == THINKING_TOKENS


@pytest.mark.parametrize(
    "name",
    [
        *[
            "gpt-4o-mini",
            "gpt-4.1",
            "gpt-5-chat-latest",
            "Qwen/Qwen3-30B-A3B-Instruct-2507",
            "Qwen3-Coder-30B",
            "qwen2.5-7b",
        ],
        *[
            "deepseek-chat",
            "gemma-2-9b",
            "llama-3.1-8b-instruct",
            "grok-4-fast-non-reasoning",
            "mistral-small",
            "phi-4",
        ],
        *["gemini-2.0-flash", "Qwen3-Reranker-4B", "foo1-large", "my-model"],
    ],
)
def test_models_that_do_not_think_get_no_room(name: str) -> None:
    assert not habits_of(name).thinks
    assert OpenAIChat(name, base_url="http://localhost:1").thinking_tokens is None


def test_every_row_of_the_table_has_a_use() -> None:
    assert len({pattern for pattern, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("options", "switched"),
    [
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
        ({"chat_template_kwargs": {"thinking": True}}, True),
        ({"enable_thinking": False}, False),
        ({"thinking": {"type": "disabled"}}, False),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, True),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "low"}, True),
        ({"reasoning": {"enabled": False}}, False),
        ({"reasoning": {"effort": "none"}}, False),
        ({"think": False}, False),
        ({"top_p": 0.9, "metadata": {"type": "none"}}, None),
        (None, None),
    ],
)
def test_the_callers_own_switch_counts(options: dict[str, Any] | None, switched: bool | None) -> None:
    assert thinking_switch(options) is switched
    for name, usually in (("qwen3-8b", True), ("gpt-4o", False)):
        model = OpenAIChat(name, base_url="http://localhost:1", extra_body=options)
        assert (model.thinking_tokens is not None) is (usually if switched is None else switched)


@pytest.mark.parametrize("run", RUNS)
def test_an_ordinary_listwise_works_with_a_model_that_thinks(run: Callable[[Any, Engine], Ranking]) -> None:
    with chat_server(thinker) as server:
        model = OpenAIChat("gpt-5-mini", base_url=server.url)
        ranking = run(model, Engine(retries=0, cache=None))
    assert ranking.positions == (2, 1, 0)
    assert not ranking.degraded
    (request,) = server.requests
    assert limit_of(request) == Permutation().call(_asked(model)).max_tokens + THINKING_TOKENS
    assert ranking.usage.thoughts == NEEDED


def _asked(model: Any) -> Any:
    from tamis.judges.base import Asked

    ranking = Ranking.of("tall mountain", TEXTS)
    return Asked(model, ranking.query, ranking.kept)


# Learned


@pytest.mark.parametrize("run", RUNS)
def test_a_model_that_turns_out_to_think_is_asked_again_with_room(run: Callable[[Any, Engine], Ranking]) -> None:
    with chat_server(thinker) as server:
        model = OpenAIChat("my-model", base_url=server.url)
        engine = Engine(retries=0, cache=None)
        first = run(model, engine)
        assert len(server.requests) == 2
        second = run(model, engine)
    assert [first.positions, second.positions] == [(2, 1, 0)] * 2
    assert not first.degraded
    assert len(server.requests) == 3
    assert (first.usage.calls, first.usage.retries, second.usage.retries) == (1, 1, 0)
    assert first.usage.tokens_in == 2 * second.usage.tokens_in == 100
    assert first.usage.tokens_out == limit_of(server.requests[0]) + second.usage.tokens_out


@pytest.mark.parametrize(
    "text",
    ["<think>Let me", "<|channel|>analysis<|message|>Let me", "[THINK]Let me"],
    ids=["think", "channel", "THINK"],
)
def test_thoughts_in_the_text_are_learned_from_too(text: str) -> None:
    def answer(request: dict) -> dict:
        return completion(text, finish_reason="length") if limit_of(request) < NEEDED else completion(ORDER)

    with chat_server(answer) as server:
        assert rerank(OpenAIChat("my-model", base_url=server.url)).positions == (2, 1, 0)


def test_what_was_learned_survives_threads_and_a_fork() -> None:
    with chat_server(thinker) as server:
        model = OpenAIChat("my-model", base_url=server.url, max_concurrency=8)
        with ThreadPoolExecutor(8) as pool:
            rankings = list(pool.map(lambda _: rerank(model), range(8)))
        assert all(ranking.positions == (2, 1, 0) for ranking in rankings)
        before = len(server.requests)
        child = os.fork()
        if not child:
            os._exit(0 if rerank(model).positions == (2, 1, 0) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert len(server.requests) == before + 1


def test_another_model_object_learns_nothing_from_it() -> None:
    with chat_server(thinker) as server:
        rerank(OpenAIChat("my-model", base_url=server.url))
        assert OpenAIChat("my-model", base_url=server.url).thinking_tokens is None


# Off, given, and limits of the caller's own


@pytest.mark.parametrize("off", [0, False])
def test_without_room_the_limit_is_named_with_the_remedy(off: Any) -> None:
    with chat_server(thinker) as server:
        ranking = rerank(OpenAIChat("gpt-5-mini", base_url=server.url, thinking_budget=off))
    assert len(server.requests) == 2  # The judge asks once more.
    told = "; ".join(map(str, ranking.warnings))
    assert f"output limit of {limit_of(server.requests[0])} tokens" in told
    assert "thinking_budget" in told


def test_a_given_budget_is_added_for_any_model() -> None:
    with chat_server(thinker) as server:
        model = OpenAIChat("my-model", base_url=server.url, thinking_budget=1000)
        assert not rerank(model).degraded
        (request,) = server.requests
        assert limit_of(request) == Permutation().call(_asked(model)).max_tokens + 1000
    assert OpenAIChat("m", base_url=server.url, thinking_budget=True).thinking_budget == "auto"
    with pytest.raises(ValidationError, match="thinking_budget"):
        OpenAIChat("m", base_url=server.url, thinking_budget=-1)


def test_a_limit_in_extra_body_replaces_all_others() -> None:
    with chat_server(thinker) as server:
        model = OpenAIChat("gpt-5-mini", base_url=server.url, extra_body={"max_completion_tokens": 777})
        assert not rerank(model).degraded
    (request,) = server.requests
    assert request["max_completion_tokens"] == 777
    assert "max_tokens" not in request


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is {window} tokens. However, you requested {asked} tokens "
        "({read} in the messages, {limit} in the completion).",
        "'max_tokens' or 'max_completion_tokens' is too large: {limit}. This model's maximum context length is {window} "
        "tokens and your request has {read} input tokens ({limit} > {window} - {read}).",
        "max_tokens is too large: {limit}. This model supports at most {longest} completion tokens, whereas you "
        "provided {limit}.",
        "the request exceeds the available context size",
    ],
)
def test_thoughts_take_no_more_room_than_the_server_has(message: str) -> None:
    window, read, longest = 2000, 900, 1100

    def answer(request: dict) -> dict | Response:
        limit = limit_of(request)
        if limit <= longest:
            return thinker(request) if limit >= NEEDED else completion(ORDER)
        said = message.format(window=window, read=read, limit=limit, asked=read + limit, longest=longest)
        return Response(400, {"error": {"message": said}})

    with chat_server(answer) as server:
        model = OpenAIChat("qwen3-8b", base_url=server.url)
        assert not rerank(model).degraded
        assert len(server.requests) == 2
        assert limit_of(server.requests[1]) <= longest
        asked = Permutation().call(_asked(model)).max_tokens
        assert limit_of(server.requests[1]) == (longest if "{" in message else asked)


def test_a_small_window_keeps_room_for_passages_thoughts_and_the_answer() -> None:
    with chat_server(thinker) as server:
        model = OpenAIChat("qwen3-8b", base_url=server.url, context_window=3000)
        texts = ["many words of text " * 400] * 20
        Engine(retries=0, cache=None).rerank(Listwise(model), "tall mountain", texts)
    request = server.requests[0]
    read = sum(len(message["content"]) for message in request["messages"]) / 4
    answer = Permutation().call(_asked(model)).max_tokens
    assert limit_of(request) - answer > NEEDED
    assert read + limit_of(request) <= 3000


# Budgets


def test_a_dry_run_counts_the_room_as_an_upper_bound_and_says_so() -> None:
    model = OpenAIChat("gpt-5-mini", base_url="http://localhost:1")
    plain, usage = (Engine().dry_run(Listwise(m), "q", ["text"] * 50) for m in (CostOnly(), model))
    assert usage.thoughts == usage.calls * THINKING_TOKENS
    assert usage.tokens_out == plain.tokens_out + usage.thoughts
    assert plain.thoughts == 0


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", ["gpt-5-mini", "my-model"])
@pytest.mark.parametrize("most", [500, 3000, 6000, 20_000])
def test_a_token_budget_reserves_the_room(run: Callable[[Any, Engine], Ranking], name: str, most: int) -> None:
    with chat_server(thinker) as server:
        model = OpenAIChat(name, base_url=server.url)
        ranking = run(model, Engine(retries=0, cache=None, max_tokens=most))
    assert ranking.usage.tokens <= most
    assert sum(map(limit_of, server.requests)) <= most
    assert ranking.degraded is (most < 6000)


@pytest.mark.parametrize("run", RUNS)
def test_the_second_request_counts_in_the_budget_of_calls(run: Callable[[Any, Engine], Ranking]) -> None:
    with chat_server(thinker) as server:
        model = OpenAIChat("my-model", base_url=server.url)
        first = run(model, Engine(retries=0, cache=None, max_calls=1))
        assert len(server.requests) == 1
        assert first.degraded
        assert "output limit" in str(first.warnings[0]) or "budget" in str(first.warnings[0])
        second = run(model, Engine(retries=0, cache=None, max_calls=1))
    assert not second.degraded
    assert len(server.requests) == 2


def test_a_deliberating_judge_brings_its_own_budget() -> None:
    def answer(request: dict) -> dict:
        return completion(f"<think>Let me think.</think>{ORDER}")

    judge = Thinking(Permutation(), budget=700)
    with chat_server(answer) as server:
        model = OpenAIChat("qwen3-8b", base_url=server.url)
        stage = Listwise(model, judge=judge)
        assert not Engine(retries=0, cache=None).rerank(stage, "tall mountain", TEXTS).degraded
        answer_tokens = Permutation().call(_asked(model)).max_tokens
        assert [limit_of(request) for request in server.requests] == [700 + answer_tokens]
        usage, plain = (Engine().dry_run(Listwise(m, judge=judge), "q", TEXTS) for m in (model, CostOnly()))
        assert usage.tokens_out == plain.tokens_out
    with chat_server(lambda request: completion("<think>Let me", finish_reason="length")) as server:
        model = OpenAIChat("qwen3-8b", base_url=server.url)
        Engine(retries=0, cache=None).rerank(Listwise(model, judge=judge), "tall mountain", TEXTS)
        assert {limit_of(request) for request in server.requests} == {700 + answer_tokens, answer_tokens}


def test_without_an_engine_the_room_is_there_too() -> None:
    with chat_server(thinker) as server:
        for name in ("gpt-5-mini", "my-model"):
            model = OpenAIChat(name, base_url=server.url)
            (answer,) = model.generate([Generate(model, (Message("user", "q"),), max_tokens=20)])
            assert isinstance(answer, Generated)
            assert answer.text == ORDER
            (answer,) = model.generate([Generate(model, (Message("user", "q"),), max_tokens=20, thoughts=0)])
            assert isinstance(answer, Generated)
            assert (answer.complete, answer.limit) == (False, 20)


def test_a_preset_works_from_data() -> None:
    with chat_server(thinker) as server:
        model = {"openai": "gpt-5-mini", "base_url": server.url, "thinking_budget": 512}
        stage = load("listwise", models={"llm": model}, allow={"network:127.0.0.1"})
        assert not stage.rerank("tall mountain", TEXTS, engine=Engine(retries=0, cache=None)).degraded


# What stopped an answer


@pytest.mark.parametrize(("reason", "told"), [("content_filter", "content filter"), ("length", "output limit")])
def test_the_finish_reason_reaches_the_notice(reason: str, told: str) -> None:
    with chat_server(completion("", finish_reason=reason)) as server:
        ranking = rerank(OpenAIChat("my-model", base_url=server.url))
    assert ranking.degraded
    assert told in str(ranking.warnings[0])


def test_an_empty_reply_is_said_to_be_empty() -> None:
    with chat_server("") as server:
        assert "it is empty" in str(rerank(OpenAIChat("my-model", base_url=server.url)).warnings[0])
