"""A causal language model in this process, with transformers."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

from tamis.models.language_model import Ids, LanguageModel
from tamis.models.lazy import lock_of, needed
from tamis.models.local import LOCAL, by_length


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
    >>> model.choice_logprobs([ChoiceLogprobs(model, (Message("user", "Is water wet?"),), ("yes", "no"))])
    [Logprobs(tokens_in=18, tokens_out=0, values=(-0.3, -1.4))]
    """

    loader: ClassVar[str] = "AutoModelForCausalLM"

    def _inputs(self, prompts: list[Ids]) -> tuple[dict[str, Any], int]:
        inputs = self._padded(prompts)
        return inputs, inputs["input_ids"].shape[1]

    def _next(self, prompts: list[Ids], wanted: list[Ids]) -> list[list[float]]:
        """Log-probabilities of the wanted tokens right after each prompt."""
        torch = needed("torch", "CausalLM", "transformers")
        found: dict[int, list[float]] = {}
        with lock_of(self), torch.inference_mode():
            for group in by_length([len(prompt) for prompt in prompts], self.max_batch):
                logits = self._logits([prompts[index] for index in group], 1)
                values = torch.log_softmax(logits[:, -1].float(), dim=-1)
                for index, row in zip(group, values, strict=True):
                    found[index] = row[wanted[index]].tolist()
        return [found[index] for index in range(len(prompts))]

    def _likelihoods(self, pairs: list[tuple[Ids, Ids]]) -> list[list[float]]:
        """Log-probabilities of the tokens of each second part after its first."""
        torch = needed("torch", "CausalLM", "transformers")
        found: dict[int, list[float]] = {}
        with lock_of(self), torch.inference_mode():
            for group in by_length([len(first) + len(second) for first, second in pairs], self.max_batch):
                chosen = [pairs[index] for index in group]
                logits = self._logits(
                    [(first + second)[:-1] for first, second in chosen], max(len(s) for _, s in chosen)
                )
                for index, row, (_, second) in zip(group, logits, chosen, strict=True):
                    tail = row[row.shape[0] - len(second) :].float()
                    targets = torch.tensor(second, device=tail.device, dtype=torch.long)
                    values = torch.log_softmax(tail, dim=-1).gather(1, targets[:, None])[:, 0]
                    found[index] = values.tolist()
        return [found[index] for index in range(len(pairs))]

    def _logits(self, rows: list[Ids], last: int) -> Any:
        """Logits at the `last` positions: (rows, last, vocabulary)."""
        inputs = self._padded(rows)
        takes = self._takes
        if "position_ids" in takes:
            inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        if "logits_to_keep" in takes:
            inputs["logits_to_keep"] = max(1, last)
        if "use_cache" in takes:
            inputs["use_cache"] = False
        logits = self._network(**inputs).logits
        return logits[:, logits.shape[1] - last :]
