"""Counting and cutting text by tokens when no tokenizer is at hand."""

from __future__ import annotations

from collections.abc import Callable

BYTES_PER_TOKEN = 4
WIDEST = 16
"""Characters per token: more than texts have."""
MARGIN = 64


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` has: UTF-8 bytes / 4, which suits English and stays honest for other scripts."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return (size + BYTES_PER_TOKEN - 1) // BYTES_PER_TOKEN


def most_tokens(text: str) -> int:
    """As `estimate_tokens`, but an upper bound for scripts that write no spaces: a byte outside ASCII is a token."""
    plain = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    return (plain + BYTES_PER_TOKEN - 1) // BYTES_PER_TOKEN + (len(text.encode("utf-8", "surrogatepass")) - plain)


def fitting(text: str, most: int, count: Callable[[str], int] = estimate_tokens) -> int | None:
    """How many tokens `text` has by `count`, or `None` where that is more than `most`. Of a text that is far too long
    only the beginning is counted.

    >>> fitting("a tall hill", 3), fitting("a tall hill" * 1_000_000, 3)
    (3, None)
    """
    beginning = WIDEST * max(0, most) + 1024
    # The margin: a word that is cut in two may have more tokens than the whole one.
    if most < 0 or (len(text) > 2 * beginning and count(text[:beginning]) > most + MARGIN):
        return None
    tokens = count(text)
    return tokens if tokens <= most else None


def truncate(text: str, max_tokens: int, count: Callable[[str], int] = estimate_tokens) -> str:
    """The longest prefix of `text` with at most `max_tokens` tokens by `count`, found by bisection."""
    if len(text) <= max_tokens:
        return text
    low, high = 0, min(len(text), WIDEST * max_tokens)
    if high == len(text) and count(text) <= max_tokens:
        return text
    while low < high:
        middle = (low + high + 1) // 2
        if count(text[:middle]) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def left_of(content: str, whole: str, cut: str) -> str:
    """What is left of `content`, the last thing in `whole` that reads so, when `whole` was cut to its beginning `cut`.

    White space around `content` may be missing in `whole`.

    >>> left_of("a tall mountain", "source: atlas\\na tall mountain", "source: atlas\\na tall")
    'a tall'
    """
    words = content.strip()
    start = whole.rfind(words)
    return cut[start : start + len(words)] if start >= 0 else content
