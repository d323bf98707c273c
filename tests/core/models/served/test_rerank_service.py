"""RerankService against servers on loopback that speak as each provider does, with a real cross-encoder behind them."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections import Counter
from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from support.rerankers import PROTOCOLS, rerank_server, sigmoid
from support.servers import Response, chat_server, refusal
from tamis import CrossEncoder, Engine, Ranking, Reranker, load
from tamis.cli.app import app
from tamis.errors import ConfigError, ModelError
from tamis.models import OnnxCrossEncoder, RerankService
from tamis.models.served.rerank_providers import PROVIDERS
from tamis.models.served.rerank_service import shared
from tamis.parts.dump import dump
from tamis.values.answers import Failure, Score
from tamis.values.calls import Classify
from tamis.values.model import MODELS, capabilities
from tamis.values.scale import COSINE, LOGIT, PROBABILITY

pytest.importorskip("httpx")

KEY = "co-secret-0123456789"
QUERY = "How tall is Mount Everest?"
TEXTS = [
    "Knead the dough for ten minutes and let it rest.",
    "Mount Everest is 8,849 metres high.",
    "K2 is the second highest mountain.",
    "Mount Everest is 8,849 metres high.",
    "Everest was first climbed in 1953 by Hillary and Tenzing.",
]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for provider in PROVIDERS.values():
        if provider.key:
            monkeypatch.delenv(provider.key, raising=False)


def classify(model, texts, query=QUERY):
    return model.classify([Classify(model, query, text) for text in texts])


def by_length(query, texts):
    """A scorer without weights: the longer the better."""
    return [len(text) / 100 - len(query) / 100 for text in texts]


# What is sent, what comes back

GOLDEN = {
    "cohere": ("/v2/rerank", {"model": "m", "query": "q", "documents": ["b", "aa"], "top_n": 2}),
    "jina": (
        "/v1/rerank",
        {"model": "m", "query": "q", "documents": ["b", "aa"], "top_n": 2, "return_documents": False},
    ),
    "voyage": (
        "/v1/rerank",
        {
            "model": "m",
            "query": "q",
            "documents": ["b", "aa"],
            "top_k": 2,
            "return_documents": False,
            "truncation": True,
        },
    ),
    "tei": (
        "/rerank",
        {"query": "q", "texts": ["b", "aa"], "truncate": True, "raw_scores": False, "return_text": False},
    ),
    "infinity": (
        "/rerank",
        {
            "model": "m",
            "query": "q",
            "documents": ["b", "aa"],
            "top_n": 2,
            "return_documents": False,
            "raw_scores": False,
        },
    ),
    "vllm": (
        "/v1/rerank",
        {"model": "m", "query": "q", "documents": ["b", "aa"], "top_n": 2, "truncate_prompt_tokens": -1},
    ),
    "llama_cpp": ("/v1/rerank", {"model": "m", "query": "q", "documents": ["b", "aa"], "top_n": 2}),
}


def test_every_provider_has_a_golden_request():
    assert set(GOLDEN) == set(PROVIDERS) == set(PROTOCOLS)


@pytest.mark.parametrize("provider", GOLDEN)
def test_the_request_of_each_provider(provider):
    path, body = GOLDEN[provider]
    with rerank_server(provider, by_length) as (server, url):
        model = RerankService("m", provider, base_url=url, api_key=KEY)
        low, high = classify(model, ["b", "aa"], "q")
    assert (server.paths, server.requests) == ([path], [body])
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["content-type"] == "application/json"
    assert low.value < high.value


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_default_address_is_the_providers_own(provider):
    assert RerankService("m", provider).base_url == PROVIDERS[provider].base_url
    hosted = {"cohere": "api.cohere.com", "jina": "api.jina.ai", "voyage": "api.voyageai.com"}
    assert urlsplit(RerankService("m", provider).base_url).hostname == hosted.get(provider, "localhost")


@pytest.mark.model
@pytest.mark.parametrize("provider", PROVIDERS)
def test_scores_are_those_of_the_cross_encoder_behind_the_service(provider, onnx_cross_encoder_folder):
    encoder = OnnxCrossEncoder(onnx_cross_encoder_folder, threads=1)

    def logits(query, texts):
        return [answer.value for answer in classify(encoder, texts, query)]

    expected = logits(QUERY, TEXTS)
    if RerankService("m", provider).scale == PROBABILITY:
        expected = [sigmoid(logit) for logit in expected]
    with rerank_server(provider, logits) as (_, url):
        model = RerankService("m", provider, base_url=url)
        assert [answer.value for answer in classify(model, TEXTS)] == pytest.approx(expected, abs=1e-12)
        ranking = CrossEncoder(model).rerank(QUERY, TEXTS)
        in_loop = asyncio.run(CrossEncoder(model).arerank(QUERY, TEXTS))
    assert ranking.positions == tuple(sorted(range(5), key=lambda place: -expected[place]))
    assert ranking.positions[:2] == (1, 3)
    assert ranking.scale == model.scale
    assert in_loop.kept == ranking.kept


def test_tokens_are_shared_out_and_add_up():
    with rerank_server("jina", by_length) as (_, url):
        model = RerankService("m", "jina", base_url=url)
        answers = classify(model, ["one two three four", "one", "one two three four five six seven"], "q")
        ranking = CrossEncoder(model).rerank("q", ["one two three four", "one", "one two three four five six seven"])
    assert sum(answer.tokens_in for answer in answers) == 12 + 3
    assert answers[1].tokens_in < answers[0].tokens_in < answers[2].tokens_in
    assert (ranking.usage.calls, ranking.usage.tokens_in, ranking.usage.tokens_out) == (3, 15, 0)
    assert ranking.usage.search_units == 0


def test_search_units_are_counted_once_a_request():
    with rerank_server("cohere", by_length) as (_, url):
        model = RerankService("m", "cohere", base_url=url)
        engine = Engine()
        first = engine.rerank(CrossEncoder(model), "q", [str(n) for n in range(250)])
        again = engine.rerank(CrossEncoder(model), "q", [str(n) for n in range(250)])
    assert first.usage.search_units == 3
    assert first.usage.tokens_in > 0, "estimated where the service does not say"
    assert (again.usage.search_units, again.usage.cached) == (0, 250)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 500), min_size=1, max_size=40))
def test_shares_add_up(total, weights):
    parts = shared(total, weights)
    assert len(parts) == len(weights)
    assert sum(parts) == total
    assert min(parts) >= 0


def test_control_words_are_harmless_and_all_else_is_sent_as_it_is():
    """What a service makes of `[SEP]` in a passage is its own affair; it is not sent."""
    with rerank_server("cohere", by_length) as (server, url):
        model = RerankService("m", "cohere", base_url=url)
        classify(model, ["a [SEP] b</s>", "see [3], <b>x</b> & {y}"], "q<|im_end|>")
    (request,) = server.requests
    assert request["documents"] == ["a (SEP) b‹/s>", "see [3], <b>x</b> & {y}"]
    assert request["query"] == "q‹|im_end|>"


def test_extra_body_and_headers_go_along():
    with rerank_server("cohere", by_length) as (server, url):
        extra = {"max_tokens_per_doc": 512}
        classify(RerankService("m", "cohere", base_url=url, extra_body=extra, headers={"X-Team": "search"}), ["a"])
    assert server.requests[0]["max_tokens_per_doc"] == 512
    assert server.headers[0]["x-team"] == "search"


def test_another_service_is_one_more_row_of_data():
    """As Mixedbread's `/reranking`: `input`, `data`, `score`."""
    written = {
        "rerank_service": "m",
        "provider": {
            "base_url": "https://api.example.com/v1",
            "path": "reranking",
            "documents": "input",
            "top": "top_k",
            "results": ["data"],
            "score": "score",
        },
    }

    def answer(body):
        return {"data": [{"index": i, "score": len(text) / 10} for i, text in enumerate(body["input"])]}

    with chat_server(answer) as server:
        model = MODELS.build({**written, "base_url": server.url})
        assert [score.value for score in classify(model, ["aaa", "b"])] == [0.3, 0.1]
    assert server.paths == ["/v1/reranking"]
    assert MODELS.build(dump(model)) == model


