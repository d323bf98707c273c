"""The training itself: steps of AdamW, a look at the queries held back now and then, the best weights kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from tamis.graph.networks.base_network import Network, unchanged
from tamis.parts.numbers import Positive, ShareBelowOne, ShareBetween
from tamis.parts.part import part
from tamis.pool.sparse import Adjacency
from tamis.training.examples import Example

OnProgress = Callable[[int, int, float], None]


@part
class Course:
    """How long, how fast and against which loss; the arguments of `train_graph`."""

    loss: Literal["rank", "cross_entropy"]
    lr: Positive
    dropout: ShareBelowOne
    weight_decay: ShareBelowOne
    steps: PositiveInt
    warm_up: NonNegativeInt
    batch: PositiveInt
    every: PositiveInt
    patience: PositiveInt
    seed: int
    validation: ShareBetween


@dataclass(frozen=True, slots=True)
class Fit:
    """The best weights, at which step, their mean MRR on the queries held back; and (step, loss, MRR) on the way."""

    weights: dict[str, Any]
    step: int
    mrr: float
    curve: tuple[tuple[int, float, float], ...]


def fit(
    torch: Any,
    network: Network,
    dims: int,
    taught: Sequence[Example],
    held: Sequence[Example],
    course: Course,
    on_progress: OnProgress | None,
) -> Fit:
    """Train on `taught` and choose the step by `held`. Step 0, the untrained network, may be the best."""
    torch.manual_seed(course.seed)
    rng = np.random.default_rng(course.seed)
    weights = {
        name: torch.tensor(value, dtype=torch.float32, requires_grad=True)
        for name, value in network.initial(dims, rng).items()
    }
    optimizer = torch.optim.AdamW(weights.values(), course.lr, weight_decay=course.weight_decay)
    pace = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(1, course.warm_up)))
    inputs = {id(example): tensors(torch, example.inputs) for example in (*taught, *held)}

    def scored(example: Example, drop: Callable[[Any], Any]) -> Any:
        return network.scores(weights, inputs[id(example)], torch, drop) / network.temperature

    def dropped(values: Any) -> Any:
        return torch.dropout(values, course.dropout, True)

    def measured() -> float:
        with torch.no_grad():
            return float(np.mean([example.mrr(scored(example, unchanged).numpy()) for example in held]))

    best = Fit(_copied(weights), 0, measured(), ())
    curve, losses = [(0, float("nan"), best.mrr)], []
    batches = _batches(taught, course.batch, rng)
    for step in range(1, course.steps + 1):
        optimizer.zero_grad()
        chosen = next(batches)
        for example in chosen:
            loss = LOSSES[course.loss](torch, scored(example, dropped), example.relevant)
            (loss / len(chosen)).backward()
            losses.append(loss.item())
        optimizer.step()
        pace.step()
        if step % course.every and step != course.steps:
            continue
        curve.append((step, float(np.mean(losses)), measured()))
        losses.clear()
        if curve[-1][2] > best.mrr:
            best = Fit(_copied(weights), step, curve[-1][2], ())
        if on_progress is not None:
            on_progress(step, course.steps, best.mrr)
        if step - best.step >= course.patience * course.every:
            break
    return replace(best, curve=tuple(curve))


@contextmanager
def one_thread(torch: Any) -> Iterator[None]:
    """The matrices are small: threads that wait for one another cost more than they save, and sums stay the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _batches(taught: Sequence[Example], size: int, rng: np.random.Generator) -> Iterator[list[Example]]:
    """Without end: every example once, then all again in another order."""
    while True:
        order = rng.permutation(len(taught))
        for start in range(0, len(order), size):
            yield [taught[place] for place in order[start : start + size]]


def tensors(torch: Any, inputs: Any) -> Any:
    """A network's inputs with every array and graph as a dense float32 tensor."""

    def converted(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(converted, value))
        return torch.tensor(value.dense() if isinstance(value, Adjacency) else value, dtype=torch.float32)

    return replace(inputs, **{f.name: converted(getattr(inputs, f.name)) for f in fields(inputs)})


def _copied(weights: Any) -> dict[str, Any]:
    return {name: value.detach().numpy().copy() for name, value in weights.items()}


def _cross_entropy(torch: Any, scores: Any, relevant: Any) -> Any:
    return -torch.log_softmax(scores, 0)[torch.tensor(relevant)].mean()


def _rank(torch: Any, scores: Any, relevant: Any) -> Any:
    good = torch.tensor(relevant)
    return (1 - (scores[good][:, None] - scores[~good])).clip(min=0).mean()


LOSSES: dict[str, Callable[[Any, Any, Any], Any]] = {"rank": _rank, "cross_entropy": _cross_entropy}
