"""From test sets to what a network learns from: pools as arrays, with the relevant candidates marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.engine.engine import Engine
from tamis.errors import ConfigError, ModelError
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.reading import read
from tamis.evaluate.ties import mrr_all
from tamis.graph.networks.base_network import Network, cosines
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.stage.base import Stage
from tamis.values.answers import Failure
from tamis.values.calls import Embed, Plan
from tamis.values.ranking import Ranking


@dataclass(frozen=True, eq=False)
class Example:
    """One query: what the network reads of its pool, which candidates are relevant, how many relevant ones are not in
    the pool, and the cosines of the embedder alone."""

    inputs: Any
    relevant: NDArray[np.bool_]
    missed: int
    plain: NDArray[np.float64]

    @property
    def teaches(self) -> bool:
        """Whether there is something to tell apart."""
        return bool(self.relevant.any() and not self.relevant.all())

    def mrr(self, scores: NDArray[Any]) -> float:
        """Over all relevant passages; ties in incoming order."""
        places = np.empty(len(scores))
        places[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
        return mrr_all([*places[self.relevant].tolist(), *[float("inf")] * self.missed])


@part
class Embedded(Stage):
    """The same ranking, its query and candidates with the vectors of `model`."""

    model: Any
    network: Network

    def plan(self, ranking: Ranking) -> Plan:
        texts = self.network.texts(Pool(ranking.query, ranking.candidates))
        answers = yield [Embed(self.model, ranking.query.text, "query"), *(Embed(self.model, text) for text in texts)]
        for answer in answers:
            if isinstance(answer, Failure):
                raise ModelError(
                    f"a text could not be embedded ({answer}); with a cache on disk a new run goes on here"
                )
        query, *vectors = (answer.values for answer in answers)
        kept = [
            replace(ranked, candidate=replace(ranked.candidate, vector=vector))
            for ranked, vector in zip(ranking.kept, vectors, strict=True)
        ]
        return replace(ranking, query=replace(ranking.query, vector=query), kept=tuple(kept))


def datasets(data: Any) -> list[Dataset]:
    """From folders and `Dataset`s, one or several."""
    items = data if isinstance(data, (list, tuple)) else [data]
    for item in items:
        if not isinstance(item, (str, Path, Dataset)):
            raise ConfigError(f"data must be a folder, a Dataset or a list of these, got {type(item).__name__}")
    return [item if isinstance(item, Dataset) else read(item) for item in items]


def examples(
    sets: Sequence[Dataset], embedder: Any, network: Network, engine: Engine, depth: int | None
) -> tuple[list[Example], int]:
    """An example for each judged query with results, in the order of the sets; and the width of the embeddings."""
    made: list[Example] = []
    widths: set[int] = set()
    for dataset in sets:
        ids = [query for query in dataset.sample(None) if dataset.relevant(query) and dataset.run[query]]
        pools = [
            Ranking.of(dataset.questions[query].query, dataset.pool(query, depth), scores="detect") for query in ids
        ]
        for query, ranking in zip(ids, engine.rerank_many(Embedded(embedder, network), pools), strict=True):
            made.append(_example(ranking, dataset.relevant(query), network))
            widths.update(
                len(vector or ()) for vector in (ranking.query.vector, *(c.vector for c in ranking.candidates))
            )
    if len(widths) > 1:
        raise ModelError(f"the embedder gives vectors of different widths: {sorted(widths)}")
    return made, widths.pop() if widths else 0


def _example(ranking: Ranking, relevant: Any, network: Network) -> Example:
    pool = Pool(ranking.query, ranking.candidates)
    query = np.asarray(ranking.query.vector, dtype=np.float64)
    marked = np.array([candidate.id in relevant for candidate in ranking.candidates], dtype=bool)
    missed = len(relevant) - len({candidate.id for candidate in ranking.candidates} & set(relevant))
    return Example(network.read(pool, query), marked, missed, cosines(pool, query))