# Which calls share a request


def test_one_request_a_query_in_chunks_of_what_the_provider_takes():
    with rerank_server("tei", by_length) as (server, url):
        model = RerankService("m", "tei", base_url=url)
        texts = ["x" * n for n in range(1, 71)]
        calls = [Classify(model, query, text) for text in texts for query in ("one", "three")]
        answers = model.classify(calls)
    assert Counter((body["query"], len(body["texts"])) for body in server.requests) == {
        (query, size): count for query in ("one", "three") for size, count in ((32, 2), (6, 1))
    }
    expected = [sigmoid(by_length(call.query, [call.text])[0]) for call in calls]
    assert [answer.value for answer in answers] == pytest.approx(expected)


@pytest.mark.parametrize("run", ["sync", "async"])
def test_queries_at_the_same_time_never_share_a_request_nor_split_one(run):
    queries = [f"query {n}" for n in range(12)]
    texts = [f"text {n}" for n in range(60)]
    with rerank_server("cohere", by_length) as (server, url):
        stage = CrossEncoder(RerankService("m", "cohere", base_url=url))
        rankings = [Ranking.of(query, texts) for query in queries]
        engine = Engine(cache=None)
        if run == "sync":
            done = engine.rerank_many(stage, rankings)
        else:
            done = asyncio.run(engine.arerank_many(stage, rankings))
    assert sorted(body["query"] for body in server.requests) == sorted(queries)
    assert all(len(body["documents"]) == 60 for body in server.requests)
    assert sum(ranking.usage.search_units for ranking in done) == 12
    assert not any(ranking.degraded for ranking in done)


