"""What pipelines would cost, from arithmetic alone: no model is asked, none is even needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tamis.engine.engine import Engine
from tamis.evaluate.dataset import Dataset
from tamis.evaluate.systems import named
from tamis.models.cost_only import CostOnly
from tamis.parts.permissions import Allow
from tamis.stage.base import Stage
from tamis.values.usage import Usage

PROBED = 50


@dataclass(frozen=True, slots=True)
class Prediction:
    """The cost of one system on one data set: `usage` of all `queries` together, extrapolated from `probed` of them."""

    system: str
    dataset: str
    queries: int
    probed: int
    usage: Usage


def predict(
    pipelines: Any,
    dataset: Dataset,
    *,
    models: Mapping[str, Any] | None = None,
    allow: Allow = (),
    depth: int | None = 100,
    queries: int | None = None,
    seed: int = 0,
) -> list[Prediction]:
    """Calls, rounds, tokens and FLOPs of every pipeline, from `PROBED` queries' real texts and `Engine.dry_run`.

    Models that are not given are replaced by stand-ins. FLOPs need a model whose architecture is known: give the real
    one, or `CostOnly(architecture=...)`. Tokens are estimates (bytes / 4).
    """
    ids = dataset.sample(queries, seed)
    probed = ids[:PROBED]
    engine = Engine(cache=None)
    predictions = []
    for system in named(pipelines, models, CostOnly, allow):
        if not isinstance(system.source, Stage):
            continue
        total = Usage()
        for query in probed:
            total += engine.dry_run(system.source, dataset.questions[query].query, dataset.pool(query, depth))
        scaled = _scaled(total, len(ids), len(probed))
        predictions.append(Prediction(system.name, dataset.name, len(ids), len(probed), scaled))
    return predictions


def _scaled(usage: Usage, queries: int, probed: int) -> Usage:
    factor = queries / probed if probed else 0.0
    values = {f.name: getattr(usage, f.name) * factor for f in fields(usage) if f.name != "seconds"}
    return Usage(**{name: value if name.startswith("flops") else round(value) for name, value in values.items()})
