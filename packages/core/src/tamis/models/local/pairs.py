"""Pairs of texts as a cross-encoder reads them: each query tokenised once, passages all together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tamis.errors import ConfigError
from tamis.models.local.plain_text import PlainText, control_tokens
from tamis.values.calls import Classify

Ids = list[int]
WIDEST = 16
"""Characters per token: this much of a long text is tokenised at first, the rest only where that is too short."""
MARGIN = 16
"""Tokens by which the beginning of a text must exceed its limit before its end is left unread."""


class Pair(NamedTuple):
    """The tokens of a query and a passage in one sequence, and their types (which of the two they belong to)."""

    ids: Ids
    types: Ids


class Form(NamedTuple):
    """What a tokenizer's post-processor puts around two texts, and the types of the texts' own tokens."""

    before: Pair
    between: Pair
    after: Pair
    first: int
    second: int

    def joined(self, first: Ids, second: Ids) -> Pair:
        """The sequence of two texts."""
        before, between, after = self.before, self.between, self.after
        return Pair(
            before.ids + first + between.ids + second + after.ids,
            before.types + [self.first] * len(first) + between.types + [self.second] * len(second) + after.types,
        )

    @property
    def specials(self) -> int:
        return len(self.before.ids) + len(self.between.ids) + len(self.after.ids)


def form_of(tokenizer: Any) -> Form:
    """Read off what a tokenizer makes of a pair. `ConfigError` unless it is the first text, then the second."""
    probe = tokenizer.encode("a", "a")
    places = [[index for index, owner in enumerate(probe.sequence_ids) if owner == text] for text in (0, 1)]
    if not all(places) or places[0][-1] > places[1][0]:
        raise ConfigError("the tokenizer does not put a pair as first text, then second text; a cross-encoder's must")
    (start, *_, end), (restart, *_, stop) = ([own[0], own[-1] + 1] for own in places)
    runs = (slice(0, start), slice(end, restart), slice(stop, None))
    before, between, after = (Pair(probe.ids[run], probe.type_ids[run]) for run in runs)
    return Form(before, between, after, probe.type_ids[start], probe.type_ids[restart])


class TextTokenizer:
    """Tokenises texts together with a private copy of a `tokenizers.Tokenizer`, which threads may share.

    All cores take part unless `TOKENIZERS_PARALLELISM` is `false`, without Python's global lock. `special`: whether the
    tokenizer's control tokens, spelled out in a text, are control tokens.
    """

    def __init__(self, tokenizer: Any, *, special: bool = True) -> None:
        own = type(tokenizer).from_str(tokenizer.to_str())
        own.no_truncation()
        own.no_padding()
        if not special:
            own.encode_special_tokens = True
        self.own = own
        self._plain = PlainText([] if special else control_tokens(own))
        self._encode = getattr(own, "encode_batch_fast", own.encode_batch)

    def tokens(self, texts: Sequence[str], room: int) -> list[Ids]:
        """Tokens of each text, none around it: all of them, or of a long text the first ones, more than `room`."""
        heads = [_beginning(text, WIDEST * room) for text in texts]
        read = list(map(self._plain, heads))
        found: list[Ids] = [encoding.ids for encoding in self._encode(read, add_special_tokens=False)]
        for index, (text, head) in enumerate(zip(texts, heads, strict=True)):
            if len(head) < len(text) and len(found[index]) < room + MARGIN:
                found[index] = self.own.encode(self._plain(text), add_special_tokens=False).ids
        return found


class PairTokenizer:
    """Tokenises (query, passage) pairs as a `tokenizers.Tokenizer` would one by one, except that control tokens spelled
    out in a query or a passage are plain text: a passage with `[SEP]` in it is still one segment.

    What does not fit `max_length` loses the end of the passage; where the query takes more than half of `max_length`,
    the longer of the two is cut first.
    """

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self._texts = TextTokenizer(tokenizer, special=False)
        self._max_length = max_length
        self._form = form_of(self._texts.own)
        self._room = max_length - self._form.specials

    def pairs(self, calls: Sequence[Classify]) -> list[Pair]:
        """One sequence a call."""
        asked = list(dict.fromkeys(call.query for call in calls))
        queries = dict(zip(asked, self._texts.tokens(asked, self._room), strict=True))
        passages = self._texts.tokens([call.text for call in calls], self._room)
        return [self._cut(queries[call.query], passage) for call, passage in zip(calls, passages, strict=True)]

    def _cut(self, query: Ids, passage: Ids) -> Pair:
        first, second = len(query), self._room - len(query)
        if first > min(self._max_length // 2, self._room):
            first, second = longest_first(first, len(passage), self._room)
        return self._form.joined(query[:first], passage[:second])


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """What is left of two lengths when tokens are taken from the longer one until both fit `room`.

    >>> longest_first(9, 4, 10), longest_first(9, 8, 11), longest_first(2, 3, 10)
    ((6, 4), (6, 5), (2, 3))
    """
    if first + second <= room:
        return first, second
    shorter = min(first, second, room // 2)
    return (room - shorter, shorter) if first > second else (shorter, room - shorter)


def _beginning(text: str, characters: int) -> str:
    """`text` up to the last white space before `characters`; whole where it is short or has none there."""
    if len(text) <= characters:
        return text
    words = text[:characters].rsplit(None, 1)
    return words[0] if len(words) == 2 else text


def batch(pairs: Sequence[Pair], pad: int) -> dict[str, NDArray[np.int64]]:
    """Arrays (pairs, tokens of the longest) of ids, mask and types, padded on the right."""
    shape = len(pairs), max(len(pair.ids) for pair in pairs)
    ids, mask, types = np.full(shape, pad), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, pair in enumerate(pairs):
        length = len(pair.ids)
        ids[row, :length], mask[row, :length], types[row, :length] = pair.ids, 1, pair.types
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