def test_requests_go_out_at_the_same_time():
    def slow(body):
        return Response(200, {"results": [{"index": 0, "relevance_score": 0.5}]}, delay=0.3)

    with chat_server(slow) as server:
        stage = CrossEncoder(RerankService("m", "cohere", base_url=server.url, max_concurrency=4))
        Engine().rerank_many(stage, [Ranking.of(f"q{n}", ["text"]) for n in range(8)])
    assert server.most_at_once == 4


def test_equal_texts_are_told_apart_by_index():
    with rerank_server("jina", by_length) as (_, url):
        ranking = CrossEncoder(RerankService("m", "jina", base_url=url)).rerank("q", ["same", "same", "longer", "same"])
    assert ranking.positions == (2, 0, 1, 3)
    assert not ranking.degraded


# What goes wrong


def results(*pairs):
    return {"results": [{"index": index, "relevance_score": score} for index, score in pairs]}


@pytest.mark.parametrize(
    ("reply", "failed", "why"),
    [
        (results((0, 0.1), (2, 0.9)), {1}, "no score"),
        (results(), {0, 1, 2}, "no score"),
        (results((0, 0.1), (1, 0.2), (1, 0.3), (2, 0.9)), {1}, "2 scores"),
        (results((0, 0.1), (1, None), (2, 0.9)), {1}, "None"),
        ('{"results": [{"index": 0, "relevance_score": 0.1}, {"index": 1, "relevance_score": NaN}]}', {1, 2}, "nan"),
        (results((0, 0.1), (1, "0.5"), (2, 0.9)), {1}, "0.5"),
        (results((0, 0.1), (1, True), (2, 0.9)), {1}, "True"),
        (results((1, 0.1), (2, 0.2), (3, 0.9)), {0, 1, 2}, "document 3; 3 were sent, numbered from 0"),
        (results((0, 0.1), (1, 0.2), (2, 0.3), (-1, 0.9)), {0, 1, 2}, "document -1"),
        (results((0, 0.1), ("1", 0.2), (2, 0.3)), {0, 1, 2}, "'1'"),
        (results((0, 0.1), ([1], 0.2), (2, 0.3)), {0, 1, 2}, "document"),
        ({"results": [{"relevance_score": 0.5}]}, {0, 1, 2}, "document None"),
        (results((0, 7.2), (1, 0.2), (2, -3.0)), {0, 1, 2}, "7.2, which is no probability"),
    ],
)
def test_an_answer_with_holes_fails_those_calls_and_loses_nobody(reply, failed, why):
    with chat_server(Response(200, reply)) as server:
        model = RerankService("m", "cohere", base_url=server.url)
        answers = classify(model, "abc")
        ranking = CrossEncoder(model).rerank("q", list("abc"))
    problems = {place: answer for place, answer in enumerate(answers) if isinstance(answer, Failure)}
    assert set(problems) == failed
    assert all(problem.why == "malformed" for problem in problems.values())
    assert any(why in problem.message for problem in problems.values())
    assert sorted(ranking.positions) == [0, 1, 2]
    assert {ranked.position for ranked in ranking.kept if ranked.score is None} == failed
    assert ranking.degraded
    assert ranking.usage.failed == len(failed)


@pytest.mark.parametrize(
    "body", ["<html>502</html>", '{"results": [{"index": 0, "rel', "[]", "null", {"data": []}, {"results": [0.5]}]
)
def test_a_reply_that_is_no_list_of_results_is_a_retryable_error(body):
    with (
        chat_server(Response(200, body)) as server,
        pytest.raises(ModelError, match="something that is not") as caught,
    ):
        classify(RerankService("m", "cohere", base_url=server.url), "ab")
    assert caught.value.retryable


def test_an_error_inside_a_200():
    with (
        chat_server(Response(200, {"error": {"message": "upstream", "code": 429}})) as server,
        pytest.raises(ModelError, match="upstream") as caught,
    ):
        classify(RerankService("m", "cohere", base_url=server.url), "ab")
    assert caught.value.retryable


