"""Which part of the OpenAI protocol a server takes, learned from what it refuses. Nothing here talks to anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from tamis.models.served.habits import TokenLimit
from tamis.models.served.http import Reply
from tamis.models.served.wire import SHOWN

Format = Literal["json_schema", "json_object", "none"]
LOOSER: dict[Format, Format] = {"json_schema": "json_object", "json_object": "none"}
TEACHING = frozenset({400, 404, 422})
"""Statuses of refusals that are remembered."""
REJECTIONS = TEACHING | {415, 500, 501}
"""Statuses after which a field that the server names as refused is left out of the next request."""
PLAUSIBLE = 512
"""Tokens below which a limit that an error names is not believed."""
QUOTED = 12
"""Characters from which a line of the prompt is recognised in an error."""
LIMITS: tuple[TokenLimit, ...] = ("max_tokens", "max_completion_tokens")


SILENT = 3
"""Replies in a row without log-probabilities, after which none are asked for."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server has turned out to take.

    `proven`: it has taken this `format`. `system`: messages of the system, else they begin the user's. `window`,
    `longest`: the most tokens in and out, and out alone, where it named them. `largest`: the most tokens it has taken,
    in and out. `thinks`: its replies held thoughts. `doubted`: once, a looser format helped though the server had not
    named the format. `silent`: replies in a row without the log-probabilities that were asked for.
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
    largest: int = 0
    thinks: bool = False
    doubted: bool = False
    silent: int = 0

    def unheard(self) -> Dialect:
        """After one more reply without log-probabilities: from the third in a row on, the server gives none."""
        return replace(self, silent=self.silent + 1, logprobs=self.logprobs and self.silent + 1 < SILENT)

    def adapted(self, body: Mapping[str, Any], reply: Reply, *, any_format: bool, own_limit: bool) -> Dialect | None:
        """The dialect to try after `reply` rejected `body`; `None` when the protocol is not to blame.

        `any_format`: whether a looser output format may be tried; `own_limit`: whether the caller named the field of
        the output limit.
        """
        if reply.status not in REJECTIONS:
            return None
        said = _said(body, reply)
        if POLICY.search(said):
            return None
        formatted = any_format and "response_format" in body and self.format in LOOSER
        if formatted and FORMAT.search(said):
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
            return replace(self, format=LOOSER[self.format], doubted=True)
        return None

    def sized(self, body: Mapping[str, Any], reply: Reply) -> tuple[Dialect, int] | None:
        """With the limits that `reply` names when it rejects a request for its size, and the tokens of the prompt as it
        counts them (0: it does not say). `None` when the size is not to blame."""
        said = _said(body, reply)
        if reply.status not in TEACHING or not TOO_LARGE.search(said):
            return None
        window, longest = (_plausible(named(pattern, said)) for pattern in (WINDOW, LONGEST))
        if window is not None and window < self.largest:
            window = None
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
    r"|(?:does|do)(?: not|n.t) (?:support|allow)|un(?:recogni[sz]ed|known|expected|available)|extra (?:inputs|fields)"
    r"|deprecated|cannot (?:both )?be|invalid (?:parameter|argument|value|schema|grammar)|only \S{1,20} is allowed)"
)


NEAR = r"(?:[^.;\n]|\.(?!\s)){0,100}?"
"""Within one sentence."""


def _refused(field: str) -> re.Pattern[str]:
    return re.compile(rf"\b{field}\b{NEAR}{NOT}|{NOT}{NEAR}\b{field}\b", re.IGNORECASE)


SYSTEM = (
    r"(?:system.{0,3} (?:role|message|prompt|instruction)s?|roles?\b.{0,60}\bsystem|system.{0,3} as a role"
    r"|developer instruction)"
)
FORMAT = re.compile(
    r"\b(?:response_format|json_schema|json_object|guided_\w+)\b"
    rf"|{_refused('(?:schema|grammar|json mode|structured outputs?|guided decoding)').pattern}"
    r"|(?:failed to|error|cannot) (?:\w+ ){0,2}(?:pars\w+|compil\w+) (?:\w+ ){0,2}(?:grammar|schema)",
    re.IGNORECASE,
)
"""Words that blame the output format. The first are names of fields, which nothing else is called by."""
POLICY = re.compile(r"content[ _-]?(?:policy|policies|filter|management)|moderation|\bsafety\b|flagged", re.IGNORECASE)

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
    Quirk("top_logprobs", re.compile(r"\btop_logprobs\b"), lambda dialect: replace(dialect, top_logprobs=5)),
    Quirk(
        "temperature",
        re.compile(rf"{_refused('temperature').pattern}|\btemperature\b.{{0,40}}\bmust\b", re.IGNORECASE),
        lambda dialect: replace(dialect, temperature=False),
    ),
    Quirk("stop", _refused("stop"), lambda dialect: replace(dialect, stop=False)),
    Quirk(
        "system",
        re.compile(
            rf"{_refused(SYSTEM).pattern}|\broles must alternate\b|\bonly user\b.{{0,40}}\broles\b"
            rf"|\b{SYSTEM}\b.{{0,40}}\bmust\b",
            re.IGNORECASE,
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


def _said(body: Mapping[str, Any], reply: Reply) -> str:
    """What the server says, without the lines of the prompt that it quotes."""
    said = reply.message[:SHOWN]
    for message in body["messages"]:
        content = message["content"]
        parts = [content] if isinstance(content, str) else [part.get("text") or "" for part in content]
        lines = {line.strip() for part in parts for line in part.splitlines()}
        for line in sorted((line for line in lines if len(line) >= QUOTED), key=len, reverse=True):
            for written in (line, " ".join(line.split()), json.dumps(line)[1:-1]):
                said = said.replace(written, " … ")
    return said


def _plausible(limit: int | None) -> int | None:
    return None if limit is None or limit < PLAUSIBLE else limit


def named(pattern: re.Pattern[str], said: str) -> int | None:
    """The number a server names."""
    found = pattern.search(said)
    digits = found[1].replace(",", "") if found else ""
    return int(digits) if 0 < len(digits) < 12 else None


def _holds(body: Mapping[str, Any], field: str) -> bool:
    return any(message["role"] == "system" for message in body["messages"]) if field == "system" else field in body
