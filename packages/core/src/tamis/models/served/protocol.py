"""The JSON of chat completions: what a call looks like in a request, and what a reply says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tamis.models.served.dialect import Format
from tamis.values.calls import Message


def content_of(message: Message) -> str | list[dict[str, Any]]:
    """The text, or parts of it and its pictures."""
    if not message.images:
        return message.content
    pictures = [{"type": "image_url", "image_url": {"url": image}} for image in message.images]
    return [{"type": "text", "text": message.content}, *pictures]


def without_system(messages: Iterable[Message]) -> list[Message]:
    """The same, with what the system says at the beginning of what the user says."""
    told = [message.content for message in messages if message.role == "system"]
    turns = [message for message in messages if message.role != "system"]
    first = next((place for place, message in enumerate(turns) if message.role == "user"), None)
    if first is None:
        return [Message("user", "\n\n".join(told)), *turns]
    turns[first] = replace(turns[first], content="\n\n".join([*told, turns[first].content]))
    return turns


def response_format(kind: Format, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The `response_format` of a request."""
    if kind == "json_object":
        return {"type": "json_object"}
    strict = {"strict": True} if is_closed(schema) else {}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **strict}}


def is_closed(schema: Any) -> bool:
    """Whether every object in the schema requires all its properties and allows no others: what `strict` takes."""
    if isinstance(schema, (list, tuple)):
        return all(map(is_closed, schema))
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            return False
    return all(map(is_closed, schema.values()))


def message_text(message: Mapping[str, Any]) -> str:
    """The text of a reply: a string, the text parts of a list, or a refusal; empty where it has none. Reasoning is left
    out."""
    content = message.get("content")
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, Mapping))
        content = "".join(text for text in texts if isinstance(text, str))
    for text in (content, message.get("refusal")):
        if isinstance(text, str) and text:
            return text
    return ""


def thought_apart(message: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Whether a reply holds a thought outside its text, or counts the tokens of one."""
    if any(message.get(name) for name in ("reasoning_content", "reasoning", "reasoning_details", "thinking")):
        return True
    return bool(tokens_thought(data))


def tokens_thought(data: Mapping[str, Any]) -> int | None:
    """Tokens of thoughts among those written, as the server reports them."""
    usage = data.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, Mapping) else None
    return count_of(details.get("reasoning_tokens")) if isinstance(details, Mapping) else None


def token_counts(data: Any) -> tuple[int | None, int | None]:
    """Tokens in and out as the server reports them; `None` for what is not a count."""
    usage = data.get("usage") if isinstance(data, Mapping) else None
    usage = usage if isinstance(usage, Mapping) else {}
    read, wrote = (usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    return count_of(read), count_of(wrote)


def count_of(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
