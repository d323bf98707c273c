"""A pipeline made ready for use: bound to models, an engine and the cuts a caller asks for. What every adapter
holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from tamis.adapters.arguments import flag, limit
from tamis.engine.cancel import Cancellation
from tamis.engine.engine import Engine
from tamis.engine.shared import default_engine
from tamis.errors import ConfigError
from tamis.parts.dump import dump
from tamis.parts.permissions import Allow
from tamis.parts.secrets import shown
from tamis.rankers.learned.stage import Learned
from tamis.recipes.load import load
from tamis.select.cut import Threshold, TopN
from tamis.select.place import Place
from tamis.stage.base import Pipeline, Stage, flattened
from tamis.values.ranking import Candidate, Query, Ranking
from tamis.values.similarity import Scores, checked

DEFAULT = "default"
UNORDERED = "texts"
"""The default for candidates in no particular order."""

Candidates = Iterable[str | Mapping[str, Any] | Candidate]


class Reranker:
    """A pipeline with its engine, and `threshold` (inclusive, applied first) and `top_n` after it; before a
    `Place` at its end, whose order is no longer best first.

    Args:
        pipeline: anything `tamis.load` takes: a stage, a preset's name, plain data, a path to YAML.
        models: the models the pipeline calls by name; others are reported in a warning, as by `tamis.load`.
        top_n: how many to keep at most, a whole number > 0 (else `ConfigError`); `None` keeps what the pipeline keeps.
        threshold: the lowest score to keep, on the pipeline's own scale.
        engine: an `Engine`, or its keyword arguments as a mapping; by default the one engine of the process.
        ordered: whether the order of the candidates means something, as a retriever's does. `False` is for a plain
            list; it changes the default pipeline only (to the preset `texts`) and is refused for others.
        scores: what the candidates' first-stage scores are: `"similarity"` (the largest is the best), `"distance"` (the
            smallest is), or `"ignore"` (only the order counts). `"detect"`: similarities, unless they rise along the
            incoming order: then they are distances, and a notice says so. Distances are negated, for cuts too: a
            threshold of -0.5 keeps distances up to 0.5.
        allow: what a pipeline given as data or file may do beyond computing, as for `tamis.load`.

    >>> reranker = Reranker("lexical", top_n=1)
    >>> reranker.rerank("tall mountain", ["a recipe", "a tall mountain"]).positions
    (1,)
    """

    def __init__(
        self,
        pipeline: Any = DEFAULT,
        *,
        models: Mapping[str, Any] | None = None,
        top_n: int | None = None,
        threshold: float | None = None,
        engine: Engine | Mapping[str, Any] | None = None,
        ordered: bool = True,
        scores: Scores = "detect",
        allow: Allow = (),
    ) -> None:
        self.source = pipeline = _default(pipeline, ordered)
        self.stage = load(pipeline, models=models, allow=allow)
        self.top_n, self.threshold = limit("top_n", top_n, ConfigError), threshold
        self.engine = engine if isinstance(engine, Engine) else default_engine() if engine is None else _engine(engine)
        meaning = checked(scores, ConfigError)
        self.scores: Scores = "similarity" if meaning == "detect" and not ordered else meaning
        self._with_cuts(top_n, threshold)

    def rerank(
        self,
        query: str | Query,
        candidates: Candidates,
        *,
        top_n: int | None = None,
        threshold: float | None = None,
        cancel: Cancellation | None = None,
    ) -> Ranking:
        """Rerank in this thread. `top_n` and `threshold` override the reranker's own for this call."""
        stage = self._with_cuts(top_n, threshold)
        return self.engine.rerank(stage, query, candidates, scores=self.scores, cancel=cancel)

    async def arerank(
        self,
        query: str | Query,
        candidates: Candidates,
        *,
        top_n: int | None = None,
        threshold: float | None = None,
        cancel: Cancellation | None = None,
    ) -> Ranking:
        """As `rerank`, without blocking the event loop."""
        stage = self._with_cuts(top_n, threshold)
        return await self.engine.arerank(stage, query, candidates, scores=self.scores, cancel=cancel)

    def to_data(self) -> Any:
        """The pipeline as it can be written down: the name or data it was made from, else its stages as data."""
        return dump(self.source) if isinstance(self.source, Stage) else plain(self.source)

    def _with_cuts(self, top_n: int | None, threshold: float | None) -> Stage:
        minimum = self.threshold if threshold is None else threshold
        keep = self.top_n if top_n is None else limit("top_n", top_n, ConfigError)
        cuts: list[Stage] = [] if minimum is None else [Threshold(minimum)]
        cuts += [] if keep is None else [TopN(keep)]
        stages = flattened(self.stage)
        end = len(stages)
        while end and isinstance(stages[end - 1], Place):
            end -= 1
        return Pipeline((*stages[:end], *cuts, *stages[end:])) if cuts else self.stage


