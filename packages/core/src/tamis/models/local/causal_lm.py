"""A causal language model in this process, with transformers."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

from tamis.models.local.base import LOCAL
from tamis.models.local.language_model import Ids, LanguageModel


@dataclass(frozen=True, config=LOCAL)
class CausalLM(LanguageModel):
    """A transformers causal LM. Can `generate`, and give exact `choice_logprobs` and `prompt_logprobs`.

    Args:
        model: a folder or a hub name; for a model already loaded use `CausalLM.of`.
        device: `"cpu"`, `"cuda"`, ...; default: an accelerator when there is one.
        dtype: of the weights: `"auto"` (as saved), `"float32"`, `"bfloat16"`, ...
        max_batch: prompts in one forward pass.
        chat_template: render messages with the tokenizer's chat template when it has one. Otherwise their contents are
            joined by a blank line, a begun answer right after them.
        template_options: further arguments of the template, such as `{"enable_thinking": False}`.
        max_length: tokens of prompt and answer together; default: what the model was made for.

    A prompt is never cut: one that does not fit is a `Failure` for its call alone. Probabilities are natural logs over
    the whole vocabulary at temperature 1, the same whatever else is in the batch (to rounding; use float32 where that
    matters). Needs the extra `transformers`. Raises `ConfigError` for weights that cannot be loaded.

    >>> model = CausalLM("Qwen/Qwen3-0.6B", template_options={"enable_thinking": False})
    >>> Pointwise(model).rerank(query, passages)  # doctest: +SKIP
    """

    loader: ClassVar[str] = "AutoModelForCausalLM"

    def _inputs(self, prompts: list[Ids]) -> tuple[dict[str, Any], int]:
        inputs = self._padded(prompts)
        return inputs, inputs["input_ids"].shape[1]

    def _logits(self, pairs: list[tuple[Ids, Ids]]) -> list[Any]:
        inputs = self._padded([(first + second)[:-1] if second else first for first, second in pairs])
        counts = [max(1, len(second)) for _, second in pairs]
        takes = self._takes
        if "position_ids" in takes:
            inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        if "logits_to_keep" in takes:
            inputs["logits_to_keep"] = max(counts)
        if "use_cache" in takes:
            inputs["use_cache"] = False
        logits = self._network(**inputs).logits
        return [row[-count:] for row, count in zip(logits, counts, strict=True)]
