"""Train a graph network on labelled queries: G-RAG and the other networks of `tamis.graph`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tamis.engine.engine import Engine
from tamis.errors import ConfigError, DataError, needed
from tamis.graph.networks.base_network import NETWORKS, Network
from tamis.graph.networks.trained import Trained, name_of
from tamis.training.examples import Example, datasets, examples
from tamis.training.loop import Course, OnProgress, fit, one_thread
from tamis.training.report import TrainingReport
from tamis.values.model import require

Loss = Literal["rank", "cross_entropy"]
FEWEST = 5


def train_graph(
    data: Any,
    embedder: Any,
    *,
    network: Network | str = "grag",
    edges: Sequence[Any] | None = None,
    hidden: int | None = None,
    layers: int | None = None,
    loss: Loss = "rank",
    dropout: float = 0.1,
    lr: float | None = None,
    weight_decay: float = 0.01,
    steps: int = 1000,
    warm_up: int = 50,
    batch: int = 5,
    validation: float = 0.2,
    every: int = 25,
    patience: int = 12,
    depth: int | None = 100,
    seed: int = 0,
    out: str | Path | None = None,
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
) -> TrainingReport:
    """Learn to rank pools by a network over the graph of their candidates; the embedder itself stays as it is.

    Args:
        data: folders (see `tamis.evaluate.read`), `Dataset`s, or a list of either: queries, judgements, a first stage.
        embedder: any model that can `embed`. Its name and width are kept in the file, which no other embedder can use.
        network: `"grag"`, `"hybrank"`, `"ebcar"`, `"adapter"`, or a network with options, such as
            `GRAG(features="embedding")`.
        edges, hidden, layers: instead of the network's own. Edges are objects or their plain data; `()` is the same
            network without a graph.
        loss: `"rank"`, a hinge of margin 1 over all pairs of a relevant and another candidate, or `"cross_entropy"`,
            the mean over relevant candidates of -log softmax. Both see scores divided by the network's `temperature`.
        lr: of AdamW, reached after `warm_up` steps; default: the network's `learning_rate`.
        steps, batch: at most `steps` steps of `batch` queries each.
        validation: share of the queries held back, drawn with `seed`. Every `every` steps MRR over all relevant
            passages is measured on them; the best weights are kept, and after `patience` times without gain it ends.
        depth: how many candidates of the first stage make a pool.
        out: where the trained network goes, for `TrainedGraph`.
        engine: makes the embedding calls; one with a cache on disk embeds each text once for all trainings.
        on_progress: called at each validation with steps done, steps at most and the best MRR so far.

    The same data, embeddings and seed give the same weights on one machine. Raises `DataError` for too few queries to
    learn from, `MissingExtra` without torch. Source of losses and defaults: G-RAG (Dong et al., 2024), which trains
    50,000 steps on 80,000 queries.

    >>> print(train_graph("my-data", embedder, edges=["concepts", "mentions"], out="grag.npz"))    # doctest: +SKIP
    validation MRR over all relevant passages: 0.5512 -> 0.5701 (+0.0189), 40 queries; best step 250 of 550
    """
    torch = needed("torch", "Training a network", "train")
    require(embedder, "embed", "train_graph")
    form = _form(network, edges, hidden, layers)
    course = Course(
        loss=loss,
        lr=form.learning_rate if lr is None else lr,
        dropout=dropout,
        weight_decay=weight_decay,
        steps=steps,
        warm_up=warm_up,
        batch=batch,
        every=every,
        patience=patience,
        seed=seed,
        validation=validation,
    )
    sets = datasets(data)
    made, dims = examples(sets, embedder, form, engine or Engine(), depth)
    useful = [example for example in made if example.teaches]
    if len(useful) < FEWEST:
        raise DataError(
            f"training needs at least {FEWEST} queries whose pool holds relevant and other passages, found "
            f"{len(useful)} of {len(made)} in {', '.join(dataset.name for dataset in sets)}"
        )
    order = np.random.default_rng(seed).permutation(len(useful))
    held, taught = _split([useful[place] for place in order], validation)
    with one_thread(torch):
        fitted = fit(torch, form, dims, taught, held, course, on_progress)
    before = float(np.mean([example.mrr(example.plain) for example in held]))
    training = {
        "data": [dataset.name for dataset in sets],
        "queries": len(taught),
        **asdict(course),
        "step": fitted.step,
        "held back": {"queries": len(held), "MRR_all before": before, "MRR_all after": fitted.mrr},
    }
    trained = Trained(form, fitted.weights, name_of(embedder), dims, training)
    if out is not None:
        trained.write(out)
    return TrainingReport(
        trained,
        before=before,
        after=fitted.mrr,
        step=fitted.step,
        curve=fitted.curve,
        queries=len(taught),
        validation_queries=len(held),
        left_out=len(made) - len(useful),
        path=None if out is None else Path(out),
    )


def _form(network: Network | str, edges: Any, hidden: int | None, layers: int | None) -> Network:
    form: Network = network if isinstance(network, Network) else NETWORKS.build(network)
    given = {"edges": edges, "hidden": hidden, "layers": layers}
    chosen = {name: value for name, value in given.items() if value is not None}
    if strange := set(chosen) - {f.name for f in fields(form)}:  # type: ignore[arg-type]
        raise ConfigError(f"{type(form).__name__} has no {', '.join(sorted(strange))}")
    return replace(form, **chosen)  # type: ignore[type-var]


def _split(shuffled: list[Example], validation: float) -> tuple[list[Example], list[Example]]:
    """Those held back, and the others; at least one of each."""
    held = min(max(1, round(validation * len(shuffled))), len(shuffled) - 1)
    return shuffled[:held], shuffled[held:]
