"""The network of G-RAG: what a candidate's neighbours in a graph say of it changes how well it fits the query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from tamis.graph.edges.base import Edges, EdgesRef
from tamis.graph.edges.concepts import Concepts
from tamis.graph.edges.mentions import Mentions
from tamis.graph.edges.structure import Structure
from tamis.graph.networks.base_network import Network, Weights, cosines, unchanged, unit_vector
from tamis.graph.networks.paths import graph_path_text, path_text
from tamis.graph.normalise import NORMALISE, Normalisation
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency, Floats, union


@dataclass(frozen=True, eq=False)
class GraphInputs:
    """For n candidates: `cosines` (n), `features` (n x f), `readout` (o), and a matrix (n x n) for each channel."""

    cosines: Floats
    features: Floats
    readout: Floats
    channels: tuple[Any, ...]


@part
class GRAG(Network):
    """G-RAG: candidates hear from their neighbours in a graph before the query is compared with them.

    Each of `layers` makes h_v' = W h_v + mean over neighbours u of (sum over channels m of c_m e_uv(m)) V h_u + b, with
    ReLU and `hidden` units between layers. The score is cosine(query, v) + readout . h_v. The last layer starts at
    zero: an untrained network scores plain cosines. Without edges it is the same network without neighbours.

    Args:
        edges: kinds of edges, each a channel e(m), made comparable by `normalise`. Edge features stay as they are; the
            paper's update of them is cut down to the learnt c_m, one for each layer and channel, which start at the
            `weight` of the edges.
        features: `"embedding"`: h_v starts as the candidate's embedding and the readout is the query's, so that the
            score is the product of the query with x_v + h_v, as in the paper; needs thousands of labelled queries.
            `"similarity"`: h_v starts as the candidate's cosine in standard deviations of its pool, one number, and the
            readout is that deviation; learns from a hundred.
        paths: what is appended to each text before it is embedded: `"words"`, how its words connect to the query
            (`path_text` in `graph.networks.paths`), or `"graph"`, the same from a graph under that metadata key (see
            `Given`). Each pair of query and text is then embedded anew, which no cache across queries saves.

    Scale: `fusion` (unbounded sums, comparable within a query).
    Source: Dong et al., 2024, arXiv 2405.18414; residual and zero start are ours.
    """

    edges: tuple[EdgesRef, ...] = (Concepts(), Mentions(), Structure())
    normalise: Normalisation = "sym"
    features: Literal["similarity", "embedding"] = "similarity"
    hidden: PositiveInt = 16
    layers: PositiveInt = 2
    paths: Literal["words", "graph"] | None = None

    temperature: ClassVar[float] = 0.05
    learning_rate: ClassVar[float] = 5e-3

    def texts(self, pool: Pool) -> list[str]:
        plain = [candidate.full_text for candidate in pool.candidates]
        if self.paths is None:
            return plain
        if self.paths == "words":
            told = [path_text(pool.query.text, text) for text in plain]
        else:
            told = [graph_path_text(candidate.metadata.get("graph")) for candidate in pool.candidates]
        return [f"{text}\n{path}" if path else text for text, path in zip(plain, told, strict=True)]

    def read(self, pool: Pool, query: Floats) -> GraphInputs:
        plain = cosines(pool, query)
        if self.features == "embedding":
            features, readout = pool.vectors, unit_vector(query)
        else:
            deviation = plain.std()
            features, readout = ((plain - plain.mean()) / (deviation or 1.0))[:, None], np.array([deviation])
        return GraphInputs(plain, features, readout, averaging(pool, self.edges, self.normalise))

    def initial(self, dims: int, rng: np.random.Generator) -> dict[str, Floats]:
        width = dims if self.features == "embedding" else 1
        widths = [width, *[self.hidden] * (self.layers - 1), width]
        weights: dict[str, Floats] = {
            "channels": np.tile([float(kind.weight) for kind in self.edges], (self.layers, 1))
        }
        for layer, (given, made) in enumerate(pairwise(widths)):
            size = 0.0 if layer == self.layers - 1 else given**-0.5
            weights[f"own.{layer}"] = size * rng.standard_normal((given, made))
            weights[f"neighbours.{layer}"] = size * rng.standard_normal((given, made))
            weights[f"bias.{layer}"] = np.zeros(made)
        return weights

    def scores(
        self, weights: Weights, inputs: GraphInputs, xp: Any = np, drop: Callable[[Any], Any] = unchanged
    ) -> Any:
        return inputs.cosines + self._states(weights, inputs, drop)[-1] @ inputs.readout

    def _states(self, weights: Weights, inputs: GraphInputs, drop: Callable[[Any], Any] = unchanged) -> list[Any]:
        """h of each layer, beginning with the features."""
        states: list[Any] = [inputs.features]
        for layer in range(self.layers):
            state = states[-1] @ weights[f"own.{layer}"] + weights[f"bias.{layer}"]
            message = states[-1] @ weights[f"neighbours.{layer}"]
            for place, channel in enumerate(inputs.channels):
                state = state + weights["channels"][layer, place] * (channel @ message)
            states.append(state if layer == self.layers - 1 else drop(state.clip(min=0)))
        return states

    def lifts(self, weights: Weights, inputs: GraphInputs) -> list[Adjacency]:
        """Messages that reach a candidate in any layer, followed through its own units to its score.

        They sum up to the score, together with its cosine and what its own features and the biases add.
        """
        states = self._states(weights, inputs)
        pull = np.broadcast_to(inputs.readout, states[-1].shape)
        found = [np.zeros(len(channel)) for channel in inputs.channels]
        for layer in reversed(range(self.layers)):
            message = states[layer] @ weights[f"neighbours.{layer}"]
            for place, channel in enumerate(inputs.channels):
                heard = np.einsum("eo,eo->e", pull[channel.rows], message[channel.cols])
                found[place] += weights["channels"][layer, place] * channel.weights * heard
            pull = (pull @ weights[f"own.{layer}"].T) * (states[layer] > 0)
        return [channel.scaled(added) for channel, added in zip(inputs.channels, found, strict=True)]


def averaging(pool: Pool, edges: Sequence[Edges], normalise: Normalisation) -> tuple[Adjacency, ...]:
    """The channels, normalised, each row divided by how many neighbours the candidate has in all of them together."""
    channels = [NORMALISE[normalise](kind.of(pool)) for kind in edges]
    if not channels:
        return ()
    neighbours: NDArray[np.int64] = np.diff(union(*channels).starts)
    return tuple(channel.scaled(channel.weights / neighbours[channel.rows]) for channel in channels)
