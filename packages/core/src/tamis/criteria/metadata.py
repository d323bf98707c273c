"""Criteria read from what is known about a candidate, not from its text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import FiniteFloat

from tamis.criteria.dates import moment
from tamis.criteria.fields import lookup, unreadable
from tamis.criteria.sources import Source
from tamis.criteria.values import host, label, members, number, truth
from tamis.errors import ConfigError
from tamis.parts.numbers import Positive, Share
from tamis.parts.part import part
from tamis.stage.scoring import Given
from tamis.text.normal import folded
from tamis.values.calls import Asking
from tamis.values.ranking import Notice, Ranked, Ranking

DAY = 86_400.0

__all__ = ["Authority", "Field", "Recency", "lookup", "moment"]


@part
class Recency(Source):
    """0.5 ** (age / half-life). An unknown date scores `unknown` (the middle by default); a future one scores 1.
    `tamis.criteria.dates.moment` says which forms of dates are read; what is not is reported.

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

    def notices(self, head: Sequence[Ranked]) -> Sequence[Notice]:
        return unreadable(head, self.field, lambda value: moment(value) is not None, "dates", "write them year first")

    def _decay(self, found: datetime, now: datetime) -> float:
        age = max(0.0, (now - found).total_seconds() / DAY)
        return 0.5 ** (age / self.half_life_days)


@part
class Authority(Source):
    """How far a source is trusted: `trust` maps values of `field` to 0..1, others score `unknown`.

    A value that is an address matches its host and domain too: `https://docs.python.org/3` finds `python.org`. Of
    several values in a list the most trusted counts.
    """

    trust: Mapping[str, Share]
    field: str = "source"
    unknown: Share | None = 0.5

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        yield from ()
        known = self._known()
        found = [_best(lookup(ranked.candidate.metadata, self.field), known) for ranked in head]
        return [self.unknown if trust is None else trust for trust in found]

    def notices(self, head: Sequence[Ranked]) -> Sequence[Notice]:
        known = self._known()
        return unreadable(
            head, self.field, lambda value: _best(value, known) is not None, "names in `trust`", some=False
        )

    def _known(self) -> Callable[[Any], float | None]:
        trust = {folded(key).strip(): value for key, value in self.trust.items()}
        # A whole site may be written as an address.
        trust |= {host(key): value for key, value in trust.items() if "://" in key and host(key) not in trust}

        def known(value: Any) -> float | None:
            name = folded(label(value)).strip()
            if name in trust:
                return trust[name]
            name = host(name)
            while name:
                for spelled in (name, f"www.{name}"):
                    if spelled in trust:
                        return trust[spelled]
                name = name.partition(".")[2]
            return None

        return known


def _best(value: Any, known: Callable[[Any], float | None]) -> float | None:
    """The largest of what is known of the members of `value`; `None` where nothing is."""
    return max((found for member in members(value) if (found := known(member)) is not None), default=None)


@part
class Field(Source):
    """Any metadata field. Numeric: `low`..`high` maps to 0..1 (`low` > `high`: less is better), optionally on a log
    scale.
    Categorical: `values` maps each value to 0..1; booleans and words for them (`yes`, `false`) match one another, and
    of several values in a list the best counts. What is missing or unreadable scores `unknown`.
    `tamis.criteria.values.number` says which numbers are read; what is not is reported.

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
        found = [self._read(lookup(ranked.candidate.metadata, self.field)) for ranked in head]
        return [self.unknown if share is None else share for share in found]

    def notices(self, head: Sequence[Ranked]) -> Sequence[Notice]:
        wanted = "numbers" if self.values is None else "in `values`"
        return unreadable(
            head, self.field, lambda value: self._read(value) is not None, wanted, some=self.values is None
        )

    def _read(self, value: Any) -> float | None:
        if self.values is not None:
            return _best(value, self._of_value)
        found = number(value)
        low, high = self.low or 0.0, self.high or 0.0
        if found is None or (self.log and found <= 0):
            return None
        if self.log:
            found, low, high = math.log(found), math.log(low), math.log(high)
        return min(1.0, max(0.0, (found - low) / (high - low)))

    def _of_value(self, value: Any) -> float | None:
        known = self.values or {}
        name = label(value)
        if name in known:
            return known[name]
        said = truth(value)
        if said is None and name in ("0", "1"):
            said = name == "1"
        return next((share for key, share in known.items() if said is not None and truth(key) is said), None)