def _default(pipeline: Any, ordered: bool) -> Any:
    if flag("ordered", ordered, ConfigError):
        return pipeline
    if pipeline != DEFAULT:
        raise ConfigError(
            f"ordered=False has no effect on the pipeline {shown(pipeline)}: it only changes the default. Leave it out "
            "or leave the pipeline out"
        )
    return UNORDERED


def plain(source: Any) -> Any:
    """A pipeline description as JSON-like data; paths become strings."""
    if source is None or isinstance(source, (str, int, float, bool)):
        return source
    if isinstance(source, Mapping):
        return {str(key): plain(value) for key, value in source.items()}
    if isinstance(source, (list, tuple)):
        return [plain(item) for item in source]
    return dump(source) if not hasattr(source, "__fspath__") else str(source)


def _engine(options: Mapping[str, Any]) -> Engine:
    if not isinstance(options, Mapping):
        raise ConfigError(f"engine must be a tamis.Engine or a mapping of its options, got {shown(options)}")
    if wrong := [name for name in options if not isinstance(name, str)]:
        raise ConfigError(f"engine options have names, such as 'deadline'; got {shown(wrong[0])}")
    return Engine(**options)


def rerank(
    query: str | Query,
    candidates: Candidates,
    pipeline: Any = DEFAULT,
    *,
    top_n: int | None = None,
    models: Mapping[str, Any] | None = None,
    engine: Engine | Mapping[str, Any] | None = None,
    ordered: bool = True,
    scores: Scores = "detect",
    allow: Allow = (),
) -> Ranking:
    """Rerank `candidates` (strings, mappings or `Candidate`s) for `query`.

    `pipeline` is anything `tamis.load` takes. The default needs no model and trusts the order of the candidates, as a
    retriever gave them; `ordered=False` says that their order means nothing. `scores` says what their first-stage
    scores are, such as `"distance"`: see `Reranker`. `top_n` keeps that many; the rest is in
    `dropped`. `models` are those a pipeline calls by name, such as `{"llm": ...}`; `allow` permits
    what data may not do by itself, as for `tamis.load`. To rerank more than once keep a `Reranker`.

    >>> rerank("tall mountain", ["a recipe", "a tall mountain"], ordered=False).candidates[0].text
    'a tall mountain'
    """
    reranker = Reranker(
        pipeline, models=models, top_n=top_n, engine=engine, ordered=ordered, scores=scores, allow=allow
    )
    return reranker.rerank(query, candidates)


async def arerank(
    query: str | Query,
    candidates: Candidates,
    pipeline: Any = DEFAULT,
    *,
    top_n: int | None = None,
    models: Mapping[str, Any] | None = None,
    engine: Engine | Mapping[str, Any] | None = None,
    ordered: bool = True,
    scores: Scores = "detect",
    allow: Allow = (),
) -> Ranking:
    """As `rerank`, without blocking the event loop."""
    reranker = Reranker(
        pipeline, models=models, top_n=top_n, engine=engine, ordered=ordered, scores=scores, allow=allow
    )
    return await reranker.arerank(query, candidates)


def default(
    embedder: Any = None,
    *,
    unscored: Literal["order", "unknown"] = "order",
    depth: int | None = None,
    explain: bool = False,
) -> Learned:
    """The ranker for what a retriever found that comes with the base install: see `Learned`.

    An `embedder` makes it better: its cosines join in.

    >>> default().rerank("tall mountain", ["a recipe", "a tall mountain"]).candidates[0].text
    'a tall mountain'
    """
    return Learned(embedder, unscored, depth, explain)
