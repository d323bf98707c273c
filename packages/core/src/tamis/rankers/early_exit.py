"""When to stop reading on: nothing new has come among the best for a while."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import PositiveInt

from tamis.parts.part import part


@part
class EarlyExit:
    """Score candidates in incoming order, `block` at a time, until none of the last `patience` ones is among the best
    `top`.

    What it is worth: the best `top` of those scored are exact. Nothing bounds what a cross-encoder says of a text it
    has not read, so one of the others may have belonged among them. If candidates further down are no likelier to
    belong there than the last `patience`, none of which did, then with 95 % confidence fewer than `3 / patience` of
    those left unread do (the rule of three: Hanley and Lippman-Hand, 1983): 20 unread after 40 without a find are at
    most 1.5. A good first stage, which sorts the likely ones to the front, makes it much less. Blocks go out one after
    the other, so a model asked over a network takes a round trip for each.
    """

    top: PositiveInt = 10
    patience: PositiveInt = 40
    block: PositiveInt = 20

    @property
    def least(self) -> int:
        """How many candidates are read at least: whole blocks."""
        return -(-(self.top + self.patience) // self.block) * self.block

    def settled(self, scores: Sequence[float | None]) -> bool:
        """Whether none of the last `patience` scores is among the best `top`. Unjudged candidates count as read."""
        early, late = scores[: -self.patience], scores[-self.patience :]
        best = sorted((score for score in early if score is not None), reverse=True)
        if len(best) < self.top:
            return False
        return all(score is None or score <= best[self.top - 1] for score in late)
