"""Getting numbers out of what a model wrote. Never evaluated, never trusted, never raising."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from tamis.values.calls import Generated

Form = Literal["clean", "permissive", "none"]

THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
ANSWER_START = ("{", "```")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
LINE = re.compile(
    r"doc(?:ument)?\W{0,4}(?P<number>-?\d{1,9})\W{1,20}relevance\W{0,4}?(?P<score>-?\d{1,20}(?!\d)(?:\.\d+)?)",
    re.IGNORECASE,
)
ANSWER_OPENS = re.compile(r"<answer>", re.IGNORECASE)
ANSWER_CLOSES = re.compile(r"</answer>", re.IGNORECASE)
NAMED = re.compile(r"\b(?:passage|document|doc|psg)[ _#]{0,2}\[?(\d{1,9})\b\]?", re.IGNORECASE)
ENUMERATION = re.compile(r"(?<!\S)\d{1,3}[.)]\s{1,3}(?=\[)")
CLEAN = re.compile(r"\[\d{1,9}\](?:\s?[>=]\s?\[\d{1,9}\])*")
CHAIN = re.compile(r"(?<!\d)\[?\d{1,9}\]?(?:\s{0,9}[>=≻→]\s{0,9}\[?\d{1,9}\]?)+(?!\d)")
BRACKETED = re.compile(r"\[(?=[^\]\d]{0,20}\d)([\d\s,;'\"]{1,4000})\]")
NUMBERS_ONLY = re.compile(r"[\s,;>]*\d{1,9}(?:[\s,;>]+\d{1,9})*[\s,;>]*\.?")
LETTERS_ONLY = re.compile(
    r"\W{0,9}(?:passage|document|answer)?\W{0,9}[A-Z](?:[\s,;>\[\]()]{1,9}[A-Z])*\W{0,9}", re.IGNORECASE
)
SCORE_PAIR = re.compile(r"\[?\b(\d{1,9})\]?[\"']?\s{0,3}[:=]\s{0,3}[\"']?(-?\d{1,9}(?:\.\d{1,9})?)(?![\d.]*\d)")
CUT_NUMBER = re.compile(r"[\[\"']{0,2}-?\d*\.?\d*\s*\Z")
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
    """0-based indices in the order a model named them, each once: see `read_order`."""
    return read_order(text, count)[0]


def read_order(text: str, count: int) -> tuple[list[int], Form]:
    """(0-based indices, best first, each once; how well the answer kept to the form) from what a model wrote.

    `"clean"`: nothing but `[2] > [1]` with every number of 1..`count` once. `"permissive"`: the longest chain of
    numbers joined by `>` (by `=` where they tie; the later chain of two alike), else all bracketed numbers or
    `passage 2`-like names in reading order, else a line of nothing but numbers. `"none"`: no such thing; numbers in
    prose are no identifiers. Of repeats the first counts, numbers out of range are ignored, thinking is cut, other
    digits (`２`, `②`) are read as 2. Source of the cleaning rules: RankGPT, rank_llm.

    >>> read_order("20 passages are provided.", 20)
    ([], 'none')
    >>> read_order("12] > [13] > [12] > [40]", 20)
    ([11, 12], 'permissive')
    """
    text = unicodedata.normalize("NFKC", final_answer(text))
    if CLEAN.fullmatch(text):
        order = _places(text, count)
        if len(order) == count == text.count("["):
            return order, "clean"
    text = ENUMERATION.sub("", NAMED.sub(r"[\1]", text))
    whole_lines = {line.strip() for line in text.splitlines()}
    chains = [chain for chain in CHAIN.findall(text) if "[" in chain or chain in whole_lines]
    found = [_places(chain, count) for chain in chains] or [_places(" ".join(BRACKETED.findall(text)), count)]
    order = max(reversed(found), key=len)
    if not order:
        lines = [line for line in text.splitlines() if NUMBERS_ONLY.fullmatch(line)]
        order = max((_places(line, count) for line in reversed(lines)), key=len, default=[])
    return order, "permissive" if order else "none"


def _places(chain: str, count: int) -> list[int]:
    """Indices in the order written, each once; numbers joined by `=` in rising order."""
    order: list[int] = []
    for level in re.split(r"[^\d=\[\] ]", chain) if "=" in chain else [chain]:
        numbers = [int(number) - 1 for number in re.findall(r"\d{1,9}", level)]
        order += sorted(numbers) if "=" in level else numbers
    return list(dict.fromkeys(place for place in order if 0 <= place < count))


def uncut(answer: Generated) -> str:
    """What was written, without the number at its end that the token limit may have cut.

    >>> uncut(Generated("[12] > [1", complete=False))
    '[12] > '
    """
    return answer.text if answer.complete else CUT_NUMBER.sub("", answer.text)


def final_answer(text: str) -> str:
    """What follows the thinking; inside the last `<answer>` tag, where there is one."""
    text = answer_text(text)
    tagged = [ANSWER_CLOSES.split(part, 1)[0].strip() for part in ANSWER_OPENS.split(text)[1:]]
    return next((inner for inner in reversed(tagged) if inner), text)


def read_letters(text: str, letters: Sequence[str]) -> tuple[list[int], Form]:
    """As `read_order`, for identifiers that are single letters: from `[B] > [A]`, or a line that is `B`, `(B)`,
    `Passage B` or `B > A`. Letters inside words are no identifiers.

    >>> read_letters("Sure, AB", ["A", "B"])
    ([], 'none')
    """
    text = unicodedata.normalize("NFKC", final_answer(text))
    index = {letter: place for place, letter in enumerate(letters)}
    if text in index:
        return [index[text]], "clean"
    named = re.findall(r"\[\s{0,3}([A-Z])\s{0,3}\]", text)
    if not named:
        lines = [line for line in text.splitlines() if LETTERS_ONLY.fullmatch(line)]
        named = re.findall(r"\b[A-Z]\b", lines[-1]) if lines else []
    order = list(dict.fromkeys(index[letter] for letter in named if letter in index))
    clean = len(order) == len(named) == len(index) and bool(re.fullmatch(r"\[[A-Z]\](?: > \[[A-Z]\])*", text))
    return order, "clean" if clean else "permissive" if order else "none"


def read_scores(text: str, count: int, low: float, high: float) -> tuple[list[float | None], Form]:
    """(a score or `None` for each of `count` passages, form) from a JSON object that maps numbers to scores.

    `"clean"`: one object with every number of 1..`count` once and all scores within `low`..`high`. Otherwise
    everything that looks like `"[2]": 7` counts, the first for each number; scores out of range are clipped. What is
    not named has no score: never 0.

    >>> read_scores('{"1": 7, "[2]": "3", "9": 1', 2, 0, 10)
    ([7.0, 3.0], 'permissive')
    """
    text = unicodedata.normalize("NFKC", final_answer(text))
    found: dict[int, float] = {}
    whole = next(json_objects(text), {})
    for key, value in whole.items():
        place, score = index(str(key).strip("[] "), count), number(value)
        if place is not None and score is not None and not isinstance(value, Mapping):
            found.setdefault(place, score)
    tidy = 0 < len(found) == count == len(whole) and all(low <= score <= high for score in found.values())
    if not found:
        for name, said in SCORE_PAIR.findall(text):
            if 1 <= int(name) <= count:
                found.setdefault(int(name) - 1, float(said))
    scores = [float(min(high, max(low, found[place]))) if place in found else None for place in range(count)]
    return scores, "clean" if tidy else "permissive" if found else "none"
