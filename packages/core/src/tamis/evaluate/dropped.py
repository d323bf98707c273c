"""What the stages of a pipeline dropped, by stage: scores of different stages do not compare."""

from __future__ import annotations

from itertools import groupby

from tamis.values.ranking import Ranked, Ranking


def by_stage(ranking: Ranking) -> list[list[Ranked]]:
    """The dropped candidates of each stage, the latest stage first. Stages in a row that drop for the same reason
    cannot be distinguished and are one group.

    >>> from tamis import Lexical, Threshold, TopN
    >>> ranking = (TopN(2) | Lexical() | Threshold(0.1)).rerank("tea", ["bread", "tea", "knife"])
    >>> [[ranked.text for ranked in group] for group in by_stage(ranking)]
    [['bread'], ['knife']]
    """
    groups = [[dropped.ranked for dropped in group] for _, group in groupby(ranking.dropped, lambda one: one.why)]
    return groups[::-1]
