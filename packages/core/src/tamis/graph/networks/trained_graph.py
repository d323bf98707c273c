"""Score candidates by a trained network that sees them all at once."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, NonNegativeInt, WithJsonSchema

from tamis.parts.part import part
from tamis.parts.permissions import Needs
from tamis.stage.scoring import Given, Limit, Scored, Scoring
from tamis.values.answers import Failure
from tamis.values.calls import Asking, Embed
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Neighbour, Ranked, Ranking
from tamis.values.scale import Scale

if TYPE_CHECKING:
    from tamis.graph.networks.trained import Trained
    from tamis.pool.sparse import Adjacency


def _path_as_text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, Path) else value


if TYPE_CHECKING:
    TrainedRef = str | Path | Trained
else:
    TrainedRef = Annotated[Any, BeforeValidator(_path_as_text), Needs("files"), WithJsonSchema({"type": "string"})]


@part
class TrainedGraph(Scoring):
    """Sort by the score of a trained network: G-RAG, or whatever `tamis.training.train_graph` left in the file.

    One `embed` call for the query and for each candidate, all in one round; the graph between the candidates is built
    from their texts, metadata and embeddings, the network run in numpy.

    Args:
        network: the file, or a `tamis.graph.networks.trained.Trained`.
        model: the embedder that the network was trained with; another one is refused by name (`ConfigError`).
        explain: how many neighbours to name in `Ranked.lifted_by`, those whose messages added most to the score.

    Scale: the network's; `fusion` for G-RAG, whose scores compare within a query only. A candidate that could not be
    embedded is in no graph and keeps its place.

    >>> TrainedGraph("grag.npz", embedder).rerank(query, passages).kept[0].lifted_by     # doctest: +SKIP
    (Neighbour(position=7, weight=0.031, channel='mentions'),)
    """

    network: TrainedRef
    model: ModelRef
    depth: Limit = None
    explain: NonNegativeInt = 3

    def __post_init__(self) -> None:
        require(self.model, "embed", "TrainedGraph")
        _ = self._trained

    @property
    def scale(self) -> Scale:
        return self._trained.network.scale

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Scored]:
        from tamis.graph.graph import uncompared
        from tamis.graph.networks.trained import name_of
        from tamis.pool.pool import Pool

        trained = self._trained
        trained.check(name_of(self.model))
        texts = trained.network.texts(Pool(ranking.query, [ranked.candidate for ranked in head]))
        answers = yield [
            Embed(self.model, ranking.query.text, "query"),
            *(Embed(self.model, text) for text in texts),
        ]
        query, *vectors = self._usable(answers)
        if isinstance(query, Failure):
            vectors = [query] * len(head)
        known = [place for place, vector in enumerate(vectors) if not isinstance(vector, Failure)]
        scores: list[Given] = [vector if isinstance(vector, Failure) else None for vector in vectors]
        judged = list(head)
        if known:
            pool = Pool(ranking.query, [head[place].candidate for place in known], [vectors[place] for place in known])
            found, lifts = trained.scores(pool, query)
            told = _lifted(lifts, [kind.channel for kind in trained.network.edges], len(known), self.explain)
            for index, place in enumerate(known):
                scores[place] = float(found[index])
                lifted = tuple(replace(n, position=head[known[n.position]].position) for n in told[index])
                judged[place] = replace(head[place], lifted_by=lifted)
        by_vectors = any(kind.uses_vectors for kind in trained.network.edges)
        return Scored(scores, judged, uncompared("TrainedGraph", [head[place] for place in known], by_vectors))

    @cached_property
    def _trained(self) -> Trained:
        from tamis.graph.networks.trained import Trained

        return self.network if isinstance(self.network, Trained) else Trained.read(self.network)

    def _usable(self, answers: Sequence[Any]) -> list[Any]:
        """The vectors, or `Failure`s. `ConfigError` when the embedder plainly gives vectors of another width.

        A single number is not an embedding but the stand-in answer of a dry run.
        """
        from tamis.graph.networks.trained import name_of

        dims = self._trained.dims
        widths = {len(answer.values) for answer in answers if not isinstance(answer, Failure)}
        if len(widths) == 1 and not widths & {0, 1}:
            self._trained.check(name_of(self.model), *widths)
        return [answer if isinstance(answer, Failure) else _usable(answer.values, dims) for answer in answers]


def _usable(values: Sequence[float], dims: int) -> Sequence[float] | Failure:
    if len(values) != dims:
        return Failure("malformed", f"a vector of {len(values)} numbers where the network takes {dims}")
    usable = all(map(math.isfinite, values))
    return values if usable else Failure("malformed", "the vector held no usable numbers")


def _lifted(lifts: Sequence[Adjacency], channels: Sequence[str], size: int, count: int) -> list[tuple[Neighbour, ...]]:
    """For each candidate the `count` neighbours that added most, by kind of edge; what lowered it is not listed."""
    found: list[list[Neighbour]] = [[] for _ in range(size)]
    for channel, added in zip(channels, lifts, strict=False):
        for row, col, weight in zip(added.rows.tolist(), added.cols.tolist(), added.weights.tolist(), strict=True):
            if weight > 0:
                found[row].append(Neighbour(col, weight, channel))
    return [tuple(sorted(named, key=lambda n: -n.weight)[:count]) for named in found]
