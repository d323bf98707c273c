"""What language models in this process share: text to tokens, the three kinds of call, loading."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, ClassVar, Self

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from tamis.errors import ConfigError, needed
from tamis.models.lazy import lock_of, once
from tamis.models.local.base import LOCAL, Local, Weights, by_length, loaded, log_sum_exp, torch_device
from tamis.models.local.plain_text import PlainText
from tamis.models.local.torch_threads import WEIGHTS
from tamis.parts.numbers import TwoOrMore
from tamis.prompts.harmless import neutralise_control
from tamis.values.answers import Failure, Generated, Logprobs
from tamis.values.calls import Capability, ChoiceLogprobs, Generate, Message, PromptLogprobs

Ids = list[int]


@dataclass(frozen=True, config=LOCAL)
class LanguageModel(Local):
    """Base of transformers language models; see `CausalLM` and `Seq2SeqLM`."""

    survive_fork: ClassVar[frozenset[str]] = Local.survive_fork | WEIGHTS
    model: Weights
    device: str | None = None
    dtype: str = "auto"
    max_batch: PositiveInt = 8
    chat_template: bool = True
    template_options: dict[str, Any] | None = field(default=None, hash=False)
    max_length: TwoOrMore | None = None
    tokenizer: Any = field(default=None, repr=False)

    capabilities: ClassVar[tuple[Capability, ...]] = ("generate", "choice_logprobs", "prompt_logprobs")
    loader: ClassVar[str]
    """The transformers class that loads the weights."""

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) and self.tokenizer is None:
            name = type(self).__name__
            raise ConfigError(f"a model already loaded needs its tokenizer: {name}.of(model, tokenizer)")

    @classmethod
    def of(cls, model: Any, tokenizer: Any, **options: Any) -> Self:
        """From a transformers model and tokenizer already loaded. The model is put in evaluation mode."""
        return cls(model, tokenizer=tokenizer, **options)

    @property
    def context_window(self) -> int | None:
        """Tokens of prompt and answer together; `None` when the model knows no limit."""
        if self.max_length:
            return self.max_length
        config = getattr(self._config, "text_config", None) or self._config
        limits = [getattr(config, key, None) for key in ("max_position_embeddings", "n_positions", "max_seq_len")]
        return next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)

    def count_tokens(self, text: str) -> int:
        return len(self._ids(text))

    def verify_labels(self, labels: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """The token ids of each label, at the start of a text and after a space.

        `ConfigError` for a label of several tokens, or two that share one: a judge that was trained on single tokens
        scores others by something it was not trained on. Loads the tokenizer, not the weights.

        >>> CausalLM("Qwen/Qwen3-0.6B").verify_labels(("yes", "no"))  # doctest: +SKIP
        """
        found = {label: [ids for ids in self._spellings(label) if len(ids) == 1] for label in labels}
        if long := [label for label, ids in found.items() if not ids]:
            raise ConfigError(f"{self.name} has no single token for {', '.join(map(repr, long))}; use other labels")
        tokens = {label: tuple(ids[0] for ids in spelled) for label, spelled in found.items()}
        all_tokens = [token for own in tokens.values() for token in own]
        if len(set(all_tokens)) < len(all_tokens):
            raise ConfigError(f"{self.name} cannot distinguish {', '.join(map(repr, labels))}: they share a token")
        return tokens

    def generate(self, calls: Sequence[Generate]) -> list[Generated | Failure]:
        """Write after each prompt; greedy at temperature 0. Calls with the same settings share a batch."""
        answers: dict[int, Generated | Failure] = {}
        alike: dict[tuple[Any, ...], list[tuple[int, Ids]]] = {}
        for index, call in enumerate(calls):
            prompt = self._prompt(call.messages)
            room = self._room(prompt)
            if room < 1:
                answers[index] = self._too_long(prompt, 1)
            else:
                settings = (min(call.max_tokens + (call.thoughts or 0), room), call.temperature, call.stop)
                alike.setdefault(settings, []).append((index, prompt))
        for settings, group in alike.items():
            for start in range(0, len(group), self.max_batch):
                part = group[start : start + self.max_batch]
                written = self._write([prompt for _, prompt in part], *settings)
                answers.update(zip((index for index, _ in part), written, strict=True))
        return [answers[index] for index in range(len(calls))]

    def choice_logprobs(self, calls: Sequence[ChoiceLogprobs]) -> list[Logprobs | Failure]:
        """Log-probability of each choice right after the prompt, with or without a leading space.

        A choice that is one token counts as that token, in both spellings. Another counts by all its tokens.
        """
        answers: dict[int, Logprobs | Failure] = {}
        prompts: dict[int, Ids] = {}
        spellings: dict[int, list[list[Ids]]] = {}
        for index, call in enumerate(calls):
            prompt = self._prompt(call.messages)
            choices = [self._spellings(choice) for choice in call.choices]
            longest = max((len(ids) for choice in choices for ids in choice), default=1)
            if self._room(prompt) < longest - 1:
                answers[index] = self._too_long(prompt, longest - 1)
            else:
                prompts[index], spellings[index] = prompt, choices
        long = [
            (index, ids) for index, choices in spellings.items() for choice in choices for ids in choice if len(ids) > 1
        ]
        whole = iter([math.fsum(values) for values in self._likelihoods([(prompts[i], ids) for i, ids in long])])
        one_token = [
            [ids[0] for choice in choices for ids in choice if len(ids) == 1] for choices in spellings.values()
        ]
        nexts = self._next(list(prompts.values()), one_token)
        for (index, choices), values in zip(spellings.items(), nexts, strict=True):
            single = iter(values)
            found = [log_sum_exp([next(single if len(ids) == 1 else whole) for ids in choice]) for choice in choices]
            answers[index] = Logprobs(tuple(found), tokens_in=len(prompts[index]), tokens_out=0)
        return [answers[index] for index in range(len(calls))]

    def prompt_logprobs(self, calls: Sequence[PromptLogprobs]) -> list[Logprobs | Failure]:
        """Log-probability of every token of the continuation after the prefix and the tokens before it.

        Prefix and continuation are tokenised apart and put together, so that the split is where the call puts it; the
        prefix gets the tokenizer's opening token. No chat template.
        """
        answers: dict[int, Logprobs | Failure] = {}
        pairs: list[tuple[Ids, Ids]] = []
        places: list[int] = []
        for index, call in enumerate(calls):
            prefix = self._opened(self._worded(call.prefix))
            continuation = self._ids(self._plain(call.continuation))
            if not prefix:
                answers[index] = Failure("error", "an empty prefix, and the tokenizer has no token to open a text with")
            elif self._room(prefix) < len(continuation) - 1:
                answers[index] = self._too_long(prefix, len(continuation) - 1)
            else:
                pairs.append((prefix, continuation))
                places.append(index)
        for index, (prefix, continuation), values in zip(places, pairs, self._likelihoods(pairs), strict=True):
            read = len(prefix) + len(continuation)
            answers[index] = Logprobs(tuple(values), tokens_in=read, tokens_out=0)
        return [answers[index] for index in range(len(calls))]

    # Text to tokens

    def _ids(self, text: str) -> Ids:
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _opened(self, text: str) -> Ids:
        """Tokens of a text that begins here."""
        ids = list(self._tokenizer(text, verbose=False)["input_ids"])
        end = self._tokenizer.eos_token_id
        if len(ids) > 1 and ids[-1] == end:
            ids.pop()
        openers = (self._tokenizer.bos_token_id, end)
        return ids or [token for token in openers if token is not None][:1]

    def _prompt(self, messages: Sequence[Message]) -> Ids:
        """Tokens of the prompt. A last message of the assistant is a beginning to go on from."""
        if not (self.chat_template and self._tokenizer.chat_template):
            return self._opened(self._worded(joined(messages)))
        turns = [{"role": m.role, "content": self._as_data(m)} for m in messages]
        going_on = bool(turns) and turns[-1]["role"] == "assistant"
        options = {
            "tokenize": False,
            "add_generation_prompt": not going_on,
            "continue_final_message": going_on,
            **(self.template_options or {}),
        }
        try:
            text = self._tokenizer.apply_chat_template(turns, **options)
        except needed("jinja2", "A chat template", "transformers").TemplateError:
            text = self._tokenizer.apply_chat_template(without_system(turns), **options)
        return self._ids(text)

    def _as_data(self, message: Message) -> str:
        """The content with the tokenizer's control tokens broken up, so that no document can end its turn."""
        return message.content if message.role == "assistant" else self._plain(message.content)

    @once
    def _plain(self) -> PlainText:
        return PlainText(self._tokenizer.all_special_tokens)

    @once
    def _worded(self) -> PlainText:
        """For a prompt without a chat template, whose wording may hold control tokens. Prompts have none from outside
        that is a control word by its form; others can only be from there."""
        tokens = self._tokenizer.all_special_tokens
        return PlainText(token for token in tokens if neutralise_control(token) == token)

    def _spellings(self, choice: str) -> list[Ids]:
        both = [self._ids(choice), self._ids(f" {choice.lstrip()}")]
        distinct = [ids for index, ids in enumerate(both) if ids and ids not in both[:index]]
        return [ids for ids in distinct if len(ids) == 1] or distinct

    def _room(self, prompt: Ids) -> float:
        return math.inf if self.context_window is None else self.context_window - len(prompt)

    def _too_long(self, prompt: Ids, more: int) -> Failure:
        needs = f"{len(prompt)} tokens and {more} after it"
        return Failure("error", f"the prompt has {needs}; {self.name} takes {self.context_window} in all")

    # Tokens to probabilities and text: the families differ

    @abstractmethod
    def _inputs(self, prompts: list[Ids]) -> tuple[dict[str, Any], int]:
        """What `generate` of transformers takes, and how many tokens it gives back before those it writes."""

    @abstractmethod
    def _logits(self, pairs: list[tuple[Ids, Ids]]) -> list[Any]:
        """For each prompt and continuation the logits of the token right after the prompt, and of each one after that
        whose place the continuation holds: (its length or 1, vocabulary)."""

    def _next(self, prompts: list[Ids], wanted: list[Ids]) -> list[list[float]]:
        """Log-probabilities of the wanted tokens right after each prompt."""
        return self._picked([(prompt, []) for prompt in prompts], lambda index, values: values[-1][wanted[index]])

    def _likelihoods(self, pairs: list[tuple[Ids, Ids]]) -> list[list[float]]:
        """Log-probabilities of the tokens of each second part after its first."""
        torch = needed("torch", type(self).__name__, "transformers")

        def own(index: int, values: Any) -> Any:
            tokens = torch.tensor(pairs[index][1], device=values.device, dtype=torch.long)
            return values.gather(1, tokens[:, None])[:, 0]

        return self._picked(pairs, own)

    def _picked(self, pairs: list[tuple[Ids, Ids]], pick: Callable[[int, Any], Any]) -> list[list[float]]:
        """What `pick` takes of each pair's log-probabilities; pairs of similar length share a forward pass."""
        torch = needed("torch", type(self).__name__, "transformers")
        found: dict[int, list[float]] = {}
        with lock_of(self), torch.inference_mode():
            for group in by_length([len(first) + len(second) for first, second in pairs], self.max_batch):
                for index, logits in zip(group, self._logits([pairs[index] for index in group]), strict=True):
                    found[index] = pick(index, torch.log_softmax(logits.float(), dim=-1)).tolist()
        return [found[index] for index in range(len(pairs))]

    def _write(
        self, prompts: list[Ids], max_tokens: float, temperature: float, stop: tuple[str, ...]
    ) -> list[Generated]:
        torch = needed("torch", type(self).__name__, "transformers")
        ends = self._ends
        settings: dict[str, Any] = {"do_sample": False, "temperature": 1.0, "top_k": 50}
        if temperature > 0:
            settings = {"do_sample": True, "temperature": temperature, "top_k": 0}
        if stop:
            settings |= {"stop_strings": list(stop), "tokenizer": self._tokenizer}
        with lock_of(self), torch.inference_mode():
            inputs, width = self._inputs(prompts)
            output = self._network.generate(
                **inputs,
                max_new_tokens=int(max_tokens),
                pad_token_id=self._pad,
                eos_token_id=ends or None,
                top_p=1.0,
                repetition_penalty=1.0,
                num_beams=1,
                **settings,
            )
        return [self._read(prompt, ids, stop) for prompt, ids in zip(prompts, output[:, width:].tolist(), strict=True)]

    def _read(self, prompt: Ids, ids: Ids, stop: tuple[str, ...]) -> Generated:
        end = next((index for index, token in enumerate(ids) if token in self._ends), None)
        text = self._tokenizer.decode(ids[:end], skip_special_tokens=True)
        cuts = [text.find(mark) for mark in stop if mark in text]
        wrote = len(ids) if end is None else end + 1
        complete = end is not None or bool(cuts)
        limit = None if complete else wrote
        return Generated(
            text[: min(cuts, default=None)], complete, limit=limit, tokens_in=len(prompt), tokens_out=wrote
        )

    def _padded(self, rows: list[Ids], *, left: bool = True) -> dict[str, Any]:
        """Token ids and attention mask. Padded on the left, every row ends where its answer begins."""
        torch = needed("torch", type(self).__name__, "transformers")
        width = max(map(len, rows))
        ids, mask = [], []
        for row in rows:
            filling = [self._pad] * (width - len(row))
            ids.append([*filling, *row] if left else [*row, *filling])
            mask.append([0] * len(filling) + [1] * len(row) if left else [1] * len(row) + [0] * len(filling))
        device = self._network.device
        return {"input_ids": torch.tensor(ids, device=device), "attention_mask": torch.tensor(mask, device=device)}

    # What is loaded

    @property
    def _transformers(self) -> Any:
        return needed("transformers", type(self).__name__, "transformers")

    @once
    def _config(self) -> Any:
        if not isinstance(self.model, str):
            return self.model.config
        return loaded(self._transformers.AutoConfig.from_pretrained, self.model)

    @once
    def _tokenizer(self) -> Any:
        if self.tokenizer is not None:
            return self.tokenizer
        return loaded(self._transformers.AutoTokenizer.from_pretrained, self.model)

    @once
    def _network(self) -> Any:
        if not isinstance(self.model, str):
            return (self.model.to(self.device) if self.device else self.model).eval()
        load = getattr(self._transformers, self.loader).from_pretrained
        return loaded(load, self.model, dtype=self.dtype).to(torch_device(self.device)).eval()

    @once
    def _takes(self) -> frozenset[str]:
        return frozenset(inspect.signature(self._network.forward).parameters)

    @once
    def _ends(self) -> Ids:
        """Tokens that end an answer."""
        given = getattr(self._network.generation_config, "eos_token_id", None)
        given = self._tokenizer.eos_token_id if given is None else given
        return [] if given is None else [given] if isinstance(given, int) else list(given)

    @property
    def _pad(self) -> int:
        """A token to fill up with; masked, so any will do."""
        own = self._tokenizer.pad_token_id
        return own if own is not None else (*self._ends, 0)[0]


def joined(messages: Sequence[Message]) -> str:
    """Contents joined by a blank line; a last message of the assistant continues where the others end."""
    *before, last = messages
    if last.role != "assistant":
        before, last = [*messages], Message("assistant", "")
    return "\n\n".join(message.content for message in before) + last.content


def without_system(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """The turns with system text at the head of the first other turn, for templates that know no system role."""
    system = [turn["content"] for turn in turns if turn["role"] == "system"]
    rest = [turn for turn in turns if turn["role"] != "system"]
    if not system or not rest:
        return turns
    return [{**rest[0], "content": "\n\n".join([*system, rest[0]["content"]])}, *rest[1:]]
