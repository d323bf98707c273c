"""Sources: where a criterion's score comes from when no language model grades it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, CrossEncoder, Lexical, Listwise, MultiCriteria, Pointwise, Ranking, TopN
from tamis.criteria import Authority, Clarity, Coverage, Criterion, Depth, Field, Incoming, Ranker, Recency, Source
from tamis.criteria.metadata import lookup, moment
from tamis.errors import ConfigError, ScaleError
from tamis.models import CostOnly, Function
from tamis.parts.part import part
from tamis.values.answers import Failure
from tamis.values.calls import Asking
from tamis.values.scale import (
    COSINE,
    FUSION,
    LEXICAL,
    LOG_LIKELIHOOD,
    LOGIT,
    ORDINAL,
    PROBABILITY,
    UNKNOWN,
    Scale,
    graded,
)


def units(source: Source, *candidates: Any, query: str = "q", scale: Scale = UNKNOWN) -> list[float | None]:
    """What `source` gives for `candidates`; the source must not ask any model."""
    ranking = Ranking.of(query, candidates, scale=scale)
    plan = source.scores(ranking, ranking.kept)
    with pytest.raises(StopIteration) as stop:
        next(plan)
    return list(stop.value.value)


def known(**metadata: Any) -> Candidate:
    return Candidate("text", metadata=metadata)


# Recency


@pytest.mark.parametrize(("days", "score"), [(0, 1.0), (365, 0.5), (730, 0.25), (182.5, 0.5**0.5), (3650, 0.5**10)])
def test_recency_halves_with_every_half_life(days: float, score: float) -> None:
    now = datetime(2024, 5, 1, tzinfo=UTC)
    assert units(Recency(now=now), known(date=now - timedelta(days=days))) == [pytest.approx(score)]


def test_ages_are_measured_from_the_newest_candidate_so_that_a_ranking_does_not_change_with_the_day() -> None:
    dated = [known(date="2020-01-31"), known(date="2020-01-01"), known()]
    assert units(Recency(half_life_days=30), *dated) == [1.0, 0.5, 0.5]


def test_unknown_dates_score_what_they_are_told_to() -> None:
    assert units(Recency(), known(), known(date="soon"), known(date=None)) == [0.5] * 3
    assert units(Recency(unknown=0.1), known(date="soon"), known(date="2024-01-01")) == [0.1, 1.0]
    assert units(Recency(unknown=None), known()) == [None]


def test_a_future_date_is_as_new_as_can_be() -> None:
    assert units(Recency(now=datetime(2024, 1, 1)), known(date="2050-01-01")) == [1.0]


MAY = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (MAY, MAY),
        (datetime(2024, 5, 1), MAY),
        (datetime(2024, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))), MAY),
        (date(2024, 5, 1), MAY),
        ("2024-05-01", MAY),
        ("20240501", MAY),
        (" 2024-05-01T00:00:00 ", MAY),
        ("2024-05-01 00:00", MAY),
        ("2024-05-01T00:00:00Z", MAY),
        ("2024-05-01T02:00:00+02:00", MAY),
        ("2024-05", MAY),
        ("Wed, 01 May 2024 00:00:00 GMT", MAY),
        ("Wed, 01 May 2024 02:00:00 +0200", MAY),
        ("1 May 2024 00:00:00 -0000", MAY),
        (1714521600, MAY),
        (1714521600.0, MAY),
        ("2024", datetime(2024, 1, 1, tzinfo=UTC)),
        (2024, datetime(2024, 1, 1, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1000, datetime(1000, 1, 1, tzinfo=UTC)),
        (2199, datetime(2199, 1, 1, tzinfo=UTC)),
    ],
)
def test_every_form_of_date(value: Any, when: datetime) -> None:
    assert moment(value) == when


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        "",
        "yesterday",
        "2024-13-45",
        "99999",
        "²²²²",
        math.nan,
        math.inf,
        1e300,
        [2024, 2025],
        999,
        3000,
        10_000_000,
        "05/06/2024",
        {},
        b"2024",
    ],
)
def test_what_is_no_date_is_none(value: Any) -> None:
    assert moment(value) is None


class NotATime(datetime):
    """Like pandas' NaT: a datetime that equals nothing, itself included."""

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = datetime.__hash__


def test_a_missing_time_of_a_data_frame_is_no_date() -> None:
    assert moment(NotATime(2024, 1, 1)) is None


@given(
    st.one_of(st.text(), st.integers(), st.floats(), st.datetimes(), st.dates(), st.binary(), st.lists(st.integers()))
)
def test_no_value_of_a_date_field_raises_and_scores_stay_in_the_unit(value: Any) -> None:
    found = moment(value)
    assert found is None or found.tzinfo is not None
    scores = units(Recency(), known(date=value), known(date="2024-05-01T00:00:00+05:00"), known(date=2024))
    assert all(score is not None and 0 <= score <= 1 for score in scores)


