"""A prompt as data, for checkpoints that know only the wording they were trained with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tamis.calls import Message
from tamis.errors import ConfigError
from tamis.judges.harmless import neutralise
from tamis.models.base import token_counter
from tamis.part import part
from tamis.ranking import Query
from tamis.tokens import truncate

PLACE = re.compile(r"(\{[a-z]+\})")
KNOWN = ("query", "instruction", "passage", "passages", "count", "name")


@part
class Template:
    """The turns of a prompt, with places to fill: `{query}`, `{instruction}` (the asker's, else `default`),
    `{passages}` (all shown, each as `passage` says, one a line), `{passage}` (the only one), `{count}` and, inside
    `passage`, `{name}` (its number or letter).

    A turn that is empty is left out; `assistant` begins the answer. What is filled in is never looked at again, so a
    `{query}` inside a passage stays text. Braces that are no known place must not be words in braces.

    >>> Template("Query: {query} Document: {passage} Relevant:").messages(None, Query("q"), ["d"], ["1"], 10)[0].content
    'Query: q Document: d Relevant:'
    """

    user: str
    system: str = ""
    assistant: str = ""
    passage: str = "[{name}] {passage}"
    default: str = "Given a web search query, retrieve relevant passages that answer the query"

    def __post_init__(self) -> None:
        for turn in (self.user, self.system, self.assistant, self.passage):
            for place in PLACE.findall(turn):
                if place[1:-1] not in KNOWN:
                    raise ConfigError(f"a template may hold {', '.join(f'{{{k}}}' for k in KNOWN)}, not {place}")
        if not any(place in self.user for place in ("{passage}", "{passages}")) or "{query}" not in self.user:
            raise ConfigError(
                f"a template's user turn must hold {{query}} and {{passage}} or {{passages}}: {self.user!r}"
            )

    def messages(
        self, model: Any, query: Query, texts: Sequence[str], names: Sequence[str], max_tokens: int
    ) -> tuple[Message, ...]:
        """The turns for these passages, each cut to `max_tokens` tokens and made harmless."""
        count = token_counter(model)
        cut = [neutralise(truncate(text, max_tokens, count)) for text in texts]
        shown = [_filled(self.passage, {"name": name, "passage": text}) for name, text in zip(names, cut, strict=True)]
        values = {
            "query": neutralise(query.text),
            "instruction": neutralise(query.instruction or self.default),
            "passage": cut[0] if cut else "",
            "passages": "\n".join(shown),
            "count": str(len(texts)),
        }
        turns = (("system", self.system), ("user", self.user), ("assistant", self.assistant))
        return tuple(Message(role, _filled(turn, values)) for role, turn in turns if turn)  # type: ignore[arg-type]


def _filled(turn: str, values: Mapping[str, str]) -> str:
    """`turn` with its places filled; each piece is looked at once."""
    return "".join(values.get(piece[1:-1], piece) if PLACE.fullmatch(piece) else piece for piece in PLACE.split(turn))
