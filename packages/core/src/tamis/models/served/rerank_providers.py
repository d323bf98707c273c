"""What rerank services agree on, and where they differ: one row of data each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, PositiveInt
from pydantic.dataclasses import dataclass

from tamis.models.served.addresses import Url
from tamis.models.served.http import Home
from tamis.values.scale import LOGIT, PROBABILITY, Scale

Place = tuple[str, ...]
"""Where a value is in a reply: the keys that lead to it, outermost first; none: the reply itself."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Provider:
    """How one service of the `/rerank` family is asked and answers.

    Args:
        base_url, path: where requests go.
        documents, top: names of the fields that hold the texts and how many of them to give back (`None`: no field).
        body: further fields, without which the service would cut, refuse or send back the texts.
        names_model: whether a request names the model.
        results, index, score: place of the list of results; in each, the keys of a text's position and of its score.
        scale: of the scores.
        most_documents: texts the service takes in one request by default; `None`: it states no limit.
        tokens, search_units: places of what the service bills; `None`: not reported.
        key: environment variable that holds the key of this host by the provider's own custom.
        docs: the page that says so.
    """

    base_url: Url
    path: str = "rerank"
    documents: str = "documents"
    top: str | None = "top_n"
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    names_model: bool = True
    results: Place = ("results",)
    index: str = "index"
    score: str = "relevance_score"
    scale: Scale = PROBABILITY
    most_documents: PositiveInt | None = None
    tokens: Place | None = ("usage", "total_tokens")
    search_units: Place | None = None
    key: str | None = None
    docs: str = ""

    @property
    def home(self) -> Home | None:
        """The host its key belongs to. `None` for a server people run themselves."""
        return Home(urlsplit(self.base_url).hostname or "", self.key) if self.key else None

    def request(self, model: str, query: str, texts: list[str]) -> dict[str, Any]:
        """The JSON to send."""
        named = {"model": model} if self.names_model else {}
        top = {self.top: len(texts)} if self.top else {}
        return {**named, "query": query, self.documents: texts, **top, **self.body}


PROVIDERS: Mapping[str, Provider] = {
    "cohere": Provider(
        "https://api.cohere.com/v2",
        most_documents=1000,
        tokens=None,
        search_units=("meta", "billed_units", "search_units"),
        key="CO_API_KEY",
        docs="https://docs.cohere.com/reference/rerank",
    ),
    "jina": Provider(
        "https://api.jina.ai/v1",
        body={"return_documents": False},
        key="JINA_API_KEY",
        docs="https://jina.ai/reranker",
    ),
    "voyage": Provider(
        "https://api.voyageai.com/v1",
        top="top_k",
        body={"return_documents": False, "truncation": True},
        results=("data",),
        most_documents=1000,
        key="VOYAGE_API_KEY",
        docs="https://docs.voyageai.com/docs/reranker",
    ),
    "tei": Provider(
        "http://localhost:8080",
        documents="texts",
        top=None,
        body={"truncate": True, "raw_scores": False, "return_text": False},
        names_model=False,
        results=(),
        score="score",
        most_documents=32,
        tokens=None,
        docs="https://huggingface.github.io/text-embeddings-inference",
    ),
    "infinity": Provider(
        "http://localhost:7997",
        body={"return_documents": False, "raw_scores": False},
        most_documents=2048,
        docs="https://michaelfeil.eu/infinity",
    ),
    "vllm": Provider(
        "http://localhost:8000/v1",
        body={"truncate_prompt_tokens": -1},
        docs="https://docs.vllm.ai/en/latest/models/pooling_models.html",
    ),
    "llama_cpp": Provider(
        "http://localhost:8080/v1",
        scale=LOGIT,
        docs="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    ),
}
"""By the name a pipeline gives them."""


def found(data: Any, place: Place) -> Any:
    """The value at a place of a reply; `None` when there is no such place."""
    for key in place:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data
