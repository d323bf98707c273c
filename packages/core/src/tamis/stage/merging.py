"""One ranking from what several stages made of the same candidates: arithmetic of `Fuse`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, pstdev

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


def standardised(shares: Sequence[Mapping[int, float | None]]) -> list[dict[int, float | None]]:
    """Scores by position, of each branch, less their mean and over their standard deviation, of the positions that all
    branches scored.

    >>> first, second = standardised([{0: 1.0, 1: 3.0, 2: 9.0}, {0: 5.0, 1: 5.0, 2: None}])
    >>> [round(share, 6) for share in first.values()], second
    ([-1.0, 1.0], {0: 0.0, 1: 0.0})
    """
    common = [place for place in shares[0] if all(share.get(place) is not None for share in shares)]
    return [dict(zip(common, _standard([share[place] or 0.0 for place in common]), strict=True)) for share in shares]


def _standard(values: Sequence[float]) -> list[float]:
    if not values:
        return []
    size = max(map(abs, values)) or 1.0
    parts = [value / size for value in values]
    spread = pstdev(parts)
    middle = fmean(parts)
    return [(part - middle) / spread if spread > 1e-12 else 0.0 for part in parts]


def drop_where_all_did(fused: Ranking, before: Ranking, branches: Sequence[Ranking]) -> Ranking:
    new = [{d.position: d for d in branch.dropped[len(before.dropped) :]} for branch in branches]
    gone = set.intersection(*(set(drops) for drops in new))
    dropped = tuple(Dropped(new[0][position].ranked, new[0][position].why) for position in sorted(gone))
    kept = tuple(ranked for ranked in fused.kept if ranked.position not in gone)
    return replace(fused, kept=kept, dropped=fused.dropped + dropped)
