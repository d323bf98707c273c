"""The ranker component: Haystack documents in, a tamis pipeline, Haystack documents out.

```python
from haystack_integrations.components.rankers.tamis import TamisRanker

pipe.add_component("ranker", TamisRanker("rebel", chat_generator=OpenAIChatGenerator(), top_k=5))
pipe.connect("retriever.documents", "ranker.documents")
```
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.components.embedders.types import TextEmbedder
from haystack.components.generators.chat.types import ChatGenerator
from haystack.core.errors import SerializationError
from haystack.core.serialization import component_to_dict
from haystack.utils.deserialization import deserialize_component_inplace
from haystack_integrations.components.rankers.tamis.models import HaystackChat, HaystackTextEmbedder, as_model

from tamis import Candidate, Engine, Query, Ranking, Reranker
from tamis.adapters import arguments
from tamis.adapters.models import named
from tamis.adapters.results import OnRanking, announce, results
from tamis.errors import ConfigError
from tamis.parts.permissions import Allow
from tamis.stage.presets import PRESETS
from tamis.values.ranking import finite
from tamis.values.similarity import Scores, checked, rise, similarities

log = logging.getLogger(__name__)
DOCUMENTS = "Pass what a retriever returned, or [Document(content=...)]."


@component
class TamisRanker:
    """Ranks documents for a query, best first, and drops those that do not help to answer it.

    What could not be judged keeps its incoming order and has no score; `diagnostics` says so.
    """

    # An agent that has this component as a tool reads the lines above: the example is in the module's docstring.

    def __init__(
        self,
        pipeline: Any = "default",
        *,
        chat_generator: ChatGenerator | None = None,
        embedder: TextEmbedder | None = None,
        models: Mapping[str, Any] | None = None,
        top_k: int | None = None,
        score_threshold: float | None = None,
        engine: Engine | Mapping[str, Any] | None = None,
        scores: Scores = "detect",
        meta_fields_to_embed: Sequence[str] = (),
        explain: bool = False,
        raise_on_failure: bool = False,
        on_ranking: OnRanking | None = None,
        allow: Allow | None = None,
    ) -> None:
        """Check everything that can be checked without a model; clients and secrets wait for `warm_up`.

        :param pipeline: a tamis stage, the name of a ready pipeline (`tamis.presets()`), plain data, or a path to YAML.
            The default needs no model.
        :param chat_generator: the model a pipeline calls `llm`.
        :param embedder: a text embedder, the model a pipeline calls `embedder`.
        :param models: further models by the names the pipeline calls them, Haystack's or tamis's. Not serialised:
            `to_dict` refuses them.
        :param top_k: how many documents to return at most; `None` leaves that to the pipeline.
        :param score_threshold: the lowest score to return, inclusive, on the pipeline's scale. Applied before `top_k`.
        :param engine: options of `tamis.Engine`, such as `{"deadline": 5.0, "max_calls": 20}`, or an `Engine` to share,
            which `to_dict` refuses.
        :param scores: what the scores of incoming documents are: `"similarity"`, `"distance"` or `"ignore"`.
            `"detect"`: similarities, unless they rise along the incoming order: then they are distances, and
            `diagnostics` says so.
        :param meta_fields_to_embed: meta fields that are ranked along with the content, one per line in front of it.
        :param explain: put the reasons for its rank into the meta of each document, under `tamis`: `criteria`,
            `reason`, `retrieval_rank`, `retrieval_score`, `lifted_by` (see `tamis.adapters.results.explain`).
        :param raise_on_failure: raise `tamis.errors.DegradedError` when some document could not be judged.
        :param on_ranking: a function called once per run with the `tamis.Ranking`: what was dropped and why, usage,
            warnings. What it raises is logged and loses no result. Positions are indices into the documents without
            repeated ids. Not serialised: a component that was loaded has none.
        :param allow: what the pipeline may do beyond computing (open addresses and files, read keys from environment
            variables, run code that comes with weights), as for `tamis.load`. Default: everything for a pipeline given
            as plain data in Python, nothing for a YAML file. Not serialised: a component that is loaded from data is
            permitted nothing, unless a `component_pre_init` callback of Haystack sets `allow`.
        :raises ValueError: for a wrong argument, which the message names; for a pipeline that cannot be built.
        :raises TypeError: if a model cannot do what the pipeline asks of it.
        """
        self.pipeline = pipeline
        self.chat_generator = chat_generator
        self.embedder = embedder
        self.models = models
        self.top_k = arguments.limit("top_k", top_k, ConfigError)
        self.score_threshold = arguments.threshold("score_threshold", score_threshold, ConfigError)
        self.engine = engine
        self.scores: Scores = checked(scores, ConfigError)
        self.meta_fields_to_embed = arguments.names("meta_fields_to_embed", meta_fields_to_embed, ConfigError)
        self.explain = arguments.flag("explain", explain, ConfigError)
        self.raise_on_failure = arguments.flag("raise_on_failure", raise_on_failure, ConfigError)
        self.on_ranking = arguments.callback("on_ranking", on_ranking, ConfigError)
        self.allow = allow
        self._reranker = self._build()

    def _build(self) -> Reranker:
        own: dict[str, Any] = {}
        if self.chat_generator is not None:
            own["llm"] = HaystackChat(self.chat_generator)
        if self.embedder is not None:
            own["embedder"] = HaystackTextEmbedder(self.embedder)
        self._models = named(self.models, as_model, **own)
        engine = self.engine
        if self.raise_on_failure:
            if isinstance(engine, Engine):
                raise ConfigError(
                    "raise_on_failure=True cannot change an Engine that is shared: make it with "
                    'Engine(on_failure="raise"), or give engine as a mapping of options'
                )
            engine = {**(engine or {}), "on_failure": "raise"}
        return Reranker(
            self.pipeline,
            models=self._models,
            top_n=self.top_k,
            threshold=self.score_threshold,
            engine=engine,
            scores=self.scores,
            allow=arguments.permitted(self.pipeline, self.allow),
        )

    @component.output_types(documents=list[Document], diagnostics=dict[str, Any])
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None, score_threshold: float | None = None
    ) -> dict[str, Any]:
        """Rank `documents` for `query`. Of documents with the same id only the best is ranked: by its score, or by its
        place where scores are to be ignored.

        :param query: the question to rank for; must not be empty.
        :param documents: the documents to rank. They are never changed: copies with new scores come back, and where a
            token budget cut one, with the shorter content and `truncated` in its meta.
        :param top_k: the maximum number of documents to return, at least 1. Overrides the component's own for this run.
        :param score_threshold: the lowest score to return, inclusive. Overrides the component's own for this run.
        :returns: `documents`, best first, scores as Python floats (`None` where there is none), and `diagnostics`,
            plain data: `kept` (`id`, `score`), `dropped` (`id`, `why`, `score`), `warnings` (`message`, `ids`),
            `degraded`, `abstained`, `confidence`, `scale`, `usage`.
        :raises ValueError: for a wrong argument, which the message names.
        """
        asked, limits, given = Query.of(query), _limits(top_k, score_threshold), _documents(documents)
        places, repeated = _by_id(given, self.scores)
        if places:
            self.warm_up()
        candidates = [self._candidate(given[place]) for place in places]
        ranking = announce(self.on_ranking, self._reranker.rerank(asked, candidates, **limits), log)
        return self._output(ranking, given, candidates, places, repeated)

    @component.output_types(documents=list[Document], diagnostics=dict[str, Any])
    async def run_async(
        self, query: str, documents: list[Document], top_k: int | None = None, score_threshold: float | None = None
    ) -> dict[str, Any]:
        """As `run`, without blocking the event loop, also where the chat generator has no `run_async`.

        :param query: the question to rank for; must not be empty.
        :param documents: the documents to rank. They are never changed: copies with new scores come back.
        :param top_k: the maximum number of documents to return, at least 1. Overrides the component's own for this run.
        :param score_threshold: the lowest score to return, inclusive. Overrides the component's own for this run.
        :returns: as `run`.
        :raises ValueError: for a wrong argument, which the message names.
        """
        asked, limits, given = Query.of(query), _limits(top_k, score_threshold), _documents(documents)
        places, repeated = _by_id(given, self.scores)
        if places:
            await self.warm_up_async()
        candidates = [self._candidate(given[place]) for place in places]
        ranking = announce(self.on_ranking, await self._reranker.arerank(asked, candidates, **limits), log)
        return self._output(ranking, given, candidates, places, repeated)

    def _candidate(self, document: Document) -> Candidate:
        return Candidate(
            self._shown(document),
            id=document.id,
            score=document.score,
            metadata=document.meta,
            vector=None if document.embedding is None else tuple(document.embedding),
        )

    def _shown(self, document: Document) -> str:
        fields = [document.meta.get(name) for name in self.meta_fields_to_embed]
        return "\n".join([*(str(value) for value in fields if value is not None), document.content or ""])

    def _output(
        self,
        ranking: Ranking,
        given: Sequence[Document],
        candidates: Sequence[Candidate],
        places: Sequence[int],
        repeated: Sequence[int],
    ) -> dict[str, Any]:
        """`places`, `repeated`: indices into `given` of what was ranked, and of what has the id of a better one."""
        distinct = [given[place] for place in places]

        def content(position: int) -> str:
            return distinct[position].content or ""

        documents = []
        for result in results(ranking, candidates, content, explained=self.explain, places=places):
            document = distinct[result.position]
            text = result.text if result.truncated else document.content
            meta = {**document.meta, **result.notes} if result.notes else document.meta
            documents.append(replace(document, id=document.id, content=text, score=result.score, meta=meta))
        dropped = [(distinct[d.position].id, d.why, d.ranked.score) for d in ranking.dropped]
        dropped += [(given[place].id, "duplicate", given[place].score) for place in repeated]
        diagnostics = {
            "kept": [{"id": document.id, "score": document.score} for document in documents],
            "dropped": [dict(zip(("id", "why", "score"), entry, strict=True)) for entry in dropped],
            "warnings": [
                {"message": notice.message, "ids": [distinct[position].id for position in notice.positions]}
                for notice in ranking.warnings
            ],
            "degraded": ranking.degraded,
            "abstained": ranking.abstained,
            "confidence": ranking.confidence,
            "scale": ranking.scale.kind,
            "usage": asdict(ranking.usage),
        }
        return {"documents": documents, "diagnostics": diagnostics}

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the pipeline as the name or path it was given by, else under the key `stage`.

        `on_ranking` is left out.

        :raises SerializationError: with `models` or an `Engine`, which are live objects.
        """
        if self.models:
            raise SerializationError(
                f"TamisRanker cannot serialise models={sorted(self.models)}: write them into the pipeline as data "
                "(such as `model: {openai: name}`), or give Haystack components as `chat_generator` and `embedder`."
            )
        try:
            engine = arguments.engine_data(self.engine, ConfigError)
        except ConfigError as error:
            raise SerializationError(f"TamisRanker cannot serialise its engine: {error}") from None
        data = self._reranker.to_data()
        data = data.get("stage", data) if isinstance(data, dict) else data
        nested = {"chat_generator": self.chat_generator, "embedder": self.embedder}
        return default_to_dict(
            self,
            pipeline=data if isinstance(data, str) else {"stage": data},
            **{name: None if part is None else component_to_dict(part, name) for name, part in nested.items()},
            top_k=self.top_k,
            score_threshold=self.score_threshold,
            engine=engine,
            scores=self.scores,
            meta_fields_to_embed=self.meta_fields_to_embed,
            explain=self.explain,
            raise_on_failure=self.raise_on_failure,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TamisRanker:
        """The component that `to_dict` described. `data` is left as it was.

        :raises ValueError: for a pipeline that would do more than compute; see `allow`.
        """
        parameters = {**data.get("init_parameters", {}), "allow": ()}  # Data cannot permit itself anything.
        for name in ("chat_generator", "embedder"):
            if parameters.get(name) is not None:
                deserialize_component_inplace(parameters, key=name)
        ranker: TamisRanker = default_from_dict(cls, {**data, "init_parameters": parameters})
        return ranker

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_reranker", "_models")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reranker = self._build()

    def _parts(self) -> list[Any]:
        return [getattr(model, "component", model) for model in self._models.values()]

    def warm_up(self) -> None:
        """Warm up the chat generator, the embedder and the models that need it."""
        for part in self._parts():
            _call(part, "warm_up")

    async def warm_up_async(self) -> None:
        """As `warm_up`, on the serving event loop; what can only be warmed up synchronously is, in a thread."""
        for part in self._parts():
            await _call_async(part, "warm_up")

    def close(self) -> None:
        """Release what the chat generator, the embedder and the models hold."""
        for part in self._parts():
            _call(part, "close")

    async def close_async(self) -> None:
        """As `close`, on the serving event loop."""
        for part in self._parts():
            await _call_async(part, "close")

    def _get_telemetry_data(self) -> dict[str, Any]:
        """For Haystack's usage statistics, which users can switch off: the name of a pipeline that tamis
        brings, nothing else."""
        ready = self.pipeline in PRESETS and PRESETS.package_of(self.pipeline) is None
        return {"pipeline": self.pipeline if ready else "custom"}


def _documents(value: Any) -> list[Document]:
    return arguments.documents("documents", value, Document, DOCUMENTS)


def _limits(top_k: Any, score_threshold: Any) -> dict[str, Any]:
    return {
        "top_n": arguments.limit("top_k", top_k),
        "threshold": arguments.threshold("score_threshold", score_threshold),
    }


def _by_id(documents: Sequence[Document], scores: Scores) -> tuple[list[int], list[int]]:
    """Indices of winners and losers by Haystack's rule for repeated ids: the most similar wins, no score is lowest."""
    given = [finite(document.score) for document in documents]
    best: dict[str, int] = {}
    for index, document in enumerate(documents):
        best.setdefault(document.id, index)
    # Whether scores are distances shows in the order of different documents.
    rising = scores == "detect" and rise([given[index] for index in best.values()])
    similar, _ = similarities(given, "distance" if rising else "similarity" if scores == "detect" else scores)
    for index, document in enumerate(documents):
        if _number(similar[index]) > _number(similar[best[document.id]]):
            best[document.id] = index
    won = set(best.values())
    return list(best.values()), [index for index in range(len(documents)) if index not in won]


def _number(score: float | None) -> float:
    return -math.inf if score is None else score


def _call(part: Any, name: str) -> None:
    if hasattr(part, name):
        getattr(part, name)()


async def _call_async(part: Any, name: str) -> None:
    if hasattr(part, f"{name}_async"):
        await getattr(part, f"{name}_async")()
    elif hasattr(part, name):
        await asyncio.to_thread(getattr(part, name))
