"""From a ranking back to documents: the explanation, cut texts, and who is told."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, Lexical, Query, Ranking, TopN
from tamis.adapters.results import announce, explain, results
from tamis.values.ranking import Dropped, Neighbour, Ranked

log = logging.getLogger("some.adapter")
numbers = st.one_of(st.none(), st.floats(), st.floats(width=32).map(np.float32), st.integers(-9, 9))
ids = st.one_of(st.none(), st.text(), st.integers(), st.tuples(st.integers()), st.uuids())


@st.composite
def rankings(draw: Any) -> tuple[Ranking, list[Candidate]]:
    """What any pipeline may leave: some candidates, in any order, with odd scores and lifts."""
    size = draw(st.integers(1, 6))
    asked = [Candidate(f"text {n}", draw(ids), score=draw(st.one_of(st.none(), st.floats(-9, 9)))) for n in range(size)]
    order = draw(st.permutations(range(size)))
    ranked = [
        Ranked(
            asked[position],
            position,
            draw(st.one_of(st.none(), st.floats(-9, 9), st.floats(-9, 9).map(np.float64))),
            draw(st.dictionaries(st.text(max_size=3), numbers, max_size=2)),
            draw(st.one_of(st.none(), st.text())),
            tuple(Neighbour(draw(st.sampled_from(order)), draw(st.floats()), "words") for _ in range(n % 3)),
        )
        for n, position in enumerate(order)
    ]
    end = draw(st.integers(0, size))
    return Ranking(Query("q"), tuple(ranked[:end]), tuple(Dropped(one, "top_n") for one in ranked[end:])), asked


@given(made=rankings())
def test_results_are_json_and_each_is_the_document_it_says(made: tuple[Ranking, list[Candidate]]) -> None:
    ranking, asked = made
    got = list(results(ranking, asked, lambda position: asked[position].text, explained=True, retrieval_score=True))
    assert [result.position for result in got] == [ranked.position for ranked in ranking.kept]
    for result in got:
        assert type(result.score) in (float, type(None))
        assert result.text == asked[result.position].text
        assert not result.truncated
        assert set(result.notes) == {"tamis", "retrieval_score"}
        assert json.loads(json.dumps(result.notes, allow_nan=False)) == result.notes
        assert (
            result.notes["tamis"]["retrieval_score"] == result.notes["retrieval_score"] == asked[result.position].score
        )


def test_without_notes_there_are_none() -> None:
    asked = [Candidate("a"), Candidate("b")]
    got = list(results(Ranking.of("a", asked), asked, lambda position: asked[position].text))
    assert [result.notes for result in got] == [{}, {}]


def test_an_explanation_names_positions_in_the_callers_list() -> None:
    asked = [Candidate("a", "x", score=0.5), Candidate("b", "y")]
    ranked = Ranked(asked[1], 1, 2.0, {"depth": 3, "recency": math.nan}, "deep", (Neighbour(0, 0.25, "links"),))
    assert explain(ranked, asked, places=[4, 7]) == {
        "criteria": {"depth": 3.0, "recency": None},
        "reason": "deep",
        "retrieval_rank": 7,
        "retrieval_score": None,
        "lifted_by": [{"position": 4, "id": "x", "weight": 0.25, "channel": "links"}],
    }


@given(cut=st.integers(0, 30))
def test_a_cut_text_is_a_beginning_of_the_documents_own_text(cut: int) -> None:
    text = "a tall mountain"
    asked = [Candidate(f"source: atlas\n{text}")]
    short = Candidate(asked[0].text[:cut])
    ranking = Ranking(Query("q"), (Ranked(short, 0),))
    (result,) = results(ranking, asked, lambda position: text)
    assert text.startswith(result.text)
    assert result.truncated is (short.text != asked[0].text) is bool(result.notes.get("truncated"))


def test_what_a_callback_raises_is_logged_with_its_traceback_by_the_adapter(caplog: pytest.LogCaptureFixture) -> None:
    def broken(ranking: Ranking) -> None:
        raise KeyError("dashboard")

    ranking = (Lexical() | TopN(1)).rerank("a", ["a", "b"])
    assert announce(broken, ranking, log) is ranking
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("some.adapter", "ERROR")
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_not_swallowed(stop: type[BaseException]) -> None:
    def interrupted(ranking: Ranking) -> None:
        raise stop

    with pytest.raises(stop):
        announce(interrupted, Ranking.of("a", ["a"]), log)
