"""The learned default as a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tamis.parts.part import part
from tamis.stage.scoring import Limit, Scored, Scoring, failure_notices
from tamis.values.answers import Failure
from tamis.values.calls import Asking
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Notice, Ranked, Ranking
from tamis.values.scale import FUSION, Scale

if TYPE_CHECKING:
    from tamis.rankers.learned.first_stage import FirstStageSaid

DIGITS = 2
"""Of a score; what is below is noise, and candidates that differ by less stay as they came."""


@part
class Learned(Scoring):
    """Sort by a learned sum of what the pool itself tells: the first stage's score, the query's words and phrases, what
    they mean (static word vectors that come with the package), titles, feedback and neighbours. Needs no model.

    `embedder`: a model whose cosines are added; one `embed` call per text, all in one round.
    `unscored`: where no candidate has a score, or all the same, `"order"` takes the incoming order as the retriever's
    word and `"unknown"` as none. A candidate without a score among scored ones counts as one in the middle.
    `explain`: what each feature added to the score, in each candidate's `criteria`.
    Scale: `fusion` (comparable within one query). How it was made and how well it does: `CARD.md` beside this file.

    >>> Learned(unscored="unknown").rerank("tall mountain", ["a recipe", "a tall mountain"]).positions
    (1, 0)
    """

    embedder: ModelRef = None
    unscored: Literal["order", "unknown"] = "order"
    depth: Limit = None
    explain: bool = False

    scale: ClassVar[Scale] = FUSION

    def __post_init__(self) -> None:
        if self.embedder is not None:
            require(self.embedder, "embed", "Learned")

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Scored]:
        cosines, notices = None, []
        if self.embedder is not None:
            cosines, notices = yield from self._cosines(ranking, head)
        import numpy as np

        from tamis.rankers.learned import first_stage, model
        from tamis.rankers.learned.features import Read
        from tamis.text import vectors as words

        said = self._first_stage(head)
        read = Read(ranking.query.text, [ranked.candidate for ranked in head], words.packaged())
        found = {**read.plain, **read.guided(said.prior, cosines)}
        weights = model.packaged()
        parts = weights.contributions(found, said.mode)
        if said.worth is not None:
            parts[model.PRIOR] = parts[model.PRIOR] * weights.trust.times(
                *first_stage.signs(said, read, parts, cosines)
            )
        scores = np.sum(list(parts.values()), axis=0).round(DIGITS) + 0.0
        return Scored(scores.tolist(), _explained(head, parts) if self.explain else None, notices)

    def _first_stage(self, head: Sequence[Ranked]) -> FirstStageSaid:
        from tamis.rankers.learned import first_stage

        known = [ranked.candidate.score for ranked in head if ranked.candidate.score is not None]
        if known and min(known) < max(known):
            return first_stage.of_scores([ranked.candidate.score for ranked in head])
        return first_stage.NOTHING if self.unscored == "unknown" else first_stage.of_order(len(head))

    def _cosines(self, ranking: Ranking, head: Sequence[Ranked]) -> Any:
        """Of the embedder; those missing are taken as in the middle, and none is used where too little came back."""
        import numpy as np

        from tamis.stage.vectors import cosines

        found = yield from cosines(self.embedder, ranking.query, head)
        known = [value for value in found if not isinstance(value, Failure)]
        failures = [value if isinstance(value, Failure) else None for value in found]
        notices = [_unembedded(notice) for notice in failure_notices("Learned", head, failures)]
        if len(known) * 2 <= len(head):
            return None, notices
        middle = float(np.median(known))
        return np.array([middle if isinstance(value, Failure) else value for value in found]), notices


def _unembedded(notice: Notice) -> Notice:
    return replace(
        notice, message=notice.message.replace("they keep their incoming order", "they are ranked by their text alone")
    )


def _explained(head: Sequence[Ranked], parts: dict[str, Any]) -> list[Ranked]:
    """The candidates with what each feature added to their score."""
    return [
        replace(ranked, criteria={**ranked.criteria, **{n: round(float(v[row]), 4) for n, v in parts.items()}})
        for row, ranked in enumerate(head)
    ]
