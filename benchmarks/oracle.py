"""A query with a hundred passages whose true worth is known, and a model that answers every kind of call from it."""

from __future__ import annotations

import json
import math
import re
import time
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np

from tamis.text.tokens import estimate_tokens
from tamis.values.answers import Generated, Logprobs, Score, TokenVectors, Vector
from tamis.values.calls import ChoiceLogprobs, Classify, Embed, EmbedTokens, Generate, PromptLogprobs
from tamis.values.ranking import Candidate
from tamis.values.scale import PROBABILITY, Scale

CANDIDATES, WORDS = 100, 100
GRADES = ((3, 3), (10, 2), (20, 1))
"""(the best so many, their grade); the others have grade 0."""
FIRST_STAGE = 1.3
"""Standard deviation of the first stage's error, where worth has 1: nDCG@10 comes to about one half, as BM25's on
TREC-DL."""
MARK = re.compile(r"\bitem (\d+)\b")


def worths(seed: int, n: int = CANDIDATES, first_stage: float | None = FIRST_STAGE) -> list[float]:
    """True worth (standard normal) of each place of what a first stage found; `None`: in no order at all."""
    rng = Random(f"query {seed}")
    worth = [rng.gauss(0, 1) for _ in range(n)]
    if first_stage is None:
        return worth
    return sorted(worth, key=lambda value: -(value + rng.gauss(0, first_stage)))


def grades(worth: Sequence[float]) -> list[int]:
    """Graded relevance: by true rank, so that every query has as much to find."""
    found = [0] * len(worth)
    for rank, place in enumerate(sorted(range(len(worth)), key=lambda i: -worth[i])):
        found[place] = next((grade for best, grade in GRADES if rank < best), 0)
    return found


def ndcg(order: Sequence[int], relevance: Sequence[int], k: int = 10) -> float:
    """nDCG@k with gain 2**grade - 1.

    >>> ndcg([1, 0], [0, 3])
    1.0
    """
    ideal = sorted(relevance, reverse=True)
    return _gain([relevance[place] for place in order[:k]]) / _gain(ideal[:k])


def _gain(relevance: Sequence[int]) -> float:
    return sum((2**grade - 1) / math.log2(rank + 2) for rank, grade in enumerate(relevance))


def candidates(n: int = CANDIDATES) -> list[Candidate]:
    """Passages of a hundred words, scored by their rank, as a first stage does. The number tells the oracle which."""
    words = "the of and a in to that was with old river stone lamp winter harbour letters is light made orchard".split()
    found = []
    for number in range(n):
        rng = Random(number)
        text = " ".join(rng.choice(words) for _ in range(WORDS - 2))
        found.append(Candidate(f"item {number} {text}.", score=float(n - number)))
    return found


