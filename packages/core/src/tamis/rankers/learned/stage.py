"""The learned default as a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from tamis.parts.part import part
from tamis.stage.base import Stage
from tamis.stage.scoring import Depth, failure_notices, rescored
from tamis.values.calls import Plan
from tamis.values.model import ModelRef, require
from tamis.values.ranking import Notice, Ranked, Ranking
from tamis.values.scale import FUSION

if TYPE_CHECKING:
    from tamis.rankers.learned.match import Floats
    from tamis.rankers.learned.model import Mode

DIGITS = 2
"""Of a score; what is below is noise, and candidates that differ by less stay as they came."""


@part
class Learned(Stage):
    """Sort by a learned sum of what the pool itself tells: the first stage's score, the query's words and phrases, what
    they mean (static word vectors that come with the package), titles, feedback and neighbours. Needs no model.

    `embedder`: a model whose cosines are added; one `embed` call a text, all in one round.
    `unscored`: where no candidate has a score, or all the same, `"order"` takes the incoming order as the retriever's
    word and `"unknown"` as none. A candidate without a score among scored ones counts as one in the middle.
    `explain`: what each feature added to the score, in each candidate's `criteria`.
    Scale: `fusion` (comparable within one query). How it was made and how well it does: `CARD.md` beside this file.

    >>> Learned(unscored="unknown").rerank("tall mountain", ["a recipe", "a tall mountain"]).positions
    (1, 0)
    """

    embedder: ModelRef = None
    unscored: Literal["order", "unknown"] = "order"
    depth: Depth = None
    explain: bool = False

    def __post_init__(self) -> None:
        if self.embedder is not None:
            require(self.embedder, "embed", "Learned")

    def plan(self, ranking: Ranking) -> Plan:
        head = ranking.kept[: self.depth]
        cosines, notices = None, []
        if self.embedder is not None and head:
            cosines, notices = yield from self._cosines(ranking, head)
        if not head:
            return ranking
        import numpy as np

        from tamis.rankers.learned import model
        from tamis.rankers.learned.features import features
        from tamis.text import vectors as words

        mode, prior = self._prior(head)
        candidates = [ranked.candidate for ranked in head]
        found = features(ranking.query.text, candidates, words.packaged(), prior, cosines)
        parts = model.packaged().contributions(found, mode)
        scores = np.sum(list(parts.values()), axis=0).round(DIGITS) + 0.0
        done = rescored(ranking, scores.tolist(), FUSION)
        return (_explained(done, ranking, parts) if self.explain else done).warn(*notices)

    def _prior(self, head: Sequence[Ranked]) -> tuple[Mode, Floats | None]:
        import numpy as np

        from tamis.rankers.learned.features import spanned

        known = [ranked.candidate.score for ranked in head if ranked.candidate.score is not None]
        if known and min(known) < max(known):
            middle = float(np.median(known))
            scores = [middle if r.candidate.score is None else r.candidate.score for r in head]
            return "scores", spanned(np.array(scores) / max(map(abs, scores)))
        if self.unscored == "unknown":
            return "texts", None
        return "order", 1.0 / np.log2(2.0 + np.arange(len(head)))

    def _cosines(self, ranking: Ranking, head: Sequence[Ranked]) -> Any:
        """Of the embedder; those missing are taken as in the middle, and none is used where too little came back."""
        import numpy as np

        from tamis.stage.vectors import cosines

        found, failures = yield from cosines(self.embedder, ranking.query, head)
        known = [value for value in found if value is not None]
        notices = [_unembedded(notice) for notice in failure_notices("Learned", head, failures)]
        if len(known) * 2 <= len(head):
            return None, notices
        middle = float(np.median(known))
        return np.array([middle if value is None else value for value in found]), notices


def _unembedded(notice: Notice) -> Notice:
    return replace(
        notice, message=notice.message.replace("they keep their incoming order", "their place is owed to words alone")
    )


def _explained(done: Ranking, before: Ranking, parts: dict[str, Any]) -> Ranking:
    rows = {ranked.position: row for row, ranked in enumerate(before.kept)}
    judged = len(next(iter(parts.values())))
    kept = tuple(
        replace(ranked, criteria={**ranked.criteria, **{n: round(float(v[row]), 4) for n, v in parts.items()}})
        if (row := rows[ranked.position]) < judged
        else ranked
        for ranked in done.kept
    )
    return replace(done, kept=kept)
