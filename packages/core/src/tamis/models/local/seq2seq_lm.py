"""An encoder-decoder language model in this process, with transformers: T5, Flan-T5, monoT5, ListT5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

from tamis.errors import needed
from tamis.models.local.base import LOCAL
from tamis.models.local.language_model import Ids, LanguageModel, joined
from tamis.values.calls import Message


class Source(list[int]):
    """Token ids for the encoder: of one text, or of several that are encoded apart (`parts`). `begun`: those of an
    answer that the decoder goes on from."""

    def __init__(self, parts: list[Ids], begun: Ids | None = None) -> None:
        super().__init__(token for part in parts for token in part)
        self.parts = parts
        self.begun = begun or []


@plain_dataclass(frozen=True)
class Encoded:
    """States of the encoder and the mask of those that count: (rows, length, width) and (rows, length)."""

    states: Any
    mask: Any


@dataclass(frozen=True, config=LOCAL)
class Seq2SeqLM(LanguageModel):
    """A transformers encoder-decoder LM. Can `generate`, and give exact `choice_logprobs` and `prompt_logprobs`.

    The prompt goes to the encoder, whole, with the tokenizer's closing token; the answer is the decoder's. A choice is
    read at the decoder's first step (after a begun answer, a last message of the assistant, at the step after it);
    a continuation is scored as the decoder's text, without a closing token.

    Args:
        model, device, dtype, max_batch, max_length: as for `CausalLM`. T5's config names 512 tokens, which is what
            monoT5 was trained on; Flan-T5 reads more where `max_length` says so.
        chat_template, template_options: as for `CausalLM`; models of this family have no such template.
        fusion: encode each user message apart and let the decoder attend to all (Fusion-in-Decoder), so that a passage
            cannot see another. `max_length` then holds for each.

    Needs the extra `transformers`. Raises `ConfigError` for weights that cannot be loaded. Sources: Raffel et al., 2020
    (T5); Izacard and Grave, 2021 (Fusion-in-Decoder).

    >>> model = Seq2SeqLM("castorini/monot5-base-msmarco-10k")
    >>> load("monot5", models={"llm": model}).rerank(query, passages)  # doctest: +SKIP
    """

    fusion: bool = False

    loader: ClassVar[str] = "AutoModelForSeq2SeqLM"

    def _prompt(self, messages: Sequence[Message]) -> Source:
        begun = messages[-1].content if messages[-1].role == "assistant" else ""
        read = messages[:-1] if begun else messages
        if self.fusion:
            texts = [message.content for message in read if message.role == "user"]
        elif self.chat_template and self._tokenizer.chat_template:
            return Source([super()._prompt(read)], self._ids(begun) if begun else None)
        else:
            texts = [joined(read)]
        return Source([self._closed(self._worded(text)) for text in texts], self._ids(begun) if begun else None)

    def _opened(self, text: str) -> Source:
        return Source([self._closed(text)])

    def _closed(self, text: str) -> Ids:
        """Tokens of a text with the tokenizer's closing token."""
        return list(self._tokenizer(text, verbose=False)["input_ids"])

    def _room(self, prompt: Ids) -> float:
        """Tokens left for the answer: all the window, as the decoder has its own, or none for a text too long."""
        window = self.context_window
        if window is None:
            return float("inf")
        assert isinstance(prompt, Source)
        longest = max(map(len, prompt.parts), default=0)
        return window - longest if longest > window else window - len(prompt.begun)

    def _inputs(self, prompts: list[Any]) -> tuple[dict[str, Any], int]:
        outputs = needed("transformers.modeling_outputs", "Seq2SeqLM", "transformers")
        encoded = self._encoded(prompts)
        begun = self._padded([self._start + prompt.begun for prompt in prompts])
        return {
            "encoder_outputs": outputs.BaseModelOutput(last_hidden_state=encoded.states),
            "attention_mask": encoded.mask,
            "decoder_input_ids": begun["input_ids"],
            "decoder_attention_mask": begun["attention_mask"],
        }, begun["input_ids"].shape[1]

    def _logits(self, pairs: list[tuple[Any, Ids]]) -> list[Any]:
        outputs = needed("transformers.modeling_outputs", "Seq2SeqLM", "transformers")
        begun = [self._start + prompt.begun for prompt, _ in pairs]
        rows = [(first + second)[:-1] if second else first for first, (_, second) in zip(begun, pairs, strict=True)]
        encoded, decoded = self._encoded([prompt for prompt, _ in pairs]), self._padded(rows, left=False)
        logits = self._network(
            encoder_outputs=outputs.BaseModelOutput(last_hidden_state=encoded.states),
            attention_mask=encoded.mask,
            decoder_input_ids=decoded["input_ids"],
            decoder_attention_mask=decoded["attention_mask"],
            use_cache=False,
        ).logits
        return [one[len(first) - 1 : len(row)] for one, first, row in zip(logits, begun, rows, strict=True)]

    def _encoded(self, prompts: list[Source]) -> Encoded:
        """Each text encoded alone; those of one prompt side by side."""
        parts = [part for prompt in prompts for part in prompt.parts]
        inputs = self._padded(parts, left=False)
        states = self._network.get_encoder()(**inputs).last_hidden_state
        most = max(len(prompt.parts) for prompt in prompts)
        length, width = states.shape[1:]
        whole = states.new_zeros((len(prompts), most * length, width))
        mask = inputs["attention_mask"].new_zeros((len(prompts), most * length))
        start = 0
        for row, prompt in enumerate(prompts):
            count = len(prompt.parts)
            whole[row, : count * length] = states[start : start + count].reshape(count * length, width)
            mask[row, : count * length] = inputs["attention_mask"][start : start + count].reshape(-1)
            start += count
        return Encoded(whole, mask)

    @property
    def _start(self) -> Ids:
        start = self._network.config.decoder_start_token_id
        return [self._pad if start is None else start]
