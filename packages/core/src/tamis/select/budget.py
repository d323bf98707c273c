"""Keep what fits into N tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from tamis.parts.part import part
from tamis.stage.base import Selection
from tamis.text.tokens import fitting, truncate
from tamis.values.calls import Plan
from tamis.values.checks import whole
from tamis.values.model import ModelRef, token_counter
from tamis.values.ranking import Candidate, Notice, Ranked, Ranking, Why
from tamis.values.scale import Kind, Kinds

SHORTEST_PIECE = 32
LARGEST = 1e150
"""Worth is held below this, so that sums stay finite."""


@part
class TokenBudget(Selection):
    """Walk down the ranking and keep what fits into `tokens`; the others are dropped as `budget`.

    Tokens are those of title and text by the tokenizer of `model` (default: an estimate), and `overhead` more per
    candidate for what a prompt puts round it. A candidate too long for what is left is passed over (`full="skip"`) or
    ends the walk (`"stop"`). `truncate`: `"first"` cuts one that is too long for the whole budget when nothing comes
    before it, so that one huge text does not leave the context empty; `"last"` also cuts the first that does not fit,
    if 32 tokens are left, and ends there; `"never"`. A cut candidate has a shorter text, and a notice names it.

    Comes last. Budget = context window - prompt - what the answer needs.
    """

    tokens: PositiveInt
    model: ModelRef = None
    overhead: NonNegativeInt = 0
    full: Literal["skip", "stop"] = "skip"
    truncate: Literal["never", "first", "last"] = "first"

    drops: ClassVar[tuple[Why, ...]] = ("budget",)

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        count, left, open_ = token_counter(self.model), self.tokens, True
        kept: dict[int, Candidate] = {}
        cut: list[int] = []
        for index, ranked in enumerate(ranking.kept):
            room = left - self.overhead
            needed = fitting(ranked.candidate.full_text, room, count) if open_ else None
            if needed is not None:
                kept[index] = ranked.candidate
                left -= needed + self.overhead
            elif open_ and (shorter := self._cut(ranked.candidate, room, first=not kept)):
                kept[index] = shorter
                cut.append(ranked.position)
                open_ = False
            elif self.full == "stop":
                open_ = False
        inside = replace(
            ranking,
            kept=tuple(replace(r, candidate=kept[i]) if i in kept else r for i, r in enumerate(ranking.kept)),
        ).drop("budget", lambda index, ranked: index not in kept)
        said = f"TokenBudget: a text was cut to fit into {self.tokens} tokens"
        return inside.warn(Notice(said, tuple(cut), degraded=False)) if cut else inside

    def _cut(self, candidate: Candidate, room: int, *, first: bool) -> Candidate | None:
        """The candidate with as much of its text as `room` tokens hold, if this rule cuts here."""
        wanted = first if self.truncate == "first" else self.truncate == "last" and (first or room >= SHORTEST_PIECE)
        if not wanted:
            return None
        count = token_counter(self.model)
        room -= count(whole(f"{candidate.title}\n")) if candidate.title else 0
        text = truncate(candidate.text, room, lambda text: count(whole(text))) if room > 0 else ""
        return replace(candidate, text=text) if text.strip() else None


@part
class Knapsack(Selection):
    """Keep the set with the largest sum of scores whose `tokens` are within the budget; the others are dropped as
    `budget`. The order stays.

    Needs scores that add up: probabilities (see `Calibrate`) or grades; refuses others. Exact for up to 512 tokens,
    else up to steps of 1 / 512 of the budget, each candidate rounded up (0/1 dynamic programming). One without a score
    counts as much as the next one after it that has one. Blind to redundancy: put `NearDuplicates` in front. `model`,
    `overhead`: as in `TokenBudget`.
    """

    tokens: PositiveInt
    model: ModelRef = None
    overhead: NonNegativeInt = 0

    accepts: ClassVar[Kinds] = frozenset({"probability", "graded"})
    drops: ClassVar[tuple[Why, ...]] = ("budget",)

    def remedy(self, kind: Kind) -> str:
        return f"{super().remedy(kind)}, or use TokenBudget, which adds no scores up"

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        self.check_scale(ranking)
        count, most = token_counter(self.model), self.tokens - self.overhead
        found = [fitting(ranked.candidate.full_text, most, count) for ranked in ranking.kept]
        sizes = [self.tokens + 1 if tokens is None else tokens + self.overhead for tokens in found]
        chosen = set(pack(_worth(ranking.kept), sizes, self.tokens))
        return ranking.drop("budget", lambda index, ranked: index not in chosen)


def _worth(kept: Sequence[Ranked]) -> list[float]:
    worth: list[float] = []
    behind = 0.0
    for ranked in reversed(kept):
        behind = behind if ranked.score is None else min(LARGEST, max(0.0, ranked.score))
        worth.append(behind)
    return worth[::-1]


SLOTS = 512


def pack(values: Sequence[float], sizes: Sequence[int], capacity: int) -> list[int]:
    """Indices of the most valuable set whose sizes are within `capacity`; of equal sets the one with earlier items.
    What is worth nothing is left out."""
    step = -(-capacity // SLOTS)
    slots = capacity // step
    best = np.zeros(slots + 1)
    taken = np.zeros((len(values), slots + 1), dtype=bool)
    needs = [-(-size // step) for size in sizes]
    for index in reversed(range(len(values))):
        need = needs[index]
        if need > slots or values[index] <= 0:
            continue
        with_it = best[: slots + 1 - need] + values[index]
        taken[index, need:] = with_it >= best[need:]
        best[need:] = np.maximum(best[need:], with_it)
    chosen, left = [], slots
    for index in range(len(values)):
        if taken[index, left]:
            chosen.append(index)
            left -= needs[index]
    return chosen
