"""A window of candidates, ordered by how likely the model is to name each first. One token, no text."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from tamis.judges.base import Asked, OneCall, Unit, Verdict
from tamis.judges.features import Show, instructed, texts, told
from tamis.parts.numbers import ShareBelowOne
from tamis.parts.part import part
from tamis.prompts.prompting import DATA_ONLY, PassageTokens, chat, fitting, passage_blocks, query_block
from tamis.prompts.template import TemplateRef
from tamis.values.answers import Failure, Logprobs
from tamis.values.calls import Capability, ChoiceLogprobs, Message

LETTERS = tuple("ABCDEFGHIJKLMNOPQRST")
DIGITS = tuple("123456789")
SYSTEM = f"You find the passage that answers a query best. {DATA_ONLY}"
OVERHEAD = 250


@part
class Identifiers(OneCall):
    """The log-probabilities of the passages' names as the next token are an order.

    `names`: letters A..T for up to 20 passages, or digits 1..9 for up to 9; two-digit numbers are not a single token.
    Passages whose name the model does not show (hosted models show 20 tokens) stay after the others, as shown.
    `opening`: text the answer begins with, such as `[`, for models that go on from a begun answer. `template`: the
    wording a checkpoint was trained with. Source: FIRST
    (Gangi Reddy et al., 2024); Setwise by likelihood (Zhuang et al., 2024).
    """

    unit: ClassVar[Unit] = "list"
    names: Literal["letters", "digits"] = "letters"
    passage_tokens: PassageTokens = 256
    opening: str = ""
    show: Show = ()
    instruction: str | None = None
    least_mass: ShareBelowOne = 1e-6
    template: TemplateRef = None

    def call(self, asked: Asked, attempt: int = 0) -> ChoiceLogprobs:
        count, names = len(asked), self._names[: len(asked)]
        query = instructed(asked.query, self.instruction)
        room = fitting(asked.model, count, self.passage_tokens, OVERHEAD + len(query.text) // 2)
        if self.template:
            shown = texts(asked, self.show)
            return ChoiceLogprobs(asked.model, self.template.messages(asked.model, query, shown, names, room), names)
        letters = names if self.names == "letters" else ()
        user = "\n\n".join(
            [
                query_block(query.text, query.instruction),
                passage_blocks(texts(asked, self.show), asked.model, room, letters),
                *told(self.show),
                f"Which of the {count} passages answers the query best? Answer with its "
                f"{'letter' if letters else 'number'} only, one of {', '.join(names)}.",
            ]
        )
        opening = (Message("assistant", self.opening),) if self.opening else ()
        return ChoiceLogprobs(asked.model, chat(SYSTEM, user) + opening, names)

    def read(self, answer: Logprobs, count: int) -> Verdict:
        if len(answer.values) != count:
            return Verdict.none(count, Failure("malformed", "the answer held no usable number"))
        scores = [None if not math.isfinite(value) else min(0.0, value) for value in answer.values]
        mass = math.fsum(math.exp(score) for score in scores if score is not None)
        if mass <= self.least_mass:
            return Verdict.none(count, Failure("malformed", f"the names hold {mass:.1g} of the probability"))
        return Verdict.scored(scores, "clean" if None not in scores else "permissive", min(1.0, mass))

    @property
    def _names(self) -> tuple[str, ...]:
        return LETTERS if self.names == "letters" else DIGITS

    @property
    def needs(self) -> tuple[Capability, ...]:
        return ("choice_logprobs",)

    @property
    def most(self) -> int:
        return len(self._names)
