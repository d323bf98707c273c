"""Addresses that people paste are understood or refused with the right one, and show no secret."""

from __future__ import annotations

import logging
import pickle

import pytest
from tests.support.servers import chat_server, refusal

from tamis import Listwise
from tamis.engine import Engine
from tamis.errors import ConfigError
from tamis.models import OpenAIChat, RerankService
from tamis.models.served.addresses import Address, base_of

pytest.importorskip("httpx")

CHAT = "chat/completions"
SECRET = "Zq8mW2nVx4"


@pytest.mark.parametrize(
    ("pasted", "path", "base"),
    [
        ("https://h/v1/chat/completions", CHAT, "https://h/v1"),
        ("https://h/v1/Chat/Completions", CHAT, "https://h/v1"),
        ("https://h/v1/chat/completions/chat/completions", CHAT, "https://h/v1"),
        ("https://h/v1//chat/completions", CHAT, "https://h/v1"),
        ("https://h/v1/chat", CHAT, "https://h/v1"),
        ("https://h/d/x/chat/completions?api-version=1", CHAT, "https://h/d/x?api-version=1"),
        ("https://h/reranking", "rerank", "https://h"),
        ("https://h/v1/Rerank", "rerank", "https://h/v1"),
        ("https://h/v1/rerank", "v1/rerank", "https://h"),
        ("https://h/v1", CHAT, "https://h/v1"),
        ("https://h/models", CHAT, "https://h/models"),
        ("https://h/chat", CHAT, "https://h/chat"),
        ("https://h/score", "rerank", "https://h/score"),
    ],
)
def test_the_path_of_the_requests_is_taken_off(pasted: str, path: str, base: str) -> None:
    assert base_of(pasted, path) == base


@pytest.mark.parametrize(
    ("pasted", "path", "given"),
    [
        *((f"https://h/v1/{other}", CHAT, "https://h/v1") for other in ("messages", "models", "score", "Completions")),
        *((f"https://h/v1/{other}", CHAT, "https://h/v1") for other in ("responses", "embeddings", "rerank")),
        ("https://h/v1/reranking", CHAT, "https://h/v1"),
        ("http://localhost:11434/api/chat", CHAT, "http://localhost:11434/v1"),
        ("http://localhost:11434/api/generate", CHAT, "http://localhost:11434/v1"),
        ("https://h/v1/score", "rerank", "https://h/v1"),
        ("https://h/v1/chat", "rerank", "https://h/v1"),
        (f"https://h/v1/models?x={SECRET}", CHAT, "https://h/v1"),
    ],
)
def test_the_path_of_other_requests_is_refused_with_the_right_address(pasted: str, path: str, given: str) -> None:
    with pytest.raises(ConfigError, match=f"requests go to /{path}. Give '{given}'") as caught:
        base_of(pasted, path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        *(f"?{name}=x" for name in ("subscription-key", "code", "sig", "token", "access_token", "apiKey", "X-Sig")),
        "?a=1&subscription%2Dkey=x",
        "?a=1;key=x",
        ";key=x",
        "?sk-proj-1234abcd5678",
        "?v=sk-proj-1234abcd5678",
    ],
)
def test_keys_in_an_address_are_refused(query: str) -> None:
    for make in (OpenAIChat, RerankService):
        with pytest.raises(ValueError, match="must not hold a key; use api_key or headers"):
            make("m", base_url=f"https://h/v1{query}")


def test_values_of_a_query_are_sent_and_show_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    with chat_server(refusal(403, "no")) as server, caplog.at_level(logging.WARNING):
        model = OpenAIChat("m", base_url=f"{server.url}?tenant={SECRET}", api_key="k")
        ranking = Engine(cache=None, retries=0).rerank(Listwise(model), "q", ["a", "b"])
    assert server.paths == [f"/v1/chat/completions?tenant={SECRET}"]
    assert "?tenant=***" in repr(model)
    for shown in (repr(model), str(model), repr(ranking.warnings), caplog.text, repr(Listwise(model))):
        assert SECRET not in shown
    again = pickle.loads(pickle.dumps(model))
    assert (again, again.base_url, repr(again)) == (model, model.base_url, repr(model))


def test_an_address_is_data_like_any_text() -> None:
    model = OpenAIChat("m", base_url="https://h/v1?api-version=2024-10-21")
    assert isinstance(model.base_url, Address)
    text = Listwise(model).to_yaml()
    assert "https://h/v1?api-version=2024-10-21" in text
