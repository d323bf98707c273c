"""What served models are known to do by their names: think first, and refuse parts of the protocol. Data, in rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

TokenLimit = Literal["max_tokens", "max_completion_tokens"]
THINKING_TOKENS = 4096
"""Room for thoughts where nobody says how much a model needs. Only a limit: what is not thought is not paid for."""


@dataclass(frozen=True, slots=True)
class Habits:
    """`thinks`: before it answers, unless that is switched off. `token_limit`: the field that holds the output limit.
    `temperature`, `stop`: whether requests may hold these."""

    thinks: bool = False
    token_limit: TokenLimit = "max_tokens"
    temperature: bool = True
    stop: bool = True


PLAIN = Habits()
THINKER = Habits(thinks=True)
OPENAI_CHAT = Habits(token_limit="max_completion_tokens")
OPENAI_THINKER = Habits(thinks=True, token_limit="max_completion_tokens", temperature=False, stop=False)

ROWS: tuple[tuple[str, Habits], ...] = (
    (r"^gpt-[5-9][\d.]*-chat", OPENAI_CHAT),
    (r"^(?:o[1-9](?:-|$)|gpt-[5-9])", OPENAI_THINKER),
    (r"non-?(?:thinking|reasoning)|no-?think", PLAIN),
    (r"gpt-oss", THINKER),
    (r"think|reason", THINKER),
    (r"instruct|embed|rerank|coder|-chat\b|-base\b", PLAIN),
    (r"deepseek.{0,3}r\d|r1-distill|\br1\b|\bor1\b", THINKER),
    (r"qwq|qvq|qwen-?[3-9]", THINKER),
    (r"magistral", THINKER),
    (r"glm-(?:z1|4\.[5-9]|[5-9])", THINKER),
    (r"minimax-m\d|kimi-k(?:2\.[5-9]|[3-9])|mimo|step-3", THINKER),
    (r"gemini-(?:2\.5|[3-9])|grok-(?:3-mini|[4-9])", THINKER),
    (r"seed-oss|hunyuan-(?:a13b|t1)|exaone-(?:deep|[4-9])|smollm3|ernie-x1", THINKER),
)
"""A pattern within the name, in lower case and without what is before its last `/`, and the habits of the models it
fits. The first that fits counts; the habits of names that none fits are learned from replies."""


@lru_cache(maxsize=256)
def habits_of(name: str) -> Habits:
    """By the name a server or a framework knows a model by.

    >>> habits_of("openai/gpt-5-mini").token_limit, habits_of("Qwen/Qwen3-8B").thinks, habits_of("gpt-4o-mini").thinks
    ('max_completion_tokens', True, False)
    """
    bare = name.lower().rpartition("/")[2]
    return next((habits for pattern, habits in ROWS if re.search(pattern, bare)), PLAIN)


SWITCHES = ("enable_thinking", "thinking", "think", "reasoning", "enabled", "reasoning_effort", "effort", "type")
OFF = (False, "none", "off", "disabled")


def thinking_switch(options: Mapping[str, Any] | None) -> bool | None:
    """Whether options of a request switch thinking on or off; `None` where they say nothing of it.

    >>> thinking_switch({"chat_template_kwargs": {"enable_thinking": False}}), thinking_switch({"top_p": 0.9})
    (False, None)
    """
    for name, value in (options or {}).items():
        if isinstance(value, Mapping):
            said = thinking_switch(value) if name in (*SWITCHES, "chat_template_kwargs") else None
        else:
            said = value not in OFF if name in SWITCHES and value is not None else None
        if said is not None:
            return said
    return None
