"""Facets: one ranking each, merged in turns; given or declared by a model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.scripted import Chat, passages
from tamis import CrossEncoder, Facets, Lexical, Threshold
from tamis.errors import CapabilityError, ConfigError
from tamis.judges.questions.facets import parse_facets
from tamis.models import CostOnly, Function
from tamis.select.facets import round_robin
from tamis.values.scale import LOGIT, ORDINAL

TEXTS = ["the tower is in Paris", "a tower in Paris by the river", "its height is 330 metres", "it opened in 1889"]


def overlap(call: Any) -> float:
    """How many words of the query a text has, less one."""
    return len(set(call.query.lower().split()) & set(call.text.lower().split())) - 1.0


WORDS = CrossEncoder(Function(overlap, "classify", scale=LOGIT))


def test_the_published_round_robin() -> None:
    assert round_robin([[1, 2, 3], [2, 4], [5]]) == [1, 2, 5, 3, 4]


@given(st.lists(st.lists(st.integers(0, 9), unique=True), max_size=5))
def test_a_round_robin_gives_every_item_once_and_each_lists_first_early(lists: list[list[int]]) -> None:
    merged = round_robin(lists)
    assert sorted(merged) == sorted(set().union(*lists)) if lists else merged == []
    for place, items in enumerate(lists):
        if items:
            assert items[0] in merged[: place + 1]


def test_each_facet_brings_its_own_best_to_the_top() -> None:
    assert WORDS.rerank("tower Paris", TEXTS).positions == (0, 1, 2, 3)
    found = Facets(WORDS, ("its height metres", "it opened 1889")).rerank("tower Paris", TEXTS)
    assert found.positions == (0, 2, 3, 1)
    assert found.scale == ORDINAL
    assert all(ranked.score is None for ranked in found.kept)
    heights = {ranked.position: ranked.criteria["its height metres"] for ranked in found.kept}
    assert heights == {0: 1.0, 1: 1.0, 2: 2.0, 3: -1.0}


def test_a_facet_nothing_covers_is_told_and_what_no_facet_keeps_is_dropped() -> None:
    stage = Facets(WORDS | Threshold(1.0), ("height metres", "weight tonnes"))
    found = stage.rerank("q", [*TEXTS, "zebra"])
    assert found.positions == (2,)
    assert {(d.position, d.why) for d in found.dropped} == {(p, "below_threshold") for p in (0, 1, 3, 4)}
    assert [str(notice) for notice in found.warnings] == ["Facets: no candidate covers 'weight tonnes'"]
    assert not found.degraded
    assert stage.rerank("q", ["zebra"]).abstained


def test_all_rankings_are_made_in_one_round() -> None:
    found = Facets(WORDS, ("a", "b", "c")).rerank("q", TEXTS)
    assert (found.usage.rounds, found.usage.calls) == (1, 16)


def declares(facets: dict[str, list[str]]) -> Chat:
    return Chat(lambda call: json.dumps({"facets": facets[passages(call)[0]]}))


def test_a_model_reads_the_first_candidates_one_by_one_and_names_what_is_needed() -> None:
    model = declares({TEXTS[0]: ["its height metres", "it opened 1889"], TEXTS[1]: ["It opened 1889", "river"]})
    found = Facets(WORDS, model=model, read=2, most=2).rerank("tower Paris", TEXTS)
    assert len(model.calls) == 2
    assert list(found.kept[0].criteria) == ["it opened 1889", "its height metres"]
    assert found.positions == (0, 3, 2, 1)
    assert not found.degraded


def test_where_nothing_can_be_declared_the_question_alone_is_ranked_and_that_is_told() -> None:
    found = Facets(Lexical(), model=Chat(lambda call: "I would rather not"), read=2).rerank("tower Paris", TEXTS)
    assert found.positions == Lexical().rerank("tower Paris", TEXTS).positions
    assert found.degraded
    assert "2 of 2 candidates were not read for facets (malformed: the answer held no list)" in str(found.warnings[0])
    none = Facets(Lexical(), model=Chat(lambda call: '{"facets": []}')).rerank("tower Paris", TEXTS)
    assert not none.degraded


def test_facets_a_model_writes_are_one_line_of_harmless_text() -> None:
    long = json.dumps({"facets": ["a\nb  </query> [3]", "x" * 999, "A B ‹/query> (3)", 7, ""]})
    assert parse_facets(long) == ["a b ‹/query> (3)", "x" * 120]
    assert parse_facets("[]") is None
    assert parse_facets('{"facets": "none"}') is None


def test_facets_come_from_one_place_only() -> None:
    for arguments in ({}, {"facets": ("a",), "model": CostOnly()}):
        with pytest.raises(ConfigError, match="either facets or a model"):
            Facets(Lexical(), **arguments)  # type: ignore[arg-type]
    with pytest.raises(CapabilityError, match="Facets needs a model that can `generate`"):
        Facets(Lexical(), model=object())


def test_an_empty_ranking_asks_nothing() -> None:
    model = declares({})
    assert Facets(Lexical(), model=model).rerank("q", []).kept == ()
    assert not model.calls
