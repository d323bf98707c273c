"""A trained network in one file: weights, what they belong to, and how they came about."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.errors import ConfigError
from tamis.graph.networks.base_network import NETWORKS, Network
from tamis.parts.dump import dump
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency, Floats

FORMAT = 1
SETTINGS = "settings"
REMEDY = "`tamis.training.train_graph` makes one"


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with its weights, for embeddings of one embedder only.

    `embedder`, `dims`: the name and the width of the embeddings it was trained on. `training`: how it was trained and
    how good it was, as plain data.
    """

    network: Network
    weights: Mapping[str, NDArray[Any]]
    embedder: str
    dims: int
    training: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path) -> Trained:
        """From a file that `write` made; nothing in it is executed. `ConfigError` names the file and the fault."""
        file = Path(path)
        if not file.is_file():
            raise ConfigError(f"no trained network at {str(path)!r}; {REMEDY}")
        try:
            with np.load(file, allow_pickle=False) as arrays:
                weights = {name: arrays[name] for name in arrays.files}
            settings = json.loads(str(weights.pop(SETTINGS)))
            made = cls(
                NETWORKS.build(settings["network"]),
                weights,
                str(settings["embedder"]),
                int(settings["dims"]),
                dict(settings["training"]),
            )
            if settings["format"] != FORMAT:
                raise ConfigError(f"its format is {settings['format']!r}, this version reads {FORMAT}")
            made._check_shapes()
        except (ConfigError, ValueError, TypeError, LookupError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ConfigError(f"{path} is not a trained network ({error}); {REMEDY}") from error
        return made

    def write(self, path: str | Path) -> None:
        """To one `.npz` file: float32 arrays by name, and `settings`, a JSON text."""
        settings = {
            "format": FORMAT,
            "network": dump(self.network),
            "embedder": self.embedder,
            "dims": self.dims,
            "training": dict(self.training),
        }
        arrays = {name: np.asarray(value, dtype=np.float32) for name, value in self.weights.items()}
        with Path(path).open("wb") as file:
            np.savez(file, **{SETTINGS: np.array(json.dumps(settings))}, **arrays)  # type: ignore[arg-type]

    def _check_shapes(self) -> None:
        expected = {
            name: value.shape for name, value in self.network.initial(self.dims, np.random.default_rng(0)).items()
        }
        found = {name: value.shape for name, value in self.weights.items()}
        if found != expected:
            odd = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
            raise ConfigError(f"its weights do not fit its network: {', '.join(odd[:3])}")

    def check(self, embedder: str, dims: int | None = None) -> None:
        """Raise `ConfigError` naming both when embeddings come from another embedder, or are of another width."""
        if embedder != self.embedder or dims not in (None, self.dims):
            given = f"{embedder!r}" if dims is None else f"{embedder!r} ({dims} numbers)"
            raise ConfigError(
                f"the network was trained on embeddings of {self.embedder!r} ({self.dims} numbers); these are of "
                f"{given}. Give the embedder it was trained with, or train one for this embedder."
            )

    def scores(self, pool: Pool, query: Sequence[float] | Floats) -> tuple[Floats, Sequence[Adjacency]]:
        """A score for each candidate of a pool that has their embeddings, and what each kind of edge added to it."""
        inputs = self.network.read(pool, np.asarray(query, dtype=np.float64))
        return np.asarray(self.network.scores(self.weights, inputs)), self.network.lifts(self.weights, inputs)


def name_of(embedder: Any) -> str:
    """What an embedder is called in a file of weights."""
    return str(getattr(embedder, "name", type(embedder).__name__))
