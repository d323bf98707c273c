"""Getting numbers out of what a model wrote. Never evaluated, never trusted, never raising."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tamis.prompts.thoughts import DECODER, answer_text

NUMBER = re.compile(r"-?\d+(?:\.\d+|,\d+(?!\d|,\d))?")
"""A comma counts as a decimal point, except in a list of numbers."""
EXPONENT = re.compile(r"e[+-]?\d{1,9}", re.IGNORECASE)
THOUSANDS = re.compile(r"-?\d{1,3}(?:(?:\.\d{3}){1,4},\d|(?:,\d{3}){1,4}\.\d)")
"""With marks between thousands, of which nobody can tell which is the decimal point."""
DENIED = re.compile(r"(?:\b(?:not|never|below|under|less than)|n['’]t|[<≤])\s{0,3}\Z", re.IGNORECASE)
LINE = re.compile(
    r"doc(?:ument)?\W{0,4}(?P<number>-?\d{1,9})\W{1,20}relevance\W{0,4}?(?P<score>-?\d{1,20}(?!\d)(?:[.,]\d{1,20})?)",
    re.IGNORECASE,
)
OBJECT = re.compile(r'\{\s*"')
MISSES, REREADS = 1_000, 8


def json_objects(text: str) -> Iterator[Mapping[str, Any]]:
    """Every JSON object with a key in `text`, outermost first, whatever is around it. Numbers are floats.

    Code fences, prose and a missing end are no obstacle: an object inside a broken one is still found. Linear in the
    length of `text`: it ends after `MISSES` starts that lead nowhere, or when those have read it `REREADS` times over.

    >>> list(json_objects('Sure! ```json {"a": 1} ``` and {"b": [{"c": 2}, {"d":'))
    [{'a': 1.0}, {'c': 2.0}]
    """
    text = answer_text(text)
    misses = wasted = position = 0
    while misses < MISSES and wasted <= REREADS * len(text) and (found := OBJECT.search(text, position)):
        start, position = found.start(), found.start() + 1
        try:
            value, position = DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            misses, wasted = misses + 1, wasted + error.pos - start
        except RecursionError:
            misses, wasted = misses + 1, wasted + len(text) - start
        else:
            yield value


def nested(value: Any) -> Iterator[Mapping[str, Any]]:
    """`value` and every mapping inside it, outermost first, in the order they are written."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            yield item
            waiting.extend(reversed([*item.values()]))
        elif isinstance(item, list):
            waiting.extend(reversed(item))


def number(value: Any) -> float | None:
    """A finite number from a JSON value; text such as `"8/10"` or `"about 7"` gives its first number."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        found = NUMBER.search(value)
        if found is None or DENIED.search(value, max(0, found.start() - 12), found.start()):
            return None
        if THOUSANDS.match(value, found.start()):
            return None
        exponent = EXPONENT.match(value, found.end())
        value = decimal(found.group() + (exponent.group() if exponent else ""))
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def decimal(said: str) -> float:
    """What a number as `NUMBER` finds it is worth; a comma may stand for the point.

    >>> decimal("7,5")
    7.5
    """
    return float(said.replace(",", "."))


def within(values: Sequence[float], low: float, high: float) -> list[float]:
    """`values` brought into `low`..`high` so that none which differed are now alike and none change places.

    Where one lies beyond an end, the values in the outer hundredth at that end and those beyond it are spread evenly
    over that hundredth by their rank; all others stay as they are.

    >>> within([3, 12, 11], 0, 100), within([3, 112, 111], 0, 100)
    ([3, 12, 11], [3, 100, 99.5])
    """
    edge = (high - low) / 100
    found = list(values)
    for sign, inner, end in ((1, high - edge, high), (-1, low + edge, low)):
        if not any(sign * value > sign * end for value in values):
            continue
        beyond = sorted({value for value in values if sign * value > sign * inner}, key=lambda value: sign * value)
        places = {value: inner + sign * edge * (n / len(beyond)) for n, value in enumerate(beyond, 1)}
        places[beyond[-1]] = end
        found = [places.get(value, now) for value, now in zip(values, found, strict=True)]
    return found


def index(value: Any, count: int) -> int | None:
    """A 1-based passage number as a 0-based index, or `None` when it is no whole number in 1..count."""
    found = number(value)
    return int(found) - 1 if found is not None and found.is_integer() and 1 <= found <= count else None


def relevance_lines(text: str, count: int) -> list[tuple[int, float]]:
    """(number, score) pairs from `Doc: 2, Relevance: 13.5` lines: numbers in 1..count, each once, the first wins.

    >>> relevance_lines("Doc: 2, Relevance: 13.5\\nDoc: 0, Relevance: 9\\n- Doc: 1, Relevance: 7, good", 3)
    [(2, 13.5), (1, 7.0)]
    """
    found: dict[int, float] = {}
    for line in answer_text(text).splitlines():
        match = LINE.search(line)
        if match and 1 <= int(match["number"]) <= count:
            found.setdefault(int(match["number"]), decimal(match["score"]))
    return list(found.items())
