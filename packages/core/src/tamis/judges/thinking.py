"""Deliberation, as a wrapper around any judge: think first, within a budget, or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tamis.errors import ConfigError
from tamis.judges.base import Asked, Judge, JudgeRef, Unit, Verdict
from tamis.judges.repeated import merged
from tamis.parts.numbers import MOST_TOKENS, NonNegative, Samples, TokensWritten
from tamis.parts.options import NOT_GIVEN, OPTIONAL, refuse, settle
from tamis.parts.part import part
from tamis.prompts.prompting import filler
from tamis.values.answers import Failure, Generated
from tamis.values.calls import Asking, Call, Capability, ChoiceLogprobs, Generate, Message, together
from tamis.values.scale import Scale

MARKS = " \n\t.,:;!*_`'\"()[]"
"""Characters around a word that do not change it."""
SENTENCE_END = re.compile(r"[.!?。！？](?=\s|\Z)|\n")


MOST_TOGETHER = 8 * MOST_TOKENS
"""Tokens of all samples of one call."""


@lru_cache(maxsize=16)
def _around(begins: str, tokens: int, ends: str) -> str:
    """A text with `tokens` of placeholder in it: one for all calls that are alike, since it may be long."""
    return f"{begins}{filler(tokens)}{ends}"


@part
class Thinking(Judge):
    """Let the model think before it answers `judge`'s question.

    `how`: `"free"`, thinking of up to `budget` tokens; when that is used up, the thought is cut at its last whole
    sentence and closed by force, and the answer asked for from there (so no verdict is lost to the token limit).
    `"empty"`: an empty thought is put in front, which keeps models that always think from thinking. `samples`: the
    number of independent thoughts, their verdicts merged by the mean. `opens`, `closes`: the model's marks of thought;
    `then`: the text between the closing mark and the answer. `expected`: tokens of a thought that a dry run and a token
    budget count on; default: all of `budget`, so that the prediction is an upper bound. The budget takes the place of
    the tokens that a model asks for to think in (`thinking_budget` of `OpenAIChat`): a call gets one of the two.

    A judge that reads probabilities reads them after the thought, at the place of the answer; that needs a model that
    continues a begun answer (a last message of the assistant). A model that says the label at once is asked without
    a thought. Thinking makes probabilities polar and rarely helps
    judges of one passage. Sources: Rank1 (Weller et al., 2025) for the forced close; "Don't overthink passage
    reranking" (2025) for the empty thought and the mean over samples.
    """

    judge: JudgeRef
    how: Literal["free", "empty"] = "free"
    budget: Annotated[Annotated[TokensWritten, Field(ge=1)], OPTIONAL] = NOT_GIVEN
    samples: Samples = 1
    temperature: Annotated[NonNegative, OPTIONAL] = NOT_GIVEN
    opens: Annotated[str, Field(min_length=1)] = "<think>"
    closes: Annotated[str, Field(min_length=1)] = "</think>"
    then: str = "\n\n"
    expected: TokensWritten | None = None

    usual: ClassVar[Mapping[str, Any]] = {"budget": 1024, "temperature": 0.0}

    def __post_init__(self) -> None:
        off = "with how='empty', which lets the model think nothing" if self.how == "empty" else None
        settle(self, "budget", "temperature", off=off, remedy="take how='free'")
        if self.how == "empty" and self.expected is not None:
            refuse(self, ["expected"], "with how='empty'", "take how='free'")
        if self.samples > 1 and (self.how == "empty" or not self.temperature):
            raise ConfigError(f"{self.samples} samples need how='free' and a temperature above 0, or all are alike")
        if self.how == "free" and self.samples * self.budget > MOST_TOGETHER:
            raise ConfigError(
                f"{self.samples:,} samples of {self.budget:,} tokens are more than {MOST_TOGETHER:,} tokens for one "
                "call; take fewer samples or a smaller budget"
            )
        if not set(self.judge.needs) <= {"generate", "choice_logprobs"}:
            raise ConfigError(f"{type(self.judge).__name__} asks nothing a model could think about")
        if self.how == "free" and self.expected is not None and self.expected > self.budget:
            raise ConfigError(f"expected {self.expected} tokens of thought exceed the budget of {self.budget}")

    def ask(self, asked: Asked) -> Asking[Verdict]:
        verdicts = yield from together([self._sample(asked, sample) for sample in range(self.samples)])
        return verdicts[0] if self.samples == 1 else merged(verdicts)

    def _sample(self, asked: Asked, sample: int) -> Asking[Verdict]:
        """Drive the judge's own plan, and think before each of its calls."""
        plan = self.judge.ask(asked)
        try:
            calls = next(plan)
            while True:
                answers = yield from together([self._think(call, sample) for call in calls])
                calls = plan.send(answers)
        except StopIteration as stop:
            verdict: Verdict = stop.value
            return verdict

    def _think(self, call: Call, sample: int) -> Asking[Any]:
        if not isinstance(call, (Generate, ChoiceLogprobs)):
            raise ConfigError(f"{type(self.judge).__name__} asks nothing a model could think about")
        if self.how == "empty":
            (answer,) = yield [self._after(call, "")]
            return answer
        attempt = sample + self.samples * getattr(call, "attempt", 0)
        room = self.budget + (call.max_tokens if isinstance(call, Generate) else 0)
        (thought,) = yield [
            Generate(
                call.model,
                call.messages,
                max_tokens=room,
                temperature=self.temperature,
                stop=(self.closes,) if isinstance(call, ChoiceLogprobs) else (),
                expect=self._expected(call),
                attempt=attempt,
                usable=partial(self._usable, call=call),
                thoughts=0,
            )
        ]
        if isinstance(thought, Failure):
            return thought
        if isinstance(call, Generate) and self._answered(thought, self._begun(call)):
            return thought
        if isinstance(call, ChoiceLogprobs) and self._skipped(thought, call):
            (answer,) = yield [call]
            return answer
        (answer,) = yield [self._after(call, self._thought(thought))]
        return answer

    def _usable(self, thought: Generated, call: Generate | ChoiceLogprobs) -> bool:
        """Whether a thought may be kept: one that holds the answer only if it can be read."""
        answered = isinstance(call, Generate) and self._answered(thought, self._begun(call))
        return not answered or call.usable is None or call.usable(thought)

    def _expected(self, call: Generate | ChoiceLogprobs) -> str:
        """What a dry run takes the model to write: a thought, and the answer where it goes on to one."""
        tokens = self.budget if self.expected is None else self.expected
        ends = "" if isinstance(call, ChoiceLogprobs) else f"\n{self.closes}{self.then}{call.expect}"
        return _around(f"{self.opens}\n", tokens, ends)

    def _begun(self, call: Generate | ChoiceLogprobs) -> bool:
        """Whether the prompt itself opens the thought."""
        last = call.messages[-1]
        return last.role == "assistant" and last.content.rstrip().endswith(self.opens)

    def _answered(self, written: Generated, begun: bool) -> bool:
        """Whether the model came to an end and said something after its thought, if it had any."""
        opened = begun or self.opens in written.text
        said = (
            written.text.rpartition(self.closes)[2] if self.closes in written.text else "" if opened else written.text
        )
        return written.complete and bool(said.strip())

    def _skipped(self, written: Generated, call: ChoiceLogprobs) -> bool:
        """Whether the model said one of the labels at once: no thought to put in front of the question."""
        said = written.text.strip(MARKS).casefold()
        return not self._begun(call) and said in {choice.strip().casefold() for choice in call.choices}

    def _thought(self, written: Generated) -> str:
        """The thought alone, up to its last whole sentence where it was cut short."""
        text = written.text.partition(self.closes)[0].strip().removeprefix(self.opens).strip()
        if not written.complete and (ends := list(SENTENCE_END.finditer(text))):
            text = text[: ends[-1].end()]
        return text.strip()

    def _after(self, call: Any, thought: str) -> Any:
        """The same call, with a thought that is over in front of its answer."""
        if isinstance(call, Generate):
            call = replace(call, thoughts=0)
        closed = f"\n{thought}\n{self.closes}{self.then}"
        begun = self.opens + closed
        *before, last = call.messages
        if self._begun(call):
            return replace(call, messages=(*before, Message("assistant", last.content + closed)))
        if last.role == "assistant":
            return replace(call, messages=(*before, Message("assistant", begun + last.content)))
        return replace(call, messages=(*call.messages, Message("assistant", begun)))

    @property
    def unit(self) -> Unit:
        return self.judge.unit

    @property
    def needs(self) -> tuple[Capability, ...]:
        own: tuple[Capability, ...] = ("generate",) if self.how == "free" else ()
        return tuple(dict.fromkeys((*own, *self.judge.needs)))

    @property
    def most(self) -> int | None:
        return self.judge.most

    def scale(self, model: Any) -> Scale:
        return self.judge.scale(model)
