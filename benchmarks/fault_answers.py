"""What a chat server on loopback says when asked to rank, whole or with a fault, in whatever form it is asked for.

The server finds the passages in a prompt by their numbers (`Note 037`) and remembers which of them an answer judged.
"""

from __future__ import annotations

import math
import re
import sys
import threading
from pathlib import Path
from typing import Any

from providers import NOTE, Format, YesNo, grade

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from support.servers import Answer, Response, completion, first_tokens, refusal

SLOW = 120.0
"""Seconds a server that has stopped answering takes: more than anyone waits here."""
YES = 6
"""The least grade that a yes-or-no model calls relevant."""

AT_THE_SERVER: dict[str, Response] = {
    "401": refusal(401, "Incorrect API key provided."),
    "429, then success": refusal(429, "Rate limit reached.", retry_after="1"),
    "timeout": Response(delay=SLOW),
    "connection reset": Response(reset=True),
    "500": refusal(500, "Internal server error."),
}
INSTEAD: dict[str, str] = {
    "prose": "Of these 12 passages, numbers 3 and 7 speak of it, and 2 does in passing.",
    "refusal": "I'm sorry, but I can't help with ranking these 12 documents.",
    "empty answer": "",
    "error text as answer": "Error 503: upstream timed out after 10 s, 2 of 3 retries used.",
}
IN_THE_LIST = ("truncated answer", "duplicate ids", "ids out of range")
"""Faults of an answer that lists passages; a yes or no about one cannot have them."""
NONE = "no fault"
FAULTS = (NONE, *AT_THE_SERVER, *INSTEAD, *IN_THE_LIST)


class Script:
    """Answers requests with `fault`. `judged`: the passages about which an answer said something, so far."""

    def __init__(self, form: Format | YesNo, fault: str) -> None:
        self.form, self.fault = form, fault
        self.judged: set[int] = set()
        self._requests = 0
        self._lock = threading.Lock()

    def __call__(self, request: dict[str, Any]) -> Answer:
        with self._lock:
            self._requests += 1
            first = self._requests == 1
        if self.fault in AT_THE_SERVER and (first or "then success" not in self.fault):
            return AT_THE_SERVER[self.fault]
        numbers = list(dict.fromkeys(int(number) for number in NOTE.findall(str(request))))
        said, named = self._answer(numbers)
        self.judged.update(named)
        if request.get("logprobs"):
            return first_tokens(word_probabilities(said, grade(numbers[0])))
        if "input" in request:
            return response(said)
        return completion(said, finish_reason="length" if self.fault == "truncated answer" else "stop")

    def _answer(self, numbers: list[int]) -> tuple[str, list[int]]:
        """What is said, and about which passages."""
        if self.fault in INSTEAD:
            return INSTEAD[self.fault], []
        if isinstance(self.form, YesNo):
            return "YES" if grade(numbers[0]) >= YES else "NO", numbers
        said, places = listed(self.form, [grade(number) for number in numbers], self.fault)
        return said, [numbers[place] for place in places]


def listed(form: Format, grades: list[int], fault: str) -> tuple[str, list[int]]:
    """An answer over several passages, best first, and the places it really judges."""
    count = len(grades)
    order = sorted(range(count), key=lambda place: -grades[place])
    told = [(place + form.first, grades[place]) for place in order]
    if fault == "ids out of range":
        told[0], told[count // 2] = (count + form.first, told[0][1]), (form.first - 1, told[count // 2][1])
        order = [place for rank, place in enumerate(order) if rank not in (0, count // 2)]
    if fault == "duplicate ids":
        told += told[:2]
    entries = [form.entry(number, score) for number, score in told]
    if fault == "truncated answer":
        whole = count // 2
        broken = entries[whole][: len(entries[whole]) // 2 + 1]
        return form.head + form.separator.join([*entries[:whole], broken]), order[:whole]
    return form.head + form.separator.join(entries) + form.tail, order


def word_probabilities(said: str, grade: int) -> dict[str, float]:
    """The first tokens of what is said: yes with a probability that rises with the grade, or a word that is neither."""
    if said not in ("YES", "NO"):
        return {(re.match(r"\w+|$", said) or [""])[0]: -0.01}
    return {"Yes": math.log(grade / 11), "No": math.log(1 - grade / 11)}


def response(said: str) -> dict[str, Any]:
    """The JSON of OpenAI's other protocol, `/responses`."""
    content = [{"type": "output_text", "text": said, "annotations": []}]
    message = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    return {"id": "r1", "object": "response", "created_at": 0, "model": "test", "output": [message], "usage": usage}
