"""Metadata as people have it, and what is reported of a field that tells nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Candidate, Cover, MultiCriteria, Place, Stage
from tamis.criteria import Authority, Field, Recency, Source
from tamis.criteria.values import number
from tamis.values.ranking import Notice

NUMBERS: dict[str, tuple[Any, float | None]] = {
    "grouped": ("12,345.6", 12345.6),
    "grouped, continental": ("12.345,6", 12345.6),
    "grouped by spaces": ("1 234 567", 1234567.0),
    "grouped by narrow spaces": ("1\u202f234,5", 1234.5),
    "grouped by apostrophes": ("1'234.5", 1234.5),
    "grouped by commas alone": ("1,234", 1234.0),
    "two groups of points": ("1.234.567", 1234567.0),
    "one point": ("1.234", 1.234),
    "decimal comma": ("3,14", 3.14),
    "zero comma": ("0,125", 0.125),
    "thousands": ("12k", 12_000.0),
    "millions": ("3.4 M", 3.4e6),
    "currency": ("$1,299.00", 1299.0),
    "currency behind": ("1.299,00 €", 1299.0),
    "negative": ("-1,234", -1234.0),
    "minus sign": ("−5", -5.0),
    "scientific": ("1e3", 1000.0),
    "full width": ("４２", 42.0),
    "Arabic digits": ("٤٢", 42.0),
    "boolean": (True, 1.0),
    "boolean as text": ("no", 0.0),
    "numpy": (np.float32(2.5), 2.5),
    "numpy boolean": (np.bool_(True), 1.0),
    "decimal": (Decimal("2.5"), 2.5),
    "list of one": (["7"], 7.0),
    "groups of two": ("1,23,4", None),
    "two decimal signs": ("1,5,2", None),
    "mixed groups": ("1,234.567,8", None),
    "share": ("45%", None),
    "unit": ("12 kg", None),
    "range": ("10-20", None),
    "words": ("about 5", None),
    "two": ([1, 2], None),
    "missing": (float("nan"), None),
    "none": (None, None),
}


@pytest.mark.parametrize(("value", "found"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_with_separators(value: Any, found: float | None) -> None:
    assert number(value) == (None if found is None else pytest.approx(found))


@given(st.integers(0, 10**12), st.sampled_from([",", ".", " ", "'", "\u00a0", "\u202f"]))
def test_every_way_to_group_a_number(value: int, sign: str) -> None:
    written = f"{value:,}".replace(",", sign)
    if sign == "." and written.count(".") == 1:
        assert number(written) == float(written)  # a single point is a decimal point, as everywhere
    else:
        assert number(written) == value


@given(st.one_of(st.text(), st.binary(), st.floats(), st.decimals(), st.lists(st.text()), st.complex_numbers()))
def test_no_value_raises(value: Any) -> None:
    assert number(value) is None or isinstance(number(value), float)


def shares(source: Source, *values: Any) -> list[float | None]:
    ranking = MultiCriteria(criteria=[source]).rerank("q", [Candidate("a", metadata={"x": v}) for v in values])
    name = next(name for name in ranking.kept[0].criteria if name != "relevance")
    by_place = {r.position: r.criteria[name] for r in ranking.kept}
    most = 5.0
    return [None if (score := by_place[place]) is None else round(score / most, 3) for place in range(len(values))]


def test_booleans_in_any_form_are_one_value() -> None:
    source = Field("x", values={"True": 1.0, "False": 0.0})
    assert shares(source, True, "true", "YES", 1, "1", np.bool_(True), ["yes"]) == [1.0] * 7
    assert shares(source, False, "false", "No", 0, "off", "maybe") == [0.0] * 5 + [0.5]
    assert shares(Field("x", values={"yes": 0.8}), True, "y", "no") == [0.8, 0.8, 0.5]


def test_the_best_of_several_tags_counts() -> None:
    assert shares(Field("x", values={"gold": 1.0, "iron": 0.2}), ["iron", "gold"], ("iron",), ["tin"], []) == [
        1.0,
        0.2,
        0.5,
        0.5,
    ]
    assert shares(Authority({"example.org": 0.9}, field="x"), ["blog", "news.example.org"], {"blog"}) == [0.9, 0.5]


def test_addresses_are_known_by_their_site_however_they_are_written() -> None:
    for key in ("example.org", "www.example.org", "https://example.org", "https://www.Example.org/"):
        source = Authority({key: 0.9}, field="x")
        assert shares(
            source,
            "https://www.example.org/a?b=c",
            "EXAMPLE.org:8080",
            "info@example.org",
            "https://example.org.evil.net",
        ) == [0.9, 0.9, 0.9, 0.5], key


READERS: dict[str, Stage] = {
    "recency": MultiCriteria(criteria=[Recency("publishd")]),
    "authority": MultiCriteria(criteria=[Authority({"a": 1.0}, field="publishd")]),
    "number": MultiCriteria(criteria=[Field("publishd", low=0, high=1)]),
    "category": MultiCriteria(criteria=[Field("publishd", values={"a": 1.0})]),
    "cover": Cover(field="publishd"),
    "place by date": Place("newest_first", field="publishd"),
    "place by source": Place("by_source", field="publishd"),
}


def notices(stage: Stage, *metadata: dict[str, Any]) -> list[Notice]:
    ranking = stage.rerank("q", [Candidate(f"text {n}", metadata=m) for n, m in enumerate(metadata)])
    assert not ranking.degraded
    return list(ranking.warnings)


@pytest.mark.parametrize("stage", READERS.values(), ids=READERS)
def test_a_field_that_no_candidate_has_is_reported_with_close_names(stage: Stage) -> None:
    (notice,) = notices(stage, {"published": "2024-01-01", "source": "a"}, {"Published-At": "2024-01-02"})
    assert "'publishd'" in notice.message
    assert "'published'" in notice.message
    assert "'source'" not in notice.message


@pytest.mark.parametrize("stage", READERS.values(), ids=READERS)
def test_an_empty_field_and_no_metadata_at_all_are_reported(stage: Stage) -> None:
    (notice,) = notices(stage, {"publishd": None}, {"publishd": ""})
    assert "value" in notice.message
    (notice,) = notices(stage, {}, {})
    assert notice.message == "the candidates have no metadata: the field 'publishd' is unknown for all"


@pytest.mark.parametrize("name", ["recency", "authority", "number", "category", "place by date"])
def test_values_that_cannot_be_read_are_reported_with_examples(name: str) -> None:
    (notice,) = notices(READERS[name], {"publishd": "soon"}, {"publishd": "later"}, {})
    assert "'soon'" in notice.message
    assert notice.positions == (0, 1)


def test_an_ambiguous_date_is_reported_beside_those_that_are_read() -> None:
    (notice,) = notices(READERS["recency"], {"publishd": "2024-02-03"}, {"publishd": "02/03/2024"})
    assert "'02/03/2024'" in notice.message
    assert "year first" in notice.message
    assert notice.positions == (1,)


@pytest.mark.parametrize("name", ["authority", "category"])
def test_values_that_are_not_listed_are_no_news_where_others_are(name: str) -> None:
    assert not notices(READERS[name], {"publishd": "a"}, {"publishd": "b"})


def test_nested_fields_are_found_and_suggested() -> None:
    assert not notices(MultiCriteria(criteria=[Recency("meta.day")]), {"meta": {"day": "2024-01-01"}})
    (notice,) = notices(MultiCriteria(criteria=[Recency("meta.dya")]), {"meta": {"day": "2024-01-01"}})
    assert "'meta.day'" in notice.message
