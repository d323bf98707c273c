"""Rerank services on loopback: each provider's documented protocol, as strict as the service, before a real scorer.

Written from the providers' documentation and sources, not from `tamis.models.served.rerank_providers`, so that neither
repeats the other's mistakes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.servers import ChatServer, Response, chat_server

Logits = Callable[[str, Sequence[str]], Sequence[float]]
"""A cross-encoder: query and texts to one logit a text."""


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def ranked(scores: Sequence[float], field: str, top: int) -> list[dict]:
    """Results best first, as every service gives them."""
    results = [{"index": index, field: score} for index, score in enumerate(scores)]
    return sorted(results, key=lambda result: -result[field])[:top]


def checked(body: dict, needed: set[str], optional: set[str], error: Callable[[str], Any]) -> Response | None:
    """The refusal of a body with fields missing or not known."""
    if missing := needed - body.keys():
        return Response(422, error(f"missing field {min(missing)}"))
    if strange := body.keys() - needed - optional:
        return Response(422, error(f"unknown field {min(strange)}"))
    return None


def words(body: dict, texts: Sequence[str]) -> int:
    """Tokens billed, as far as a test cares."""
    return sum(len(body["query"].split()) + len(text.split()) for text in texts)


def cohere(body: dict, logits: Logits) -> Any:
    bad = checked(body, {"model", "query", "documents"}, {"top_n", "max_tokens_per_doc", "priority"}, message)
    if bad:
        return bad
    texts = body["documents"]
    results = ranked([sigmoid(x) for x in logits(body["query"], texts)], "relevance_score", body.get("top_n", 10**6))
    units = {"search_units": math.ceil(len(texts) / 100)}
    return {"results": results, "id": "r1", "meta": {"api_version": {"version": "2"}, "billed_units": units}}


def message(text: str) -> dict:
    return {"message": text}


def jina(body: dict, logits: Logits) -> Any:
    bad = checked(body, {"model", "query", "documents"}, {"top_n", "return_documents"}, detail)
    if bad:
        return bad
    texts = body["documents"]
    results = ranked([sigmoid(x) for x in logits(body["query"], texts)], "relevance_score", body.get("top_n", 10**6))
    if body.get("return_documents", True):
        results = [{**result, "document": {"text": texts[result["index"]]}} for result in results]
    usage = {"total_tokens": words(body, texts)}
    return {"model": body["model"], "object": "list", "usage": usage, "results": results}


def detail(text: str) -> dict:
    return {"detail": text}


def voyage(body: dict, logits: Logits) -> Any:
    optional = {"top_k", "return_documents", "truncation"}
    if bad := checked(body, {"model", "query", "documents"}, optional, detail):
        return bad
    texts = body["documents"]
    if len(texts) > 1000:
        return Response(400, detail("The number of documents cannot exceed 1000."))
    results = ranked([sigmoid(x) for x in logits(body["query"], texts)], "relevance_score", body.get("top_k", 10**6))
    usage = {"total_tokens": words(body, texts)}
    return {"object": "list", "data": results, "model": body["model"], "usage": usage}


def tei(body: dict, logits: Logits) -> Any:
    optional = {"truncate", "truncation_direction", "raw_scores", "return_text"}
    if bad := checked(body, {"query", "texts"}, optional, validation):
        return bad
    texts = body["texts"]
    if len(texts) > 32:
        return Response(413, validation(f"batch size {len(texts)} > maximum allowed batch size 32"))
    values = logits(body["query"], texts)
    values = values if body.get("raw_scores") else [sigmoid(x) for x in values]
    return ranked(values, "score", 10**6)


def validation(text: str) -> dict:
    return {"error": text, "error_type": "Validation"}


def infinity(body: dict, logits: Logits) -> Any:
    optional = {"model", "top_n", "return_documents", "raw_scores"}
    if bad := checked(body, {"query", "documents"}, optional, lambda text: {"error": {"message": text}}):
        return bad
    texts = body["documents"]
    values = logits(body["query"], texts)
    values = values if body.get("raw_scores") else [sigmoid(x) for x in values]
    usage = {"prompt_tokens": words(body, texts), "total_tokens": words(body, texts)}
    results = ranked(values, "relevance_score", body.get("top_n") or 10**6)
    return {"object": "rerank", "results": results, "model": body["model"], "usage": usage, "id": "i", "created": 1}


def vllm(body: dict, logits: Logits) -> Any:
    texts = body["documents"]
    results = ranked([sigmoid(x) for x in logits(body["query"], texts)], "relevance_score", body["top_n"] or 10**6)
    results = [{**result, "document": {"text": texts[result["index"]]}} for result in results]
    usage = {"prompt_tokens": words(body, texts), "total_tokens": words(body, texts)}
    return {"id": "score-1", "model": body["model"], "usage": usage, "results": results}


def llama_cpp(body: dict, logits: Logits) -> Any:
    texts = body["documents"]
    results = ranked(logits(body["query"], texts), "relevance_score", body.get("top_n", 10**6))
    usage = {"prompt_tokens": words(body, texts), "total_tokens": words(body, texts)}
    return {"model": body["model"], "object": "list", "usage": usage, "results": results}


@dataclass(frozen=True)
class Protocol:
    """`path`: where the service takes reranks; `base`: the part of it that belongs to the address given to a client."""

    answer: Callable[[dict, Logits], Any]
    path: str
    base: str = ""


PROTOCOLS = {
    "cohere": Protocol(cohere, "/v2/rerank", "/v2"),
    "jina": Protocol(jina, "/v1/rerank", "/v1"),
    "voyage": Protocol(voyage, "/v1/rerank", "/v1"),
    "tei": Protocol(tei, "/rerank"),
    "infinity": Protocol(infinity, "/rerank"),
    "vllm": Protocol(vllm, "/v1/rerank", "/v1"),
    "llama_cpp": Protocol(llama_cpp, "/v1/rerank", "/v1"),
}


@contextmanager
def rerank_server(provider: str, logits: Logits) -> Iterator[tuple[ChatServer, str]]:
    """A server that speaks as `provider` does, and the address to give to a client."""
    protocol = PROTOCOLS[provider]

    def answer(body: dict) -> Any:
        answered = protocol.answer(body, logits)
        return answered if isinstance(answered, Response) else Response(200, answered)

    with chat_server(answer) as server:
        yield server, server.url.removesuffix("/v1") + protocol.base
