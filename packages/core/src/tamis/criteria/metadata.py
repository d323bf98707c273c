"""Criteria read from what is known about a candidate, not from its text."""

from __future__ import annotations

import email.utils
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import FiniteFloat

from tamis.criteria.sources import Source
from tamis.errors import ConfigError
from tamis.parts.numbers import Positive, Share
from tamis.parts.part import part
from tamis.stage.scoring import Given
from tamis.values.calls import Asking
from tamis.values.ranking import Ranked, Ranking

DAY = 86_400.0
YEAR_AND_MONTH = re.compile(r"\d{4}-\d{2}")


def lookup(metadata: Mapping[str, Any], path: str) -> Any:
    """`metadata[path]`, or nested by dots; `None` when absent."""
    value: Any = metadata
    for key in [path] if isinstance(metadata, Mapping) and path in metadata else path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def moment(value: Any) -> datetime | None:
    """A point in time from a datetime, date, ISO 8601 or e-mail date, a year, or Unix seconds; `None` if it is none.

    >>> moment("2024-05-01").isoformat()
    '2024-05-01T00:00:00+00:00'
    """
    try:
        if isinstance(value, datetime):
            when = value
        elif isinstance(value, date):
            when = datetime(value.year, value.month, value.day)
        elif isinstance(value, bool) or value is None:
            return None
        elif isinstance(value, (int, float)):
            when = datetime(int(value), 1, 1) if 1000 <= value < 3000 else datetime.fromtimestamp(value, UTC)
        else:
            when = _from_text(str(value).strip())
    except (ValueError, OverflowError, OSError, TypeError):
        return None
    if when != when:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _from_text(text: str) -> datetime:
    if text.isdigit() and len(text) == 4:
        return datetime(int(text), 1, 1)
    if YEAR_AND_MONTH.fullmatch(text):
        text = f"{text}-01"
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return email.utils.parsedate_to_datetime(text)


@part
class Recency(Source):
    """0.5 ** (age / half-life). An unknown date scores `unknown` (the middle by default); a future one scores 1.

    `now`: the moment ages are measured from; default: the newest date among the candidates, so that a ranking does not
    change with the day it is made.
    """

    field: str = "date"
    half_life_days: Positive = 365.0
    now: datetime | None = None
    unknown: Share | None = 0.5

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        yield from ()
        dates = [moment(lookup(ranked.candidate.metadata, self.field)) for ranked in head]
        known = [found for found in dates if found is not None]
        now = moment(self.now) or max(known, default=None)
        return [self.unknown if found is None or now is None else self._decay(found, now) for found in dates]

    def _decay(self, found: datetime, now: datetime) -> float:
        age = max(0.0, (now - found).total_seconds() / DAY)
        return 0.5 ** (age / self.half_life_days)


@part
class Authority(Source):
    """How far a source is trusted: `trust` maps values of `field` to 0..1, others score `unknown`.

    A value that names a host matches its domain too: `docs.python.org` finds `python.org`.
    """

    trust: Mapping[str, Share]
    field: str = "source"
    unknown: Share | None = 0.5

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        yield from ()
        trust = {key.casefold(): value for key, value in self.trust.items()}
        return [self._trust(trust, lookup(ranked.candidate.metadata, self.field)) for ranked in head]

    def _trust(self, trust: Mapping[str, float], value: Any) -> Given:
        name = str(value).casefold()
        if name in trust:
            return trust[name]
        name = _host(name)
        while name:
            if name in trust:
                return trust[name]
            name = name.partition(".")[2]
        return self.unknown


def _host(name: str) -> str:
    """The host of a URL, with or without its scheme."""
    try:
        return urlsplit(name if "://" in name else f"//{name}").hostname or ""
    except ValueError:
        return ""


@part
class Field(Source):
    """Any metadata field. Numeric: `low`..`high` maps to 0..1 (`low` > `high`: less is better), optionally on a log
    scale.
    Categorical: `values` maps each value to 0..1. What is missing or unreadable scores `unknown`.

    >>> Field("deprecated", values={"True": 0.0, "False": 1.0})
    Field(field='deprecated', low=None, high=None, log=False, values={'True': 0.0, 'False': 1.0}, unknown=0.5)
    """

    field: str
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    log: bool = False
    values: Mapping[str, Share] | None = None
    unknown: Share | None = 0.5

    def __post_init__(self) -> None:
        if self.values is None and (self.low is None or self.high is None or self.low == self.high):
            raise ConfigError(f"the criterion on field {self.field!r} needs `values`, or different `low` and `high`")
        if self.log and (self.low is None or self.high is None or min(self.low, self.high) <= 0):
            raise ConfigError(f"a log scale on field {self.field!r} needs low and high above 0")

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        yield from ()
        return [self._score(lookup(ranked.candidate.metadata, self.field)) for ranked in head]

    def _score(self, value: Any) -> Given:
        if self.values is not None:
            return self.values.get(str(value), self.unknown)
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return self.unknown
        low, high = self.low or 0.0, self.high or 0.0
        if math.isnan(number) or (self.log and number <= 0):
            return self.unknown
        if self.log:
            number, low, high = math.log(number), math.log(low), math.log(high)
        return min(1.0, max(0.0, (number - low) / (high - low)))
