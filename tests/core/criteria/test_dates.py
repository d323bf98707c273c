"""Dates as people have them: read as the one date they can mean, or not at all."""

from __future__ import annotations

import email.utils
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.criteria.dates import moment

DAY = datetime(2023, 11, 7, tzinfo=UTC)
NOON = DAY + timedelta(hours=12, minutes=30)
SECONDS = int(NOON.timestamp())
READ: dict[str, tuple[Any, datetime]] = {
    "ms": (SECONDS * 1000, NOON),
    "us": (SECONDS * 10**6, NOON),
    "ns": (SECONDS * 10**9, NOON),
    "ms, float": (SECONDS * 1000.0, NOON),
    "ms, text": (f"{SECONDS}000", NOON),
    "s, text": (f" {SECONDS} ", NOON),
    "s, text with a part": (f"{SECONDS}.0", NOON),
    "s, scientific": (f"{SECONDS / 10**9}e9", NOON),
    "s before 1970": (-SECONDS, datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=SECONDS)),
    "numpy integer": (np.int64(SECONDS), NOON),
    "numpy float": (np.float64(SECONDS), NOON),
    "numpy date": (np.datetime64("2023-11-07"), DAY),
    "numpy time in ns": (np.datetime64("2023-11-07T12:30:00.000000000"), NOON),
    "decimal": (Decimal(SECONDS), NOON),
    "date": (date(2023, 11, 7), DAY),
    "compact": (20231107, DAY),
    "compact of numpy": (np.int32(20231107), DAY),
    "compact float": (20231107.0, DAY),
    "compact with time": (20231107123000, NOON),
    "compact ISO": ("20231107T123000Z", NOON),
    "PDF": ("D:20231107123000Z", NOON),
    "PDF with a zone": ("D:20231107143000+02'00'", NOON),
    "PDF, west": ("D:20231107073000-05'00", NOON),
    "PDF, to the minute": ("D:202311071230", NOON),
    "PDF, month": ("D:202311", datetime(2023, 11, 1, tzinfo=UTC)),
    "slashes": ("2023/11/07 12:30", NOON),
    "dots, year first": ("2023.11.7", DAY),
    "not padded": ("2023-11-7", DAY),
    "UTC in words": ("2023-11-07 12:30:00 UTC", NOON),
    "zone after a space": ("2023-11-07 14:30:00 +0200", NOON),
    "half an hour": ("2023-11-07T18:00+05:30", NOON),
    "nanoseconds": ("2023-11-07T12:30:00.000000000Z", NOON),
    "comma": ("2023-11-07 12:30:00,000", NOON),
    "end of the day": ("2023-11-06T24:00:00Z", DAY),
    "week": ("2023-W45-2", DAY),
    "day of the year": ("2023-311", DAY),
    "day first": ("7 November 2023", DAY),
    "ordinal": ("7th of Nov. 2023", DAY),
    "month first": ("November 7, 2023", DAY),
    "month first, short": ("Nov 7 2023 12:30 pm", NOON),
    "weekday": ("Tuesday, November 7, 2023 at 12:30 PM", NOON),
    "hyphens": ("07-Nov-2023", DAY),
    "year and month in words": ("2023 November 7", DAY),
    "e-mail": ("Tue, 07 Nov 2023 13:30:00 +0100 (CET)", NOON),
    "e-mail of America": ("Tue, 7 Nov 2023 07:30:00 EST", NOON),
    "C": ("Tue Nov  7 12:30:00 2023", NOON),
    "git": ("Tue Nov 7 13:30:00 2023 +0100", NOON),
    "shell": ("Tue Nov  7 12:30:00 UTC 2023", NOON),
    "month alone": ("November 2023", datetime(2023, 11, 1, tzinfo=UTC)),
    "dots": ("7.11.2023", DAY),
    "only one can be the day": ("13/11/2023", datetime(2023, 11, 13, tzinfo=UTC)),
    "only one can be the day, America": ("11/13/2023", datetime(2023, 11, 13, tzinfo=UTC)),
    "both the same": ("07/07/2023", datetime(2023, 7, 7, tzinfo=UTC)),
    "Japanese": ("2023年11月7日", DAY),
    "Korean": ("2023년 11월 7일", DAY),
    "full width": ("２０２３－１１－０７".replace("－", "-"), DAY),
    "MongoDB": ({"$date": {"$numberLong": f"{SECONDS}000"}}, NOON),
    "list of one": (["2023-11-07"], DAY),
    "set of one": ({20231107}, DAY),
    "array of one": (np.array([SECONDS]), NOON),
    "year as text": ("2023.0", datetime(2023, 1, 1, tzinfo=UTC)),
    "year of numpy": (np.float32(2023), datetime(2023, 1, 1, tzinfo=UTC)),
    "quoted": ('"2023-11-07"', DAY),
}
UNKNOWN: dict[str, Any] = {
    "day or month": "05/06/2024",
    "day or month, hyphens": "5-6-2024",
    "year of two digits": "07/11/23",
    "year of two digits, month": "7 Nov 23",
    "no such day": 20230231,
    "no such day as text": "2023-02-30",
    "no such month": "20231301",
    "no such hour": "2023-11-07T25:00",
    "no such weekday": "Foo, 07 Nov 2023",
    "serial of a spreadsheet": 45237,
    "too small for seconds": 12_345_678,
    "between units": 5 * 10**10,
    "month or number": 202311,
    "year or number": "2023.5",
    "not a time": np.datetime64("NaT"),
    "two dates": ["2023-11-07", "2023-11-08"],
    "none in a list": [None],
    "empty list": [],
    "boolean of numpy": np.bool_(True),
    "words around it": "updated 2023-11-07",
    "unknown zone": "2023-11-07 12:30 XYZ",
    "relative": "3 days ago",
    "placeholder": "0001-01-01T00:00:00Z",
    "n/a": "n/a",
    "long": "2023-11-07" + " " * 10 + "x" * 10**5,
    "complex": 1j,
}


