"""Which part of the OpenAI protocol a server takes, learned from what it refuses. Nothing here talks to anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from tamis.models.served.habits import TokenLimit
from tamis.models.served.http import Reply
from tamis.models.served.wire import SHOWN

Format = Literal["json_schema", "json_object", "none"]
LOOSER: dict[Format, Format] = {"json_schema": "json_object", "json_object": "none"}
REJECTIONS = frozenset({400, 404, 415, 422, 500, 501})
FORMAT_WORDS = ("response_format", "json_schema", "json_object", "schema", "grammar", "guided", "structured output")
LIMITS: tuple[TokenLimit, ...] = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server has turned out to take.

    `proven`: it has taken this `format`. `system`: messages of the system, else they begin the user's. `window`,
    `longest`: the most tokens in and out, and out alone, where it named them. `thinks`: its replies held thoughts.
    """

    format: Format = "json_schema"
    proven: bool = False
    token_limit: TokenLimit = "max_tokens"
    temperature: bool = True
    stop: bool = True
    system: bool = True
    logprobs: bool = True
    top_logprobs: int = 20
    window: int | None = None
    longest: int | None = None
    thinks: bool = False

    def adapted(self, body: Mapping[str, Any], reply: Reply, *, any_format: bool, own_limit: bool) -> Dialect | None:
        """The dialect to try after `reply` rejected `body`; `None` when the protocol is not to blame.

        `any_format`: whether a looser output format may be tried; `own_limit`: whether the caller named the field of
        the output limit.
        """
        if reply.status not in REJECTIONS:
            return None
        said = reply.message[:SHOWN]
        formatted = any_format and "response_format" in body and self.format in LOOSER
        if formatted and any(word in said.lower() for word in FORMAT_WORDS):
            return replace(self, format=LOOSER[self.format], proven=False)
        if TOO_LARGE.search(said):
            return None
        for quirk in QUIRKS:
            if quirk.field in LIMITS and own_limit:
                continue
            if _holds(body, quirk.field) and quirk.refused.search(said):
                found = quirk.instead(self)
                if found != self:
                    return found
        if formatted and not self.proven and reply.status in (400, 422):
            return replace(self, format=LOOSER[self.format])
        return None

    def sized(self, reply: Reply) -> tuple[Dialect, int] | None:
        """With the limits that `reply` names when it rejects a request for its size, and the tokens of the prompt as it
        counts them (0: it does not say). `None` when the size is not to blame."""
        said = reply.message[:SHOWN]
        if reply.status not in REJECTIONS or not TOO_LARGE.search(said):
            return None
        window, longest = named(WINDOW, said), named(LONGEST, said)
        return replace(self, window=window or self.window, longest=longest or self.longest), named(READ, said) or 0

    def room(self, thoughts: int, max_tokens: int, read: int) -> int:
        """Output tokens for thoughts, no more than fit beside an answer of `max_tokens` and a prompt of `read`."""
        if self.longest is not None:
            thoughts = min(thoughts, self.longest - max_tokens)
        if self.window is not None:
            thoughts = min(thoughts, self.window - read - max_tokens)
        return max(0, thoughts)


class Quirk(NamedTuple):
    """A field that some servers refuse: how they say so, and what is sent instead. The field `system` is a message."""

    field: str
    refused: re.Pattern[str]
    instead: Callable[[Dialect], Dialect]


NOT = (
    r"(?:not (?:supported|permitted|allowed|available|enabled|implemented)|unsupported|incompatible|no longer"
    r"|does(?: not|n.t) (?:support|allow)|un(?:recogni[sz]ed|known|expected)|extra (?:inputs|fields)"
    r"|invalid (?:parameter|argument))"
)


def _refused(field: str) -> re.Pattern[str]:
    return re.compile(rf"\b{field}\b.{{0,200}}?{NOT}|{NOT}.{{0,200}}?\b{field}\b", re.IGNORECASE | re.DOTALL)


QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        "max_tokens",
        re.compile(rf"\bmax_completion_tokens\b|{_refused('max_tokens').pattern}", re.IGNORECASE | re.DOTALL),
        lambda dialect: replace(dialect, token_limit="max_completion_tokens"),
    ),
    Quirk(
        "max_completion_tokens",
        _refused("max_completion_tokens"),
        lambda dialect: replace(dialect, token_limit="max_tokens"),
    ),
    Quirk("logprobs", _refused("(?:top_)?logprobs"), lambda dialect: replace(dialect, logprobs=False)),
    Quirk("top_logprobs", re.compile("top_logprobs"), lambda dialect: replace(dialect, top_logprobs=5)),
    Quirk("temperature", re.compile("temperature", re.IGNORECASE), lambda dialect: replace(dialect, temperature=False)),
    Quirk("stop", _refused("stop"), lambda dialect: replace(dialect, stop=False)),
    Quirk(
        "system",
        re.compile(
            r"\bsystem\b.{0,40}\b(?:role|message|prompt|instruction)s?\b|\broles?\b.{0,60}\bsystem\b"
            r"|\broles must alternate\b|\bonly user\b.{0,40}\broles\b|\bdeveloper instruction\b",
            re.IGNORECASE | re.DOTALL,
        ),
        lambda dialect: replace(dialect, system=False),
    ),
)

TOO_LARGE = re.compile(
    r"context (?:length|window|size)|max_model_len|\btoo large\b|\bat most [\d,]+ (?:completion|output)? ?tokens",
    re.IGNORECASE,
)
WINDOW = re.compile(r"context (?:length|window|size)\D{0,40}?([\d,]+)", re.IGNORECASE)
READ = re.compile(
    r"([\d,]+) (?:tokens )?(?:(?:in|from|of) (?:the |your )?(?:messages|prompt|input)|input tokens|prompt tokens)",
    re.IGNORECASE,
)
LONGEST = re.compile(r"(?:at most|up to|maximum of)\D{0,20}?([\d,]+) (?:completion |output )?tokens", re.IGNORECASE)


def named(pattern: re.Pattern[str], said: str) -> int | None:
    """The number a server names."""
    found = pattern.search(said)
    digits = found[1].replace(",", "") if found else ""
    return int(digits) if 0 < len(digits) < 12 else None


def _holds(body: Mapping[str, Any], field: str) -> bool:
    return any(message["role"] == "system" for message in body["messages"]) if field == "system" else field in body
