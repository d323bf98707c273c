"""A group of candidates, each graded on one absolute scale, in one structured answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import PositiveInt

from tamis.judges.base import Asked, OneCall, Unit, Verdict
from tamis.judges.features import Show, instructed, texts, told
from tamis.parts.numbers import NonNegative, TokensWritten
from tamis.parts.part import part
from tamis.prompts.orders import read_scores, uncut
from tamis.prompts.prompting import DATA_ONLY, PassageTokens, chat, filler, fitting, passage_blocks, query_block
from tamis.prompts.template import TemplateRef
from tamis.values.answers import Generated, unread
from tamis.values.calls import Capability, Generate, Message
from tamis.values.ranking import Query
from tamis.values.scale import Scale, graded

SYSTEM = f"You grade passages for a retrieval system. {DATA_ONLY}"
RUBRIC = (
    "0: no use for the query; a third of the scale: on its subject only; two thirds: helps with part of it; full: "
    "answers it or gives what an answer needs."
)
OVERHEAD = 300


@part
class Grades(OneCall):
    """A whole number from 0 to `high` for each of a group, as a JSON object. What an answer leaves out has no score.

    The rubric is absolute, so that groups asked apart can be compared. An answer without any grade is asked for once
    more. `template`: the wording a checkpoint was trained with, or its name, with `reason_tokens` for what it writes
    before the grades. Scale: graded. Source: GroupRank (2025).
    """

    unit: ClassVar[Unit] = "group"
    attempts: ClassVar[int] = 2
    high: PositiveInt = 10
    passage_tokens: PassageTokens = 512
    show: Show = ()
    instruction: str | None = None
    temperature: NonNegative = 0.0
    template: TemplateRef = None
    reason_tokens: TokensWritten = 0

    def call(self, asked: Asked, attempt: int = 0) -> Generate:
        query, names = instructed(asked.query, self.instruction), [str(number + 1) for number in range(len(asked))]
        answer_tokens = 32 + 10 * len(names) + self.reason_tokens
        reserved = OVERHEAD + answer_tokens + len(query.text) // 2
        room = fitting(asked.model, len(names), self.passage_tokens, reserved)
        expect = "{" + ", ".join(f'"{name}": {self.high // 2}' for name in names) + "}"
        if self.template:
            messages = self.template.messages(asked.model, query, texts(asked, self.show), names, room)
        else:
            messages = self._own(asked, query, room)
        return Generate(
            asked.model,
            messages,
            max_tokens=answer_tokens,
            temperature=self.temperature,
            schema=None if self.template else self._schema(names),
            expect=f"{filler(self.reason_tokens)}\n{expect}" if self.reason_tokens else expect,
            attempt=attempt,
        )

    def _own(self, asked: Asked, query: Query, room: int) -> tuple[Message, ...]:
        count = len(asked)
        user = "\n\n".join(
            [
                query_block(query.text, query.instruction),
                passage_blocks(texts(asked, self.show), asked.model, room),
                *told(self.show),
                f"Grade how much each of the {count} passages helps to answer the query, with a whole number from 0 to "
                f"{self.high}. {RUBRIC}",
                # No example: small models copy its grades.
                f'Answer with JSON only: an object with the number of each passage, "1" to "{count}", and its grade.',
            ]
        )
        return chat(SYSTEM, user)

    def _schema(self, names: Sequence[str]) -> dict[str, Any]:
        number = {"type": "integer", "minimum": 0, "maximum": self.high}
        return {
            "type": "object",
            "properties": dict.fromkeys(names, number),
            "required": [*names],
            "additionalProperties": False,
        }

    def read(self, answer: Generated, count: int) -> Verdict:
        scores, form = read_scores(uncut(answer), count, 0, self.high)
        verdict = Verdict.scored(scores, form)
        return replace(verdict, failure=unread(verdict.failure.message, answer)) if verdict.failure else verdict

    @property
    def needs(self) -> tuple[Capability, ...]:
        return ("generate",)

    def scale(self, model: Any) -> Scale:
        return graded(0, self.high)
