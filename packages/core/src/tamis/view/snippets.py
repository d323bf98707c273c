"""Where a passage speaks of the query: its words marked, and the part of a long text that holds most of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from tamis.text.normal import folded
from tamis.text.terms import STOPWORDS, UNSPACED, marked_word, terms
from tamis.view.wording import cut

LEAD = 40
"""Characters shown before the first marked word."""
READ = 20_000
"""Characters of a passage that are searched, and shown where all of it is."""

Span = tuple[int, int, str]
"""Start, end and the term that the words of a text share with the query."""


def query_terms(query: str) -> frozenset[str]:
    """The terms of a query that say what it is about; all of them where it has only common words."""
    found = frozenset(terms(query))
    return found - STOPWORDS or found


def spans(text: str, wanted: frozenset[str]) -> list[Span]:
    """Where the words of a text are that have a term among `wanted`, in order and without overlaps.

    >>> spans("Two kettles boil", frozenset({"kettle"}))
    [(4, 11, 'kettle')]
    """
    return list(_spans(text, wanted)) if wanted else []


def _spans(text: str, wanted: frozenset[str]) -> Iterator[Span]:
    for word in marked_word().finditer(text):
        end = word.start()
        for run in UNSPACED.finditer(text, word.start(), word.end()):
            yield from _word(text, end, run.start(), wanted)
            yield from _pairs(text, run.start(), run.end(), wanted)
            end = run.end()
        yield from _word(text, end, word.end(), wanted)


def _word(text: str, start: int, end: int, wanted: frozenset[str]) -> Iterator[Span]:
    if start < end and (shared := wanted.intersection(terms(text[start:end]))):
        yield start, end, min(shared)


def _pairs(text: str, start: int, end: int, wanted: frozenset[str]) -> Iterator[Span]:
    """In a script without spaces: the pairs of characters that the query has, joined where they overlap."""
    if end - start == 1:
        yield from _word(text, start, end, wanted)
    begun = -1
    term = ""
    for at in range(start, end):
        pair = folded(text[at : at + 2]) if at + 1 < end else ""
        if pair in wanted:
            begun, term = (at, pair) if begun < 0 else (begun, term)
        elif begun >= 0:
            yield begun, at + 1, term
            begun = -1


def window(text: str, found: Sequence[Span], length: int) -> tuple[int, int]:
    """The part of a text, of at most `length` characters, that holds the most different terms, then the most words,
    then comes first."""
    if len(text) <= length:
        return 0, len(text)
    best, start = (0, 0), 0
    ahead = 0
    for index, (begin, _, _) in enumerate(found):
        first = max(0, begin - LEAD)
        ahead = max(ahead, index)
        while ahead < len(found) and found[ahead][1] <= first + length:
            ahead += 1
        inside = found[index:ahead]
        score = (len({term for _, _, term in inside}), len(inside))
        if score > best:
            best, start = score, first
    if found and found[0][1] <= length and best <= _held(found, length):
        start = 0
    start = min(start, len(text) - length)
    if start:  # Not from the middle of a word, where one begins nearby.
        blank = text.find(" ", start, start + LEAD)
        start = blank + 1 if blank >= 0 else start
    return start, min(len(text), start + length)


def _held(found: Sequence[Span], length: int) -> tuple[int, int]:
    inside = [term for _, end, term in found if end <= length]
    return len(set(inside)), len(inside)


def snippet(text: str, wanted: frozenset[str], length: int) -> tuple[str, bool]:
    """A part of a text as HTML with the query's words marked, and whether that is all of it.

    >>> snippet("a kettle & a pot", frozenset({"kettle"}), 100)
    ('a <mark>kettle</mark> &amp; a pot', True)
    """
    read = text[:READ]
    found = spans(read, wanted)
    start, end = window(read, found, length)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    return before + marked(read, found, start, end) + after, not before and not after


def whole(text: str, wanted: frozenset[str]) -> str:
    """All of a text as HTML, marked; of a very long one the beginning, and how much more there is."""
    read = text[:READ]
    more = f" … and {len(text) - READ:,} more characters" if len(text) > READ else ""
    return marked(read, spans(read, wanted), 0, len(read)) + more


def marked(text: str, found: Sequence[Span], start: int, end: int) -> str:
    """A part of a text as HTML with spans marked; everything from outside is escaped."""
    parts, at = [], start
    for begin, stop, _ in found:
        if begin >= start and stop <= end:
            parts += [_safe(text[at:begin]), "<mark>", _safe(text[begin:stop]), "</mark>"]
            at = stop
    return "".join([*parts, _safe(text[at:end])]).rstrip()


def _safe(text: str) -> str:
    return escape(cut(text))
