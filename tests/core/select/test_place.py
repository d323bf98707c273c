"""Reading order: only the order changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, FirstStage, Place
from tamis.errors import ConfigError


@pytest.mark.parametrize(
    ("n", "order"),
    [(0, ()), (1, (0,)), (2, (0, 1)), (3, (0, 2, 1)), (6, (0, 2, 4, 5, 3, 1)), (7, (0, 2, 4, 6, 5, 3, 1))],
)
def test_the_best_stand_at_both_ends_and_the_worst_in_the_middle(n: int, order: tuple[int, ...]) -> None:
    assert Place().rerank("q", ["x"] * n).positions == order


def dated(*dates: Any, field: str = "date") -> list[Candidate]:
    return [Candidate(str(n), metadata={} if date is None else {field: date}) for n, date in enumerate(dates)]


def test_by_date_with_unknown_dates_last_and_ties_best_first() -> None:
    given_ = dated("2024-05-01", None, 2019, "2024-05-01", "nonsense", "2020-01-01")
    assert Place("oldest_first").rerank("q", given_).positions == (2, 5, 0, 3, 1, 4)
    assert Place("newest_first").rerank("q", given_).positions == (0, 3, 5, 2, 1, 4)
    nested = [Candidate("a", metadata={"meta": {"when": "2024"}}), Candidate("b", metadata={"meta": {"when": "2023"}})]
    assert Place("oldest_first", field="meta.when").rerank("q", nested).positions == (1, 0)


def test_by_source_in_the_order_of_the_best_of_each() -> None:
    sources = ["x", "y", None, "x", "y", None]
    given_ = dated(*sources, field="source")
    assert Place("by_source").rerank("q", given_).positions == (0, 3, 1, 4, 2, 5)


@given(
    order=st.sampled_from(["ends", "oldest_first", "newest_first", "by_source"]),
    dates=st.lists(
        st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5), st.datetimes(), st.lists(st.integers())),
        max_size=9,
    ),
)
def test_nothing_is_dropped_and_scores_stay_with_their_candidates(order: Any, dates: list[Any]) -> None:
    given_ = [Candidate(str(n), score=float(-n), metadata={"date": d, "source": d}) for n, d in enumerate(dates)]
    found = (FirstStage() | Place(order)).rerank("q", given_)
    assert sorted(found.positions) == list(range(len(given_)))
    assert all(ranked.score == -ranked.position for ranked in found.kept)
    assert not found.dropped
    assert not found.degraded


def test_dates_with_and_without_a_time_zone_compare() -> None:
    given_ = dated(datetime(2024, 1, 1), "2024-01-01T05:00:00+09:00", "Mon, 01 Jan 2024 01:00:00 +0000")
    assert Place("oldest_first").rerank("q", given_).positions == (1, 0, 2)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ConfigError, match="middle"):
        Place("middle")  # type: ignore[arg-type]


def test_by_source_of_another_field() -> None:
    sources = ["x", "y", "x"]
    given_ = [Candidate(str(n), metadata={"source": str(n), "site": site}) for n, site in enumerate(sources)]
    assert Place("by_source", field="site").rerank("q", given_).positions == (0, 2, 1)
