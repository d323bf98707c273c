"""One ranking from what several stages made of the same candidates: arithmetic of `Fuse`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tamis.values.ranking import Dropped, Ranked, Ranking


def merge(ranked: Ranked, views: Sequence[Ranked | None], score: float | None) -> Ranked:
    """One candidate with the fused score and what every branch said of it."""
    criteria = {name: value for view in views if view for name, value in view.criteria.items()}
    reason = next((view.reason for view in views if view and view.reason), ranked.reason)
    lifted = tuple(dict.fromkeys(neighbour for view in views if view for neighbour in view.lifted_by))
    return replace(
        ranked,
        score=score,
        criteria=criteria or ranked.criteria,
        reason=reason,
        lifted_by=lifted or ranked.lifted_by,
    )


def drop_where_all_did(fused: Ranking, before: Ranking, branches: Sequence[Ranking]) -> Ranking:
    new = [{d.position: d for d in branch.dropped[len(before.dropped) :]} for branch in branches]
    gone = set.intersection(*(set(drops) for drops in new))
    dropped = tuple(Dropped(new[0][position].ranked, new[0][position].why) for position in sorted(gone))
    kept = tuple(ranked for ranked in fused.kept if ranked.position not in gone)
    return replace(fused, kept=kept, dropped=fused.dropped + dropped)