class Oracle:
    """Knows the worth of every passage, misjudges it by `noise` standard deviations anew in each call, and takes
    `delay` seconds a call. Counts as `architecture`. With `thought`, so many tokens are written before each answer."""

    max_batch = 1
    max_concurrency = 64
    scale: Scale = PROBABILITY
    architecture = "Qwen3-8B"

    def __init__(self, worth: Sequence[float], noise: float = 0.0, delay: float = 0.0, thought: int = 0) -> None:
        self.worth, self.noise, self.delay = worth, noise, delay
        self.thought = "so it is " * (thought * 4 // 9)

    def generate(self, calls: Sequence[Generate]) -> list[Any]:
        return self._each(calls, self._written)

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Any]:
        return self._each(calls, self._labels)

    def prompt_logprobs(self, calls: Sequence[PromptLogprobs]) -> list[Any]:
        return self._each(calls, self._likelihood)

    def classify(self, calls: Sequence[Classify]) -> list[Any]:
        return self._each(calls, lambda call: Score(_unit(self._seen(call.text)[0])))

    def embed(self, calls: Sequence[Embed]) -> list[Any]:
        return self._each(calls, self._vector)

    def embed_tokens(self, calls: Sequence[EmbedTokens]) -> list[Any]:
        return self._each(calls, lambda call: TokenVectors(np.array([self._vector(call).values], dtype=np.float32)))

    def score_list(self, calls: Sequence[Any]) -> list[Any]:
        from tamis.values.answers import Scores

        return self._each(calls, lambda call: Scores(tuple(_unit(self._seen(text)[0]) for text in call.texts)))

    def _each(self, calls: Sequence[Any], answer: Callable[[Any], Any]) -> list[Any]:
        if self.delay:
            time.sleep(self.delay * len(calls))
        return [answer(call) for call in calls]

    def _seen(self, prompt: str) -> list[float]:
        """The worth of the passages a prompt shows, as this call sees it. The same prompt is always seen alike."""
        rng = Random(zlib.crc32(prompt.encode()))
        return [self.worth[int(number)] + rng.gauss(0, self.noise) for number in MARK.findall(prompt)]

    def _written(self, call: Generate) -> Generated:
        if call.stop:
            return Generated(self.thought)
        answer = self._answer(call)
        return Generated(f"<think>{self.thought}</think>{answer}" if self.thought else answer)

    def _answer(self, call: Generate) -> str:
        seen = self._seen(_prompt(call))
        if not seen:
            return call.expect
        if call.schema:
            return json.dumps(_graded(call.schema, seen))
        if "{" in call.expect:
            return json.dumps({str(number): round(10 * _unit(value)) for number, value in enumerate(seen, 1)})
        best = sorted(range(len(seen)), key=lambda index: -seen[index])[: call.expect.count("[")]
        if ", " in call.expect:
            return ", ".join(f"[{index + 1}]" for index in best if seen[index] > 1) or "None"
        if "[1]" in call.expect and call.expect.find("[1]") > call.expect.find("[2]") >= 0:
            best = best[::-1]
        return " > ".join(f"[{index + 1}]" for index in best)

    def _labels(self, call: ChoiceLogprobs) -> Logprobs:
        seen = self._seen(_prompt(call))
        if len(seen) > 1:
            return Logprobs(_log_softmax([4 * value for value in seen]))
        if len(call.choices) == 2:
            return Logprobs(_log_softmax([2 * seen[0], -2 * seen[0]]))
        level = _unit(seen[0]) * (len(call.choices) - 1)
        return Logprobs(_log_softmax([-((level - index) ** 2) for index in range(len(call.choices))]))

    def _likelihood(self, call: PromptLogprobs) -> Logprobs:
        (seen,) = self._seen(call.prefix)
        return Logprobs((_unit(seen) - 2,) * estimate_tokens(call.continuation))

    def _vector(self, call: Embed | EmbedTokens) -> Vector:
        cosine = _unit(self._seen(call.text)[0]) if call.role == "passage" else 1.0
        return Vector((cosine, math.sqrt(1 - cosine * cosine)))


def _prompt(call: Any) -> str:
    return "\n".join(message.content for message in call.messages)


def _unit(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _log_softmax(values: Sequence[float]) -> tuple[float, ...]:
    top = max(values)
    total = top + math.log(sum(math.exp(value - top) for value in values))
    return tuple(value - total for value in values)


def _graded(schema: Any, seen: Sequence[float]) -> dict[str, Any]:
    """An answer in the form that a rubric or a judge of groups asks for."""
    if "passages" not in schema["properties"]:
        return {name: round(_unit(v) * form["maximum"]) for v, (name, form) in _zip(seen, schema["properties"])}
    forms = schema["properties"]["passages"]["items"]["properties"]
    return {"passages": [_entry(number, value, forms) for number, value in enumerate(seen, 1)]}


def _zip(seen: Sequence[float], properties: Any) -> Any:
    return zip(seen, properties.items(), strict=True)


def _entry(number: int, value: float, forms: Any) -> dict[str, Any]:
    grades = {name: round(_unit(value) * form["maximum"], 1) for name, form in forms.items() if "maximum" in form}
    return {**grades, "passage": number, **({"reason": "has it, lacks the rest"} if "reason" in forms else {})}