def test_times_with_and_without_zone_are_compared() -> None:
    made = units(Recency(half_life_days=1), known(date="2024-05-02T00:00:00"), known(date="2024-05-01T05:00:00+05:00"))
    assert made == [1.0, 0.5]


def test_fields_are_found_by_name_and_by_path() -> None:
    assert lookup({"a": {"b": 1}}, "a.b") == 1
    assert lookup({"a.b": 2, "a": {"b": 1}}, "a.b") == 2
    assert lookup({"a": 1}, "a.b") is None
    assert lookup({"a": None}, "a") is None
    assert lookup(None, "a") is None  # type: ignore[arg-type]


# Authority


TRUST = {"python.org": 0.9, "Reuters": 0.8, "internal/wiki": 0.7, "com": 0.2}


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("python.org", 0.9),
        ("docs.python.org", 0.9),
        ("https://docs.python.org/3/library/", 0.9),
        ("http://PYTHON.org", 0.9),
        ("https://docs.python.org:443/3/", 0.9),
        ("reuters", 0.8),
        ("internal/wiki", 0.7),
        ("evilpython.org", 0.5),
        ("python.org.evil.net", 0.5),
        ("https://evil.net/python.org", 0.5),
        ("https://evil.net?x=.python.org", 0.5),
        ("https://docs.python.org:x@evil.net/", 0.5),
        ("https://[python.org", 0.5),
        ("example.com", 0.2),
        ("", 0.5),
        (None, 0.5),
        (7, 0.5),
        (["python.org"], 0.9),
    ],
)
def test_authority_knows_a_domain_by_its_parts_and_is_not_fooled_by_lookalikes(value: Any, score: float) -> None:
    assert units(Authority(TRUST), known(source=value)) == [score]


def test_authority_reads_another_field_and_says_unknown() -> None:
    assert units(Authority({"a": 1.0}, field="meta.by", unknown=None), known(meta={"by": "A"}), known()) == [1.0, None]


# Field


@pytest.mark.parametrize(
    ("options", "value", "score"),
    [
        ({"low": 0, "high": 5}, 4, 0.8),
        ({"low": 0, "high": 5}, "4", 0.8),
        ({"low": 0, "high": 5}, 9, 1.0),
        ({"low": 0, "high": 5}, -9, 0.0),
        ({"low": 10, "high": 0}, 2, 0.8),
        ({"low": 0, "high": 1}, True, 1.0),
        ({"low": 1, "high": 10_000, "log": True}, 100, 0.5),
        ({"low": 1, "high": 10_000, "log": True}, 0, 0.5),
        ({"low": 1, "high": 10_000, "log": True}, math.inf, 1.0),
        ({"low": 0, "high": 5}, None, 0.5),
        ({"low": 0, "high": 5}, "many", 0.5),
        ({"low": 0, "high": 5}, math.nan, 0.5),
        ({"low": 0, "high": 5}, 10**400, 0.5),
        ({"low": 0, "high": 5}, [4], 0.8),
        ({"low": 0, "high": 5}, [4, 2], 0.5),
        ({"low": 0, "high": 5, "unknown": 0.0}, None, 0.0),
        ({"low": 0, "high": 5, "unknown": None}, None, None),
        ({"values": {"gold": 1.0, "silver": 0.6}}, "silver", 0.6),
        ({"values": {"gold": 1.0, "silver": 0.6}}, "Gold", 0.5),
        ({"values": {"True": 0.0, "False": 1.0}}, False, 1.0),
        ({"values": {"3": 0.25}}, 3, 0.25),
        ({"values": {"gold": 1.0}, "unknown": 0.1}, None, 0.1),
    ],
)
def test_a_field_of_any_kind(options: dict[str, Any], value: Any, score: float | None) -> None:
    assert units(Field("x", **options), known(x=value)) == [pytest.approx(score) if score is not None else None]


def test_a_missing_field_is_unknown() -> None:
    assert units(Field("x", low=0, high=5), known()) == [0.5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "'x' needs `values`, or different `low` and `high`"),
        ({"low": 1}, "needs `values`"),
        ({"low": 1, "high": 1}, "different"),
        ({"low": 0, "high": 5, "log": True}, "above 0"),
        ({"values": {"a": 2}}, "values.a.*2"),
        ({"low": math.nan, "high": 1}, "low.*nan"),
        ({"low": 0, "high": math.inf}, "high.*inf"),
    ],
)
def test_a_field_without_a_usable_range_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Field("x", **options)


# Features


