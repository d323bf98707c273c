"""Why a model stopped to write, by the words servers and frameworks have for it."""

from __future__ import annotations

from typing import Any, NamedTuple

CUT_SHORT = frozenset({"length", "max_tokens", "model_length", "max_output_tokens", "model_context_window_exceeded"})
FILTERED = frozenset(
    {"content_filter", "content_filtered", "guardrail_intervened", "safety", "recitation", "blocklist", "spii"}
    | {"prohibited_content", "refusal", "sensitive"}
)


class Ending(NamedTuple):
    """As the fields of `Generated` of these names."""

    complete: bool = True
    stopped_by: str = ""


def ending_of(reason: Any) -> Ending:
    """From a finish reason as a server gives it.

    >>> ending_of("length").complete, ending_of("SAFETY").stopped_by
    (False, 'content filter (finish reason: safety)')
    """
    said = str(getattr(reason, "name", reason)).lower().rpartition(".")[2]
    if said in FILTERED:
        return Ending(False, f"content filter (finish reason: {said})")
    return Ending(said not in CUT_SHORT)
