"""Words of a text, for methods that count them."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain

WORD = re.compile(r"[^\W_]+")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
RUN = re.compile(r"\S+")
SENTENCE_END = re.compile(r"[.!?。！？]['\")\]”’]*$")
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")

STOPWORDS = frozenset(
    """
    a an and are as at be been but by can could did do does for from had has have how i if in into is it its me my no
    not of on or our should so than that the their them then there these they this those to was we were what when
    where which who why will with would you your
    """.split()
)


def terms(text: str) -> list[str]:
    """Lower-case word stems of `text` in order, `camelCase` and `snake_case` split.

    Scripts written without spaces give overlapping pairs of characters.

    >>> terms("Parsing ISO dates with dateTime_parser")
    ['parsing', 'iso', 'date', 'with', 'date', 'time', 'parser']
    """
    return list(chain.from_iterable(map(_of_word, WORD.findall(text))))


@lru_cache(maxsize=65_536)
def _of_word(word: str) -> tuple[str, ...]:
    """Terms of one run of letters and digits. Remembered: most words of a text were met before."""
    found: list[str] = []
    for part in CAMEL.split(word):
        if part.isascii() or not UNSPACED.search(part):
            found.append(stem(part.lower()))
        else:
            found.extend(_pairs(part))
    return tuple(found)


def _pairs(word: str) -> list[str]:
    return [word[i : i + 2] for i in range(len(word) - 1)] or [word]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Without an English plural ending. The weak "S stemmer" of Harman (1991)."""
    if len(word) > 3 and word.endswith("ies") and word[-4] not in "ae":
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    if len(word) > 3 and word.endswith("s") and word[-2] not in "us":
        return word[:-1]
    return word


COMMON = STOPWORDS | {stem(word) for word in STOPWORDS}
"""Stop words as `terms` writes them ("this" is the term "thi"): what to leave out where content counts."""


def passages(text: str, words: int, overlap: int, at_most: int) -> list[str]:
    """`text` as overlapping passages of at most `words` words; one at least, the whole where there are no spaces.

    One that is not the last ends with a sentence where one ends in its last `overlap` words. Of more than `at_most`, so
    many evenly spaced ones are taken, the first and the last among them. `overlap` must be less than half of `words`.
    """
    spans = [match.span() for match in RUN.finditer(text)]
    cut, start = [], 0
    while start < len(spans):
        stop = min(start + words, len(spans))
        if stop < len(spans):
            ends = range(stop, stop - overlap, -1)
            stop = next((end for end in ends if SENTENCE_END.search(text, *spans[end - 1])), stop)
        cut.append(text[spans[start][0] : spans[stop - 1][1]])
        if stop == len(spans):
            break
        start = stop - overlap
    if len(cut) > at_most:
        last = len(cut) - 1
        cut = [cut[round(place * last / max(1, at_most - 1))] for place in range(at_most)]
    return cut or [text]