def test_depth_grows_with_distinct_content_words_only() -> None:
    source = Depth()
    texts = ["", "the of and", "sieve", "sieve sieve sieve", "sieve flour", "sieve flour mesh drum"]
    nothing, stopwords, one, repeated, two, four = units(source, *texts)
    assert nothing == stopwords == 0
    assert one == repeated == pytest.approx(math.log(2) / math.log(121))
    assert one < two < four  # type: ignore[operator]
    assert units(source, " ".join(f"w{n}" for n in range(120))) == [1.0]
    assert units(source, " ".join(f"w{n}" for n in range(5_000))) == [1.0]


@given(st.lists(st.text("abc .", max_size=8), max_size=30), st.text("abcxyz ", max_size=30))
def test_more_words_never_make_a_text_shallower(words: list[str], more: str) -> None:
    less_, more_ = units(Depth(), " ".join(words), " ".join([*words, more]))
    assert less_ is not None
    assert more_ is not None
    assert less_ <= more_


def test_clarity_falls_with_the_distance_from_the_ideal_sentence_and_with_symbols() -> None:
    def sentence(words: int) -> str:
        return " ".join(["word"] * words) + "."

    ideal, long, longer, short, shorter, symbols, nothing = units(
        Clarity(), *map(sentence, (18, 40, 80, 9, 4)), "{}[]()<>;; x = $$ ++ -- //", "?!"
    )
    assert ideal is not None
    assert ideal > 0.95
    assert longer < long < ideal  # type: ignore[operator]
    assert shorter < short < ideal  # type: ignore[operator]
    assert symbols < shorter  # type: ignore[operator]
    assert nothing == 0


@pytest.mark.parametrize("options", [{"ideal": 0}, {"ideal": -1}, {"ideal": math.inf}, {"ideal": math.nan}])
def test_an_ideal_sentence_has_a_length(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="ideal"):
        Clarity(**options)


def test_coverage_is_the_share_of_the_querys_words_rare_ones_counting_more() -> None:
    made = units(Coverage(), "iso date", "date", "iso", "neither", "ISO dates!", query="the ISO date")
    both, common, rare, none, plural = made
    assert both == plural == 1
    assert none == 0
    assert common == rare == 0.5
    made = units(Coverage(), "date", "date", "iso", "date", query="ISO date")
    assert made[2] > 0.5 > made[0]  # type: ignore[operator]


def test_coverage_reads_the_title_too_and_falls_back_to_stopwords_and_to_unknown() -> None:
    assert units(Coverage(), Candidate("x", title="ISO"), query="iso") == [1.0]
    assert units(Coverage(), "to be", "not", query="to be") == [1.0, 0.0]
    assert units(Coverage(), "a", "b", query="?!") == [None, None]


@given(st.permutations(list("abcdefg")))
def test_coverage_of_every_word_is_one_in_whichever_order_they_are_summed(words: list[str]) -> None:
    texts = [" ".join("abcdefg"[: count + 1]) for count in range(7)] + [" ".join(words)]
    assert units(Coverage(), *texts, query=" ".join(words))[-1] == 1.0


@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=8), query=st.text(min_size=1).filter(str.strip))
@pytest.mark.parametrize("source", [Depth(), Clarity(), Coverage()])
def test_features_are_defined_in_the_unit_for_every_text(source: Source, texts: list[str], query: str) -> None:
    for score in units(source, *texts, query=query):
        assert (score is None and isinstance(source, Coverage)) or (score is not None and 0 <= score <= 1)


# Incoming and Ranker


@pytest.mark.parametrize(
    ("scale", "scores", "expected"),
    [
        (UNKNOWN, [3.0, 1.0, 2.0], [1.0, 0.0, 0.5]),
        (UNKNOWN, [3.0, None, 1.0], [1.0, None, 0.0]),
        (FUSION, [0.03, 0.01, 0.02], [1.0, 0.0, 0.5]),
        (LOG_LIKELIHOOD, [-1.0, -3.0, -2.0], [1.0, 0.0, 0.5]),
        (LEXICAL, [8.0, 0.0, 2.0], [1.0, 0.0, 0.25]),
        (PROBABILITY, [0.9, 0.0, 0.25], [0.9, 0.0, 0.25]),
        (LOGIT, [0.0, 800.0, -800.0], [0.5, 1.0, 0.0]),
        (COSINE, [0.7, -0.5, 1.0], [0.7, 0.0, 1.0]),
        (graded(0, 22.5), [22.5, 0.0, 11.25], [1.0, 0.0, 0.5]),
        (graded(1, 10), [10.0, 1.0, 5.5], [1.0, 0.0, 0.5]),
        (ORDINAL, [3.0, 1.0, 2.0], [1.0, 2 / 3, 1 / 3]),
        (UNKNOWN, [None, None], [1.0, 0.5]),
        (PROBABILITY, [], []),
    ],
)
def test_incoming_scores_are_mapped_by_their_scale_and_by_rank_where_there_are_none(
    scale: Scale, scores: Sequence[float | None], expected: list[float | None]
) -> None:
    candidates = [Candidate(str(n), score=score) for n, score in enumerate(scores)]
    made = units(Incoming(), *candidates, scale=scale)
    assert [None if score is None else pytest.approx(score) for score in made] == expected


