"""Points in time as people write them into metadata.

A table of forms that can mean only one thing, not a library that tries: python-dateutil and its kind read a date into
nearly any text (they fill what is missing from today, and take 05/06/2024 for one of two days), and a wrong date is
worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from numbers import Real
from typing import Any

from tamis.criteria.values import one
from tamis.text.normal import matched

FIRST_YEAR, LAST_YEAR = 1000, 2200
"""A whole number from the one to below the other is a year. A later date says that there is no end (9999-12-31), or
counts from another era: 2560 in Thailand is 2017."""
GREGORIAN = 1583
"""A day of an earlier year is more often one of another calendar (1447 of the Hijra is 2025) than one of ours."""
UNITS = ((10**8, 10**10, 1), (10**11, 10**13, 10**3), (10**14, 10**16, 10**6), (10**17, 10**19, 10**9))
"""Numbers from the first to below the second count this many parts of a second since 1970: s, ms, us, ns. All four are
the years 1973 to 2286."""
NO_END = 253402214400, 253402300800
"""9999-12-31 in seconds since 1970. In milliseconds the same numbers are two days of 1978, which they hardly mean."""

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
WEEKDAY = r"(?:(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
DAY, YEAR = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?", r"(?P<year>\d{4})"
ZONE = r"(?P<zone>z|utc?|gmt|[ecmp][sd]t|(?:utc|gmt)?\s?[+-]\d{1,2}(?::?\d{2})?)"
CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?(?:\s?(?P<half>[ap])\.?m\.?)?"
    rf"(?:\s?{ZONE}(?:\s?\([a-z ]+\))?)?"
)
TIME = rf"(?:(?:t|,?\s+|,?\s+at\s+){CLOCK})?"
COMPACT_TIME = r"(?:t?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?(?P<zone>z|[+-]\d{2}:?\d{2})?)?"
FORMS = [
    re.compile(form)
    for form in (
        rf"{YEAR}",
        rf"{YEAR}[-/.](?P<month>\d{{1,2}})",
        rf"{YEAR}(?P<sign>[-/.])(?P<month>\d{{1,2}})(?P=sign)(?P<day>\d{{1,2}}){TIME}",
        rf"{YEAR}\s?[年년.]\s?(?P<month>\d{{1,2}})\s?[月월.]\s?(?P<day>\d{{1,2}})\s?[日일.]?{TIME}",
        rf"{YEAR}(?P<month>\d{{2}})(?P<day>\d{{2}}){COMPACT_TIME}",
        rf"{YEAR}-w(?P<week>\d{{2}})(?:-(?P<weekday>\d))?",
        rf"{YEAR}-(?P<ordinal>\d{{3}})",
        rf"(?P<day>\d{{1,2}})\.\s?(?P<month>\d{{1,2}})\.\s?{YEAR}{TIME}",
        rf"(?P<one>\d{{1,2}})(?P<sign>[-/])(?P<other>\d{{1,2}})(?P=sign){YEAR}{TIME}",
        rf"{WEEKDAY}{DAY}(?:\s+|-|\.\s*|\s+of\s+){MONTH}(?:\s+|-|,\s*){YEAR}{TIME}",
        rf"{WEEKDAY}{MONTH}(?:\s+|-){DAY}(?:,\s*|\s+|-){YEAR}{TIME}",
        rf"{MONTH}(?:\s+|-|,\s*){YEAR}",
        rf"{YEAR}(?:\s+|-){MONTH}(?:(?:\s+|-){DAY}{TIME})?",
        rf"{WEEKDAY}{MONTH}\s+{DAY}\s+{CLOCK}\s+{YEAR}",
        rf"{WEEKDAY}{MONTH}\s+{DAY}\s+{CLOCK}\s+{YEAR}\s+(?P<offset>[+-]\d{{4}})",
        r"d:(?P<year>\d{4})(?:(?P<month>\d{2})(?:(?P<day>\d{2})(?:(?P<hour>\d{2})(?:(?P<minute>\d{2})(?P<second>\d{2})?)?)?)?)?"
        r"(?P<pdf>z(?:00'?00'?)?|[+-]\d{2}'?(?:\d{2})?'?)?",
    )
]
AMERICAN = {"e": 5, "c": 6, "m": 7, "p": 8}
"""Hours behind UTC of the four American zones that RFC 2822 names, in winter."""


def moment(value: Any) -> datetime | None:
    """A point in time, with its zone, UTC where none is given; `None` for what is none or could be another one.

    Read are: datetimes and dates, those of numpy and pandas; years; seconds, milliseconds, microseconds and nanoseconds
    since 1970, as any number or as text; `YYYYMMDD`; ISO 8601; dates of e-mail, of PDF files (`D:2024...`) and of
    MongoDB's JSON; year, month and day in this order; days with an English month; day, month and year between dots, or
    where one is above 12; a list of one of these. `05/06/2024` may be two days and is none. Nor are dates from 2200 on
    (no end, another era) and days before 1583 (another calendar).

    >>> moment("May 1, 2024").isoformat(), moment(1714521600000).isoformat(), moment("05/06/2024")
    ('2024-05-01T00:00:00+00:00', '2024-05-01T00:00:00+00:00', None)
    """
    try:
        when = _read(one(value))
        if when is None or when != when or when.year >= LAST_YEAR:
            return None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(when.tzinfo or UTC)
    except (ValueError, OverflowError, OSError, TypeError, ArithmeticError):
        return None


def _read(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if getattr(getattr(value, "dtype", None), "kind", None) == "M":
        return _read(value.astype("datetime64[us]").item())
    if isinstance(value, Mapping):
        inner = value.get("$date", value.get("$numberLong")) if len(value) == 1 else None
        return _read(inner)
    if isinstance(value, bool) or value is None or type(value).__name__ == "bool_":
        return None
    if isinstance(value, (Real, Decimal)):
        return _of_number(value if isinstance(value, Decimal) else Decimal(str(value)))
    return _of_text(value) if isinstance(value, str) else None


def _of_number(number: Decimal) -> datetime | None:
    """A year, a day as `YYYYMMDD`, `YYYYMMDDhhmmss`, or time since 1970 in one of four units."""
    if not number.is_finite():
        return None
    whole = number == number.to_integral_value()
    if whole and FIRST_YEAR <= number < LAST_YEAR:
        return datetime(int(number), 1, 1)
    if whole and len(digits := str(int(number))) in (8, 14):
        if (when := _of_form(digits)) is not None:
            return when
        if len(digits) == 14:
            return None
    if number == 0:
        return datetime.fromtimestamp(0, UTC)
    if any(NO_END[0] <= number / parts < NO_END[1] for _, _, parts in UNITS):
        return None
    for low, high, parts in UNITS:
        if low <= abs(number) < high:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(number * 1_000_000 / parts))
    return None


def _of_text(text: str) -> datetime | None:
    text = " ".join(matched(text).casefold().split()).strip("\"'")
    if re.fullmatch(r"[+-]?\d+(?:\.\d*)?(?:e\+?\d{1,2})?", text, re.ASCII):
        return _of_number(Decimal(text))
    return _of_form(text)


def _of_form(text: str) -> datetime | None:
    """The date in the one form that `text` has."""
    if len(text) > 100:
        return None
    for form in FORMS:
        if found := form.fullmatch(text):
            return _made({name: value for name, value in found.groupdict().items() if value is not None})
    return None


def _made(told: Mapping[str, str]) -> datetime | None:
    year = int(told["year"])
    if year < FIRST_YEAR:  # 0001-01-01 is how some programs write that there is none
        return None
    if year < GREGORIAN and len(told) > 1:
        return None
    day: date
    if "week" in told:
        day = date.fromisocalendar(year, int(told["week"]), int(told.get("weekday", 1)))
    elif "ordinal" in told:
        day = date(year, 1, 1) + timedelta(days=int(told["ordinal"]) - 1)
        if day.year != year:
            return None
    elif "one" in told:
        one, other = int(told["one"]), int(told["other"])
        if one <= 12 and other <= 12 and one != other:
            return None
        day = date(year, min(one, other), max(one, other)) if max(one, other) > 12 else date(year, one, other)
    else:
        month = told.get("month", "1")
        day = date(year, int(month) if month.isdigit() else MONTHS.index(month[:3]) + 1, int(told.get("day", "1")))
    if "hour" not in told:
        return datetime(day.year, day.month, day.day, tzinfo=_zone(told.get("pdf")))
    hour = int(told["hour"])
    if "half" in told:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if told["half"] == "p" else 0)
    second, part = int(told.get("second", "0")), int(told.get("part", "0").ljust(6, "0")[:6])
    late = (hour, int(told.get("minute", "0")), second, part) == (24, 0, 0, 0)
    zone = _zone(told.get("zone") or told.get("offset") or told.get("pdf"))
    when = datetime(
        day.year, day.month, day.day, 0 if late else hour, int(told.get("minute", "0")), min(second, 59), part, zone
    )
    if second > 60:
        return None
    return when + timedelta(days=late, seconds=second == 60)


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    name = text.removeprefix("utc").removeprefix("gmt").strip().replace("'", "").replace(":", "")
    if name in ("", "z", "z0000", "ut"):
        return UTC
    if name[0] in AMERICAN and name[0] not in "+-":
        return timezone(timedelta(hours=(name[1] == "d") - AMERICAN[name[0]]))
    digits = name[1:]
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-offset if name[0] == "-" else offset)
