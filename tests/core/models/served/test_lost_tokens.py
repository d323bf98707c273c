"""Replies that are no answers cost tokens, too: what servers report is charged, what they may have written stays
reserved."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.servers import Response, chat_server, completion, first_tokens, refusal

from tamis import Listwise, Pointwise, Ranking
from tamis.engine import Engine
from tamis.engine.cost import kept
from tamis.errors import ModelError
from tamis.models import OpenAIChat, RerankService
from tamis.values.answers import Failure, Generated
from tamis.values.calls import ChoiceLogprobs, Classify, Generate, Message

pytest.importorskip("httpx")

USAGE = {"prompt_tokens": 300, "completion_tokens": 2000}
TEXTS = [f"text {number}" for number in range(20)]
ALIEN = {**first_tokens({"zz": -0.1}), "usage": USAGE}
NO_ANSWERS: dict[str, Any] = {
    "no choices": {"choices": [], "usage": USAGE},
    "an error in HTTP 200": {"error": {"message": "x"}, "usage": USAGE},
    "HTTP 500": Response(500, {"error": {"message": "x"}, "usage": USAGE}),
}


def rerank(stage: Any, run: str = "sync", **options: Any) -> Ranking:
    engine = Engine(cache=None, **options)
    return engine.rerank(stage, "q", TEXTS) if run == "sync" else asyncio.run(engine.arerank(stage, "q", TEXTS))


@pytest.mark.parametrize("run", ["sync", "async"])
@pytest.mark.parametrize("reply", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_tokens_reported_with_no_answer_are_charged_and_counted(reply: Any, run: str) -> None:
    with chat_server(reply) as server:
        model = OpenAIChat("m", base_url=server.url, max_concurrency=1, structured="none")
        ranking = rerank(Listwise(model, window=4, stride=2), run, max_tokens=3000, retries=5, backoff=0.01)
    assert len(server.requests) == 2
    assert (ranking.usage.tokens_in, ranking.usage.tokens_out) == (600, 4000)
    assert ranking.degraded


@pytest.mark.parametrize("reply", [{**completion("Yes"), "usage": USAGE}, ALIEN], ids=["no logprobs", "unknown labels"])
def test_choices_that_are_not_shown_are_counted(reply: Any) -> None:
    with chat_server(reply) as server:
        ranking = rerank(Pointwise(OpenAIChat("m", base_url=server.url)), max_tokens=10**6)
    asked = len(server.requests)
    assert asked > 2
    assert (ranking.usage.tokens_in, ranking.usage.tokens_out) == (asked * 300, asked * 2000)


def error_of(reply: Any, **options: Any) -> ModelError:
    with chat_server(reply) as server:
        model = OpenAIChat("m", base_url=server.url, **options)
        with pytest.raises(ModelError) as caught:
            model.generate([Generate(model, (Message("user", "hello"),), max_tokens=8)])
    return caught.value


@pytest.mark.parametrize(
    ("reply", "wrote"),
    [
        ({"choices": []}, True),
        (Response(200, "no JSON"), True),
        (Response(200, ""), True),
        (Response(200, {"error": {"message": "cut off"}}), True),
        (Response(200, {"error": {"message": "slow down", "code": 429}}), False),
        (Response(reset=True), True),
        (Response(504, "gateway timeout"), True),
        (refusal(408, "took too long"), True),
        (refusal(500, "out of memory"), False),
        *((refusal(status, "no"), False) for status in (400, 401, 404, 413, 422, 429, 503)),
    ],
)
def test_whether_a_model_may_have_written(reply: Any, wrote: bool) -> None:
    error = error_of(reply)
    assert error.wrote is wrote
    assert (error.tokens_in, error.tokens_out) == (None, None)


def test_a_timeout_may_have_written_and_a_refused_connection_not() -> None:
    assert error_of(Response(delay=1.0), timeout=0.1).wrote
    model = OpenAIChat("m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="cannot connect") as caught:
        model.generate([Generate(model, (Message("user", "hello"),))])
    assert not caught.value.wrote


def test_what_may_have_been_written_stays_reserved() -> None:
    call = Generate(None, (Message("user", "hello"),), max_tokens=900)
    reserved, read = call.tokens_at_most(), call.tokens_read()
    assert kept(call, Failure("error", "no"), reserved) == read
    assert kept(call, Failure("error", "no", wrote=True), reserved) == reserved
    assert kept(call, Failure("error", "no", tokens_in=700, tokens_out=5, wrote=True), reserved) == 705
    assert kept(call, Failure("error", "no", tokens_in=700, wrote=True), reserved) >= 700 + 900
    assert kept(call, Failure("error", "no", tokens_in=700), reserved) == 700
    assert kept(call, Failure("error", "no", tokens_in=0, tokens_out=5), reserved) >= read + 5
    assert kept(call, Failure("error", "no", wrote=True), 0) == 0


def test_tokens_of_an_answer_whose_second_request_failed_are_reported() -> None:
    replies = [completion("<think>hm", finish_reason="length", tokens=(50, 9)), {"choices": [], "usage": USAGE}]
    with chat_server(replies) as server:
        model = OpenAIChat("m", base_url=server.url)
        with pytest.raises(ModelError) as caught:
            model.generate([Generate(model, (Message("user", "hello"),), max_tokens=9)])
    assert (caught.value.tokens_in, caught.value.tokens_out) == (350, 2009)


def test_choices_report_their_tokens_with_the_failure() -> None:
    with chat_server(ALIEN) as server:
        model = OpenAIChat("m", base_url=server.url)
        (failure,) = model.choice_logprobs([ChoiceLogprobs(model, (Message("user", "hello"),), ("Yes", "No"))])
    assert isinstance(failure, Failure)
    assert (failure.tokens_in, failure.tokens_out, failure.wrote) == (300, 2000, True)


def test_a_service_reports_its_tokens_with_the_failure() -> None:
    reply = Response(200, {"results": [{"index": 0}, {"index": 1}], "usage": {"total_tokens": 90}})
    with chat_server(reply) as server:
        model = RerankService("m", "jina", base_url=server.url)
        failures = model.classify([Classify(model, "q", "text"), Classify(model, "q", "other")])
    assert all(isinstance(failure, Failure) for failure in failures)
    assert sum(failure.tokens_in or 0 for failure in failures) == 90


class Reports:
    """A model whose every answer is unusable, and which says what it cost."""

    name = "reports"
    max_batch = 3

    def generate(self, calls: Any) -> list[Any]:
        return [Generated(None, tokens_in=500, tokens_out=70) for _ in calls]  # type: ignore[arg-type]


class Fails(Reports):
    def generate(self, calls: Any) -> list[Any]:
        raise ModelError("no", tokens_in=500 * len(calls), tokens_out=70 * len(calls))


@pytest.mark.parametrize("make", [Reports, Fails])
def test_models_of_ones_own_report_what_failed_calls_cost(make: Any) -> None:
    ranking = rerank(Listwise(make(), window=4, stride=2), retries=0)
    assert ranking.usage.failed
    assert ranking.usage.tokens_in == 500 * ranking.usage.failed
    assert ranking.usage.tokens_out == 70 * ranking.usage.failed
