"""Two candidates, one question: which is better? Asked in both orders, so that position does not count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from tamis.errors import ConfigError
from tamis.judges.base import Asked, Judge, Unit, Verdict, pictured
from tamis.judges.features import Show, instructed, texts, told
from tamis.parts.numbers import ShareBelowOne
from tamis.parts.part import part
from tamis.prompts.orders import read_letters
from tamis.prompts.prompting import DATA_ONLY, PassageTokens, chat, fitting, passage_blocks, query_block
from tamis.prompts.template import TemplateRef
from tamis.values.answers import Failure, Generated, unread
from tamis.values.calls import Asking, Call, Capability, ChoiceLogprobs, Generate
from tamis.values.scale import PROBABILITY, Scale

NAMES = ("A", "B")
SYSTEM = f"You decide which of two passages answers a query better. {DATA_ONLY}"
OVERHEAD = 220


@part
class Preference(Judge):
    """How likely the first of two passages is the better one, as the score of the first; the second gets the rest.

    `readout`: `"logprobs"` of the names A and B as next token, or the `"text"` the model writes. In `both_orders` it
    is asked twice with the passages swapped; with `ties` two answers that name different passages are a tie (one half)
    and two that agree are 1 or 0 (PRP); without, the preference is the mean of both probabilities (duoT5, InstUPR).
    More than two passages are a knock-out that finds the best: each next one against the winner so far. `template`: the
    wording a checkpoint was trained with, or its name, in which the passages go by `names` and the model says the
    first of `labels` (default: the names) when the first is better. Sources: PRP
    (Qin et al., 2024), duoT5 (Pradeep et al., 2021), InstUPR (2024).
    """

    unit: ClassVar[Unit] = "pair"
    readout: Literal["logprobs", "text"] = "logprobs"
    both_orders: bool = True
    ties: bool = True
    passage_tokens: PassageTokens = 384
    show: Show = ()
    instruction: str | None = None
    least_mass: ShareBelowOne = 1e-6
    names: tuple[str, str] = NAMES
    labels: tuple[str, str] | None = None
    template: TemplateRef = None

    def __post_init__(self) -> None:
        if self.template is None and (self.names != NAMES or self.labels is not None):
            raise ConfigError("Preference: names and labels of your own need the template they belong to")
        if self.readout == "text" and self.labels is not None:
            raise ConfigError("Preference: labels are read from log-probabilities; use readout='logprobs'")

    def ask(self, asked: Asked) -> Asking[Verdict]:
        if len(asked) == 2:
            return (yield from self._pair(asked))
        best, verdicts, missing = 0, [], set[int]()
        for place in range(1, len(asked)):
            verdict = yield from self._pair(asked.of((best, place)))
            verdicts.append(verdict)
            missing |= {(best, place)[side] for side in verdict.missing}
            if verdict.order[:1] == (1,):
                best = place
        failure = next((verdict.failure for verdict in verdicts if verdict.failure), None)
        if failure is not None and not any(verdict.usable for verdict in verdicts):
            return Verdict.none(len(asked), failure)
        masses = [verdict.mass for verdict in verdicts if verdict.mass is not None]
        return Verdict(
            (best,),
            form="permissive" if failure else "clean",
            missing=tuple(sorted(missing)),
            failure=failure,
            mass=sum(masses) / len(masses) if masses else None,
        )

    def _pair(self, asked: Asked) -> Asking[Verdict]:
        orders = ((0, 1), (1, 0)) if self.both_orders else ((0, 1),)
        answers = yield [
            replace(pictured(self.call(asked.of(places)), asked.of(places), self.show), usable=self._usable)
            for places in orders
        ]
        read = [self.read(answer) for answer in answers]
        sides = [None if p is None else 1.0 - p if turned else p for turned, (p, _) in enumerate(read)]
        known = [p for p in sides if p is not None]
        failure = next((answer for answer in answers if isinstance(answer, Failure)), None)
        if failure is None and len(known) < len(sides):
            silent = next(answer for answer, p in zip(answers, sides, strict=True) if p is None)
            failure = self._unread(silent)
        if failure is not None and not known:
            return Verdict.none(2, failure)
        masses = [mass for _, mass in read if mass is not None]
        verdict = Verdict(
            form="permissive" if failure else "clean",
            missing=(0, 1) if failure else (),
            failure=failure,
            mass=sum(masses) / len(masses) if masses else None,
            agreed=(sides[0] > 0.5) == (sides[1] > 0.5) if len(known) == 2 else None,  # type: ignore[operator]
        )
        return self._preferred(verdict, self._together(known, len(sides)))

    def _unread(self, answer: Any) -> Failure:
        problem = "the answer named neither passage"
        return unread(problem, answer) if isinstance(answer, Generated) else Failure("malformed", problem)

    def _usable(self, answer: Any) -> bool:
        return self.read(answer)[0] is not None

    def _together(self, known: Sequence[float], asked: int) -> float:
        if not self.ties:
            return math.fsum(known) / len(known)
        votes = [1.0 if p > 0.5 else 0.0 if p < 0.5 else 0.5 for p in known]
        return votes[0] if len(votes) == asked and len(set(votes)) == 1 else 0.5

    def _preferred(self, verdict: Verdict, p: float) -> Verdict:
        order = (0, 1) if p > 0.5 else (1, 0) if p < 0.5 else ()
        return replace(verdict, order=order, scores=(p, 1.0 - p))

    def call(self, asked: Asked, attempt: int = 0) -> Call:
        query = instructed(asked.query, self.instruction)
        room = fitting(asked.model, 2, self.passage_tokens, OVERHEAD + len(query.text) // 2)
        user = "\n\n".join(
            [
                query_block(query.text, query.instruction),
                passage_blocks(texts(asked, self.show), asked.model, room, NAMES),
                *told(self.show),
                "Which passage answers the query better? Answer with one letter only, A or B.",
            ]
        )
        messages = chat(SYSTEM, user)
        if self.template:
            messages = self.template.messages(asked.model, query, texts(asked, self.show), self.names, room)
        if self.readout == "logprobs":
            return ChoiceLogprobs(asked.model, messages, self.labels or self.names)
        return Generate(asked.model, messages, max_tokens=8, expect=self.names[0], attempt=attempt)

    def read(self, answer: Any) -> tuple[float | None, float | None]:
        """(p(A), mass of the names); `None` where the answer says nothing."""
        if isinstance(answer, Failure):
            return None, None
        if self.readout == "text":
            order, _ = read_letters(answer.text, self.names)
            return (1.0 - order[0], None) if len(order) == 1 else (None, None)
        if len(answer.values) != 2:
            return None, None
        weights = [0.0 if math.isnan(value) else math.exp(min(0.0, value)) for value in answer.values]
        mass = sum(weights)
        return (weights[0] / mass, min(1.0, mass)) if mass > self.least_mass else (None, None)

    @property
    def needs(self) -> tuple[Capability, ...]:
        return ("choice_logprobs",) if self.readout == "logprobs" else ("generate",)

    def scale(self, model: Any) -> Scale:
        return PROBABILITY