@pytest.mark.parametrize(("value", "when"), READ.values(), ids=READ)
def test_a_form_that_means_one_date_is_read(value: Any, when: datetime) -> None:
    assert moment(value) == when


@pytest.mark.parametrize("value", UNKNOWN.values(), ids=UNKNOWN)
def test_what_may_be_another_date_is_none(value: Any) -> None:
    assert moment(value) is None


def test_the_time_of_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    assert moment(pandas.Timestamp("2023-11-07 12:30", tz="UTC")) == NOON
    assert moment(pandas.NaT) is None


YEARS = st.datetimes(datetime(1979, 1, 1), datetime(2199, 12, 30)).map(lambda when: when.replace(microsecond=0))
WRITTEN = [
    "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y%m%dT%H%M%S", "%Y%m%d%H%M%S", "D:%Y%m%d%H%M%S", "%d %B %Y %H:%M:%S",
    "%B %d, %Y %H:%M:%S", "%d-%b-%Y %H:%M:%S", "%a %b %d %H:%M:%S %Y", "%d.%m.%Y %H:%M:%S", "%A, %d %b %Y %I:%M:%S %p",
]  # fmt: skip


@given(YEARS, st.sampled_from(WRITTEN))
def test_every_date_in_every_form(when: datetime, form: str) -> None:
    assert moment(when.strftime(form)) == when.replace(tzinfo=UTC)


@given(YEARS, st.sampled_from([1, 10**3, 10**6, 10**9]), st.sampled_from([int, str, Decimal, np.int64]))
def test_every_time_since_1970_in_every_unit(when: datetime, parts: int, kind: Any) -> None:
    at = when.replace(tzinfo=UTC)
    seconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert moment(kind(seconds * parts)) == at


@given(YEARS, st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))))
def test_zones_are_kept(when: datetime, zone: timezone) -> None:
    at = when.replace(tzinfo=zone)
    assert moment(at.isoformat()) == at
    assert moment(email.utils.format_datetime(at)) == at


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1583, 2199))
def test_two_numbers_that_may_both_be_the_month_are_none(one: int, other: int, year: int) -> None:
    found = moment(f"{one:02}/{other:02}/{year}")
    assert (found is None) == (one != other)


@given(st.text() | st.from_regex(r"[0-9:/. DT+-]{4,24}") | st.integers() | st.floats() | st.decimals() | st.binary())
def test_whatever_it_is_it_raises_nothing(value: Any) -> None:
    found = moment(value)
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize(
    "value",
    [
        "2560-05-01",
        "1 May 2560",
        2560,
        "2560",
        "9999-12-31",
        datetime.max,
        "9999-12-31T23:59:59Z",
        "1447-05-12",
        "14470512",
    ],
)
def test_dates_without_end_and_of_other_calendars_are_unknown(value: object) -> None:
    assert moment(value) is None


@pytest.mark.parametrize("value", ["1215", 1215, "1789-07-14", "2199-12-31"])
def test_dates_of_the_past_are_read(value: object) -> None:
    assert moment(value) is not None
