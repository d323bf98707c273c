"""Texts from outside for a tokenizer: a control token spelled out in one is read as text, not as that token."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Self

from tamis.prompts.harmless import neutralise_control
from tamis.prompts.lookalikes import origins, seen

PASSES = 4
"""Breaking up one token may spell another; no known vocabulary needs a second pass."""


class PlainText:
    """Breaks up control tokens that a text spells out, by a space after their first character: `[ SEP]`.

    Without it most tokenizers make of `[SEP]` or `</s>` in a passage the token that ends a segment. Look-alikes and
    unseen characters count as what they look like, as normalisers of tokenizers undo them. Other texts stay as they
    are, and so do their tokens.

    >>> PlainText(["[SEP]", "</s>"])("A [SEP] in brackets, <b>bold</b></s>")
    'A [ SEP] in brackets, <b>bold</b>< /s>'
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        read = {seen(token).strip().lower() for token in tokens}
        # A token of one character or of letters alone is a word: its own tokens are what an ordinary text holds.
        self._spelled = frozenset(token for token in read if len(token) > 1 and not token.isalnum())
        self._lengths = sorted({len(token) for token in self._spelled})
        first = {token[0] for token in self._spelled}
        self._first = re.compile("|".join(map(re.escape, sorted(first))), re.IGNORECASE) if first else None

    @classmethod
    def of(cls, tokenizer: Any) -> Self:
        """For a tokenizer of transformers or of `tokenizers`."""
        return cls(control_tokens(tokenizer))

    def __call__(self, text: str) -> str:
        for _ in range(PASSES):
            read = seen(text)
            found = self._starts(read)
            if not found:
                break
            places = range(len(text)) if read is text else origins(text)
            breaks = sorted({places[start] + 1 for start in found})
            text = " ".join(text[start:end] for start, end in zip([0, *breaks], [*breaks, len(text)], strict=True))
        return text

    def _starts(self, read: str) -> list[int]:
        """Where tokens begin. A vocabulary may have thousands, of few lengths and first characters."""
        if self._first is None:
            return []
        firsts = [match.start() for match in self._first.finditer(read)]
        return [at for at in firsts if any(read[at : at + n].lower() in self._spelled for n in self._lengths)]


def control_tokens(tokenizer: Any) -> Iterator[str]:
    """Spellings of the tokens that a tokenizer finds in a text before it reads words: those it calls special, and
    added ones that are control words by their form."""
    yield from getattr(tokenizer, "all_special_tokens", ())
    for added in _added(tokenizer).values():
        content = str(getattr(added, "content", added))
        if getattr(added, "special", False) or neutralise_control(content) != content:
            yield content


def _added(tokenizer: Any) -> dict[int, Any]:
    if hasattr(tokenizer, "get_added_tokens_decoder"):
        return dict(tokenizer.get_added_tokens_decoder())
    return dict(getattr(tokenizer, "added_tokens_decoder", {}))