@pytest.mark.parametrize("run", ["sync", "async"])
@pytest.mark.parametrize(
    ("fault", "asked", "said"),
    [
        (refusal(401, "invalid api token"), 1, "invalid api token"),
        (Response(413, {"error": "batch size 64 > maximum allowed batch size 32"}), 1, "maximum allowed batch size"),
        (Response(422, {"detail": [{"loc": ["body", "model"], "msg": "Field required"}]}), 1, "Field required"),
        (refusal(500, "out of memory"), 3, "out of memory"),
        (Response(delay=30), 3, "did not answer within 0.3 s"),
        (Response(reset=True), 3, "connection"),
        (Response(200, '{"results": [{"ind'), 3, "not JSON"),
    ],
)
def test_under_the_engine_a_fault_degrades_and_keeps_the_order(run, fault, asked, said):
    with chat_server(fault) as server:
        timeout = 0.3 if fault.delay else 30
        stage = CrossEncoder(RerankService("m", "cohere", base_url=server.url, timeout=timeout))
        engine = Engine(backoff=0.01)
        if run == "sync":
            ranking = engine.rerank(stage, "q", list("abc"))
        else:
            ranking = asyncio.run(engine.arerank(stage, "q", list("abc")))
    assert ranking.positions == (0, 1, 2)
    assert ranking.degraded
    assert said in str(ranking.warnings[0])
    assert (ranking.usage.failed, len(server.requests)) == (3, asked)


@pytest.mark.parametrize("run", ["sync", "async"])
def test_the_engine_waits_as_told_and_asks_again(run):
    good = results((0, 0.1), (1, 0.9))
    with chat_server([refusal(429, "slow down", Retry_After="0.2"), good]) as server:
        stage, engine = CrossEncoder(RerankService("m", "cohere", base_url=server.url)), Engine(backoff=0.01)
        if run == "sync":
            ranking = engine.rerank(stage, "q", list("ab"))
        else:
            ranking = asyncio.run(engine.arerank(stage, "q", list("ab")))
    assert ranking.positions == (1, 0)
    assert (ranking.usage.retries, ranking.usage.calls) == (1, 2)
    assert ranking.usage.seconds >= 0.2


def test_a_failed_request_costs_only_its_own_documents():
    def answer(body):
        if "bad" in body["texts"]:
            return Response(400, {"error": "tokenizer failed"})
        return [{"index": i, "score": 0.5} for i in range(len(body["texts"]))]

    texts = [*map(str, range(40)), "bad"]
    with chat_server(answer) as server:
        ranking = CrossEncoder(RerankService("m", "tei", base_url=server.url)).rerank("q", texts)
    assert ranking.usage.failed == 9
    assert {ranked.position for ranked in ranking.kept if ranked.score is None} == set(range(32, 41))


# Keys


@pytest.mark.parametrize("provider", ["cohere", "jina", "voyage"])
def test_a_providers_key_goes_to_its_own_host_only(provider, monkeypatch):
    variable = PROVIDERS[provider].key
    with pytest.raises(ConfigError, match=variable):
        classify(RerankService("m", provider), ["a"])
    monkeypatch.setenv(variable, KEY)
    assert RerankService("m", provider)._headers() == {"Authorization": f"Bearer {KEY}"}
    with rerank_server(provider, by_length) as (server, url):
        classify(RerankService("m", provider, base_url=url), ["a"])
        classify(RerankService("m", provider, base_url=url, api_key_env=variable), ["a"])
    assert [headers.get("authorization") for headers in server.headers] == [None, f"Bearer {KEY}"]


def test_the_key_shows_nowhere():
    with chat_server(refusal(401, f"invalid api token {KEY} of team-secret")) as server:
        model = RerankService("m", "cohere", base_url=server.url, api_key=KEY, headers={"X-Team": "team-secret"})
        with pytest.raises(ModelError) as caught:
            classify(model, ["a"])
    shown = "".join(traceback.format_exception(caught.value)) + repr(model) + json.dumps(dump(model)) + model.cache_key
    assert KEY not in shown
    assert "team-secret" not in shown


# As data


def test_it_can_be_written_as_data_and_read_back():
    model = MODELS.build({"rerank_service": "rerank-v3.5", "provider": "cohere", "api_key": KEY})
    assert model == RerankService("rerank-v3.5", "cohere", api_key=KEY)
    assert MODELS.build(dump(model)) == RerankService("rerank-v3.5", "cohere")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"provider": "coheer"}, "Did you mean 'cohere'"),
        ({}, "provider: Field required"),
        ({"provider": "tei", "base_url": "gpu:8080"}, "http://"),
        ({"provider": "tei", "top_n": 5}, "top_n"),
    ],
)
def test_wrong_data_says_what_is_wrong(wrong, said):
    with pytest.raises(ConfigError, match=said):
        MODELS.build({"rerank_service": "m", **wrong})


