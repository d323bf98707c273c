"""From a `Ranking` back to a framework's documents, with one meaning in every adapter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from logging import Logger
from typing import Any

from tamis.text.tokens import left_of
from tamis.values.ranking import Candidate, Ranked, Ranking, finite

OnRanking = Callable[[Ranking], Any]


@dataclass(frozen=True, slots=True)
class Result:
    """One kept document.

    `position`: its index among the documents that were ranked. `score`: `None` where nothing scored it. `text`: its own
    text, cut where a token budget cut it. `notes`: what to add to its metadata.
    """

    position: int
    score: float | None
    text: str
    truncated: bool
    notes: dict[str, Any]


def results(
    ranking: Ranking,
    asked: Sequence[Candidate],
    content: Callable[[int], str],
    *,
    explained: bool = False,
    retrieval_score: bool = False,
    places: Sequence[int] | None = None,
) -> Iterator[Result]:
    """The kept documents, best first.

    Args:
        ranking: of `asked`.
        asked: the candidates as they were made of the documents; their texts may hold more than `content`.
        content: the document's own text, by position.
        explained: add the note `tamis`: what `explain` returns.
        retrieval_score: add the note `retrieval_score`, the score the document came with.
        places: index of each candidate in the caller's input, where that is not its position.
    """
    for ranked in ranking.kept:
        candidate, text, notes = asked[ranked.position], content(ranked.position), dict[str, Any]()
        if retrieval_score:
            notes["retrieval_score"] = candidate.score
        if explained:
            notes["tamis"] = explain(ranked, asked, places)
        truncated = ranked.text != candidate.text
        if truncated:
            text, notes["truncated"] = left_of(text, candidate.text, ranked.text), True
        score = None if ranked.score is None else float(ranked.score)
        yield Result(ranked.position, score, text, truncated, notes)


def explain(ranked: Ranked, asked: Sequence[Candidate], places: Sequence[int] | None = None) -> dict[str, Any]:
    """Why a document is where it is, as JSON-like data.

    `criteria`: its score on each criterion, `None` where there is none. `reason`: the model's own words, or `None`.
    `retrieval_rank`: its index in the input, from 0. `retrieval_score`: the score it came with, or `None`.
    `lifted_by`: the documents that raised it in a graph stage, strongest first: `position` (index in the input), `id`,
    `weight`, `channel` (the kind of edge, "" where there is one kind).

    >>> explain(Ranked(Candidate("a", score=0.5), 0), [Candidate("a", score=0.5)])["retrieval_score"]
    0.5
    """

    def place(position: int) -> int:
        return position if places is None else places[position]

    return {
        "criteria": {name: finite(value) for name, value in ranked.criteria.items()},
        "reason": ranked.reason,
        "retrieval_rank": place(ranked.position),
        "retrieval_score": asked[ranked.position].score,
        "lifted_by": [
            {
                "position": place(neighbour.position),
                "id": _plain(asked[neighbour.position].id),
                "weight": finite(neighbour.weight),
                "channel": neighbour.channel,
            }
            for neighbour in ranked.lifted_by
        ],
    }


def announce(on_ranking: OnRanking | None, ranking: Ranking, log: Logger) -> Ranking:
    """Call `on_ranking` with `ranking`, and return it. What the callback raises is logged: it never costs a result."""
    if on_ranking is None:
        return ranking
    try:
        result = on_ranking(ranking)
    except Exception:
        log.exception("the on_ranking callback raised; the ranking is returned all the same")
    else:
        if inspect.iscoroutine(result):
            result.close()
            log.error("the on_ranking callback returned a coroutine, which is never awaited: give a plain function")
    return ranking


def _plain(name: Any) -> Any:
    return name if name is None or isinstance(name, (str, int)) else str(name)