def test_any_scoring_stage_is_a_source() -> None:
    lengths = Function(lambda call: len(call.text) / 4, "classify", scale=PROBABILITY)
    fixed = Criterion("fixed", weight=0, max=1, source=Depth())
    by = MultiCriteria(
        relevance=Criterion("length", max=1, weight=1, source=Ranker(CrossEncoder(lengths))), criteria=[fixed]
    )
    ranking = by.rerank("q", ["aa", "a", "aaaa"])
    assert [(r.text, r.score) for r in ranking.kept] == [("aaaa", 1.0), ("aa", 0.5), ("a", 0.25)]
    assert ranking.usage.calls == 3


def test_sources_are_asked_in_the_same_round() -> None:
    one, other = (Function(lambda call: 0.5, "classify", scale=PROBABILITY) for _ in range(2))
    criteria = [Criterion(name, source=Ranker(CrossEncoder(model))) for name, model in (("a", one), ("b", other))]
    assert MultiCriteria(criteria=criteria).rerank("q", ["x", "y"]).usage.rounds == 1


def test_a_stage_as_source_sees_the_scores_the_candidates_come_in_with() -> None:
    """Not those of the first stage, which are on another scale."""
    probability = Function(lambda call: 0.25 if call.text == "a" else 0.75, "classify", scale=PROBABILITY)
    again = Criterion("again", max=1, source=Ranker(MultiCriteria()))
    stage = CrossEncoder(probability) | MultiCriteria(criteria=[again])
    ranking = stage.rerank("q", [Candidate("a", score=35.2), Candidate("b", score=12.1)])
    assert {r.text: r.criteria["again"] for r in ranking.kept} == {"b": 0.75, "a": 0.25}


def test_what_a_stage_drops_or_cannot_score_is_unknown_to_its_source() -> None:
    def score(call: Any) -> Any:
        return Failure("error", "no") if call.text == "bad" else 0.75

    model = Function(score, "classify", scale=PROBABILITY)
    stage = MultiCriteria(criteria=[Criterion("model", source=Ranker(CrossEncoder(model)))])
    ranking = stage.rerank("q", ["bad", "good"])
    assert {r.text: r.criteria["model"] for r in ranking.kept} == {"bad": None, "good": 3.75}
    (notice,) = ranking.warnings
    assert (notice.degraded, notice.positions) == (True, (0,))
    assert "criterion 'model' is unknown for 1 of 2 candidates" in str(notice)
    assert "error: no" in str(notice)


def test_a_stage_that_only_orders_is_no_source() -> None:
    source = Ranker(Lexical() | Listwise(CostOnly()) | TopN(3))
    with pytest.raises(ScaleError, match="a criterion needs .* Listwise leaves ordinal ones"):
        MultiCriteria(criteria=[Criterion("order", source=source)])


@pytest.mark.parametrize(
    "stage", [Lexical(), CrossEncoder(CostOnly()), Pointwise(CostOnly()), Lexical() | MultiCriteria()]
)
def test_a_ranker_source_gives_units_in_input_order(stage: Any) -> None:
    criteria = [Criterion("by", max=1, source=Ranker(stage))]
    ranking = MultiCriteria(criteria=criteria).rerank("tall", ["x", "tall", "tall tree"])
    assert all(0 <= (r.criteria["by"] or 0) <= 1 for r in ranking.kept)
    assert len(ranking.kept) == 3


@part
class Shouting(Source):
    """A source of one's own: capitals are good; it cannot say of texts without letters."""

    def scores(self, ranking: Ranking, head: Sequence[Any]) -> Asking[Sequence[int | None]]:
        yield from ()
        return [int(r.text.isupper()) if r.text.isalpha() else None for r in head]


def test_a_source_of_ones_own_may_give_whole_numbers() -> None:
    ranking = MultiCriteria(criteria=[Shouting()]).rerank("q", ["a", "B", "3"])
    assert {r.text: r.criteria["shouting"] for r in ranking.kept} == {"a": 0, "B": 5, "3": None}
    assert not ranking.degraded


@pytest.mark.parametrize("source", [5, Recency, None, object()])
def test_what_is_no_source_is_refused_with_its_value(source: Any) -> None:
    with pytest.raises(ConfigError, match="source"):
        Criterion("x", source=source)