def test_what_it_declares():
    model = RerankService("bge-reranker-v2-m3", "vllm", max_documents=64)
    assert capabilities(model) == ("classify",)
    assert (model.name, model.max_batch, model.max_concurrency) == ("bge-reranker-v2-m3", 64, 8)
    assert {name: RerankService("m", name).max_batch for name in PROVIDERS} == {
        name: 32 if name == "tei" else 100 for name in PROVIDERS
    }
    assert RerankService("m", "llama_cpp").scale == LOGIT
    assert RerankService("m", "llama_cpp", scale=PROBABILITY).scale == PROBABILITY
    keys = {RerankService("m", "cohere").cache_key, RerankService("n", "cohere").cache_key}
    assert len(keys | {RerankService("m", "jina").cache_key}) == 3
    assert RerankService("m", "cohere", extra_body={"max_tokens_per_doc": 9}).cache_key not in keys


def test_a_model_that_reads_documents_together_is_never_cached():
    model = RerankService("jina-reranker-v3", "jina")
    assert model.cache_key is None
    assert model.scale == COSINE
    assert RerankService("jinaai/jina-reranker-v3", "vllm").cache_key is None


def test_a_pipeline_holds_it_by_name_and_in_yaml():
    model = RerankService("m", "cohere")
    assert load("cross-encoder", models={"cross_encoder": model}).stages[0].model is model
    written = [{"cross_encoder": {"model": {"rerank_service": "m", "provider": "cohere"}}}]
    stage = load(written, allow={"network", "environment"})
    assert stage.stages[0].model == model


WRITTEN = "{{rerank_service: m, provider: cohere, base_url: '{url}'}}"


def test_by_name_and_as_data_it_serves_what_adapters_hold():
    with rerank_server("cohere", by_length) as (_, url):
        written = yaml.safe_load(WRITTEN.format(url=url))
        reranker = Reranker("cross-encoder", models={"cross_encoder": written}, top_n=1)
        assert reranker.rerank("q", ["a", "aaa", "aa"]).positions == (1,)
        assert asyncio.run(reranker.arerank("q", ["a", "aaa", "aa"])).positions == (1,)


def test_from_the_command_line(tmp_path):
    docs = tmp_path / "docs.txt"
    docs.write_text("short\nrather long\n", encoding="utf-8")
    with rerank_server("cohere", by_length) as (_, url):
        words = ["-m", f"cross_encoder={WRITTEN.format(url=url)}", "-q", "q", "-d", str(docs), "--json"]
        result = CliRunner().invoke(app, ["rerank", "cross-encoder", *words])
    assert [json.loads(line)["position"] for line in result.output.splitlines()] == [1, 0]


# The real server of the protocol


@pytest.mark.model
def test_llama_cpp_serves_it(llm_rerank_server):
    """SmolLM2 has no ranking head: its scores mean nothing, but the protocol, its order and its bill are real."""
    model = RerankService(llm_rerank_server.model, "llama_cpp", base_url=llm_rerank_server.url, timeout=60)
    stage = CrossEncoder(model)
    ranking = stage.rerank(QUERY, TEXTS)
    in_loop = asyncio.run(stage.arerank(QUERY, TEXTS))
    one_by_one = [classify(model, [text])[0] for text in TEXTS]
    assert not ranking.degraded
    assert isinstance(one_by_one[0], Score)
    by_position = {ranked.position: ranked.score for ranked in ranking.kept}
    assert by_position[1] == pytest.approx(by_position[3], abs=1e-3)
    assert [by_position[n] for n in range(5)] == pytest.approx([answer.value for answer in one_by_one], abs=1e-2)
    assert in_loop.positions == ranking.positions
    billed = {text: answer.tokens_in for text, answer in zip(TEXTS, one_by_one, strict=True)}
    assert ranking.usage.tokens_in == sum(billed.values()), "equal texts are asked once"
    assert ranking.scale == LOGIT


@pytest.mark.model
def test_llama_cpp_refuses_what_is_too_long(llm_rerank_server):
    model = RerankService(llm_rerank_server.model, "llama_cpp", base_url=llm_rerank_server.url, timeout=60)
    ranking = CrossEncoder(model).rerank(QUERY, ["short", "word " * 3000])
    assert ranking.positions == (0, 1)
    assert "context size" in str(ranking.warnings[0])
