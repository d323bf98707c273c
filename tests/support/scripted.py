"""Models that answer by script: perfect, garbled, slow, failing."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tamis.values.answers import Generated
from tamis.values.calls import Generate

PASSAGE = re.compile(r'<passage number="(\d+)">\n(.*?)\n</passage>', re.DOTALL)


def passages(call: Generate) -> list[str]:
    """The passages a prompt shows, in order."""
    return [text for _, text in PASSAGE.findall(call.messages[-1].content)]


def grades(call: Generate, grade: Callable[[str], dict[str, Any]]) -> str:
    """A well-formed rubric answer with `grade(passage)` for each passage of the prompt."""
    return json.dumps({"passages": [{"passage": n, **grade(text)} for n, text in enumerate(passages(call), 1)]})


def order(call: Generate, key: Callable[[str], float]) -> str:
    """A well-formed listwise answer: passages by `key`, largest first."""
    texts = passages(call)
    best = sorted(range(len(texts)), key=lambda index: -key(texts[index]))
    return " > ".join(f"[{index + 1}]" for index in best)


class Chat:
    """A sync-only chat model that answers with `answer(call)` after `delay` seconds, and counts."""

    name = "scripted"
    max_concurrency = 64

    def __init__(self, answer: Callable[[Generate], Any], delay: float = 0.0) -> None:
        self.answer, self.delay = answer, delay
        self.calls: list[Generate] = []
        self.now = self.most = 0
        self._lock = threading.Lock()

    def generate(self, calls: Sequence[Generate]) -> list[Any]:
        with self._lock:
            self.calls.extend(calls)
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            if self.delay:
                time.sleep(self.delay)
            return [reply(self.answer(call)) for call in calls]
        finally:
            with self._lock:
                self.now -= 1


class AsyncChat(Chat):
    """The same, natively async as well."""

    async def agenerate(self, calls: Sequence[Generate]) -> list[Any]:
        self.calls.extend(calls)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.delay)
            return [reply(self.answer(call)) for call in calls]
        finally:
            self.now -= 1


def reply(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return Generated(value) if isinstance(value, str) else value
