"""Rows for preference training from choices that were tried: the best of a query against the worst."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tamis.values.calls import Message


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One choice of candidates, tried: the prompt, what the model wrote (`"[3], [1]"`), the answer a generator gave
    from the candidates chosen, and its reward (see `tamis.training.reward.answer_reward`)."""

    prompt: tuple[Message, ...]
    completion: str
    answer: str
    reward: float


def preference_rows(queries: Iterable[Sequence[Trajectory]]) -> Iterator[dict[str, Any]]:
    """One row per query: its best completion as `chosen`, its worst as `rejected`, as chat messages.

    The form is that of direct preference optimisation in training libraries (`prompt`, `chosen`, `rejected`). A query
    teaches nothing, and is left out, when all its answers or all its rewards are the same. Of equal rewards the first
    counts. Source: DynamicRAG (Sun et al., 2025).
    """
    for tried in queries:
        if len({trajectory.answer for trajectory in tried}) < 2:
            continue
        best, worst = max(tried, key=lambda t: t.reward), min(tried, key=lambda t: t.reward)
        if best.reward > worst.reward and best.completion != worst.completion:
            yield {
                "prompt": [{"role": message.role, "content": message.content} for message in best.prompt],
                "chosen": [{"role": "assistant", "content": best.completion}],
                "rejected": [{"role": "assistant", "content": worst.completion}],
            }


def to_jsonl(rows: Iterable[dict[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
