"""Getting numbers out of what a model wrote. Never evaluated, never trusted, never raising."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
ANSWER_START = ("{", "```")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
LINE = re.compile(
    r"doc(?:ument)?\W{0,4}(?P<number>-?\d{1,9})\W{1,20}relevance\W{0,4}?(?P<score>-?\d{1,20}(?!\d)(?:\.\d+)?)",
    re.IGNORECASE,
)
DECODER = json.JSONDecoder(parse_int=float, strict=False)
OBJECT = re.compile(r'\{\s*"')
MISSES, REREADS = 1_000, 8


def answer_text(text: str) -> str:
    """`text` without the model's thinking. An answer that begins as JSON has none, whatever it speaks of."""
    text = text.strip()
    if text.startswith(ANSWER_START):
        return text
    if "</think>" in text:
        text = text.rpartition("</think>")[2]
    return THOUGHT.sub("", text).strip()


def json_objects(text: str) -> Iterator[Mapping[str, Any]]:
    """Every JSON object with a key in `text`, outermost first, whatever stands around it. Numbers are floats.

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
        value = found.group() if found else None
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


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
            found.setdefault(int(match["number"]), float(match["score"]))
    return list(found.items())


def permutation(text: str, count: int) -> list[int]:
    """0-based indices in the order a model named them, each once: from `[2] > [1]`, a JSON list or plain numbers.

    Numbers out of range and repeats are ignored. What is missing is missing: an empty list means nothing usable.
    """
    text = answer_text(text)
    bracketed = re.findall(r"\[\s*(\d{1,9})\s*\]", text)
    named = bracketed or re.findall(r"(?<![\d.])\d{1,9}(?![\d.]*\d)", text)
    return list(dict.fromkeys(int(name) - 1 for name in named if 1 <= int(name) <= count))
