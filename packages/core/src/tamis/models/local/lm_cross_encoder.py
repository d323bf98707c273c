"""Language models that score a pair by the logit of a label token, run as classifiers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass

from tamis.errors import ConfigError, needed
from tamis.models.lazy import lock_of, once
from tamis.models.local.base import LOCAL, Local, Weights, by_length, loaded, pass_tokens, torch_device
from tamis.models.local.pairs import Ids, Pair, TextTokenizer, batch
from tamis.models.local.plain_text import PlainText
from tamis.models.local.torch_threads import WEIGHTS
from tamis.prompts.wordings import Wording, WordingRef, wording_for
from tamis.values.answers import Failure, Score
from tamis.values.calls import Capability, Classify
from tamis.values.scale import LOGIT, Scale


@dataclass(frozen=True, config=LOCAL)
class LMCrossEncoder(Local):
    """A decoder or encoder-decoder trained to answer yes or no about a pair. Can `classify`.

    Args:
        model: a folder or a hub name; for a model already loaded use `LMCrossEncoder.of`.
        wording: what it reads: the name of a published one (`qwen3-reranker`, `mxbai-rerank-v2`, `zerank`,
            `bge-reranker-gemma`, `monot5`) or a `Wording`; default: what the model's name says.
        instruction: for wordings that take one, where the query brings none.
        device, dtype: as for `CausalLM`.
        max_batch: pairs in one call.
        max_length: tokens of a sequence. What is longer loses the end of the passage, never what comes after it.
        batch_tokens: padded tokens of one forward pass; default: 512 on a CPU, else 16,384.
        scale: of the scores.

    The score is the logit of the wording's positive token, less that of its negative one, after the last token of the
    sequence. Of the output matrix only these rows are kept: a vocabulary of 150,000 costs as much as two words. What
    comes before the passage is read once per query, its keys and values shared by all passages. Control tokens spelled
    out in a query or a passage are plain text. A query that is too long is a `Failure` for its call. Needs the extra
    `transformers`. Raises `ConfigError` for a model without a known wording, a label that is not a single token, or
    weights that cannot be loaded.

    >>> model = LMCrossEncoder("Qwen/Qwen3-Reranker-0.6B")
    >>> CrossEncoder(model).rerank(query, passages)  # doctest: +SKIP
    """

    survive_fork: ClassVar[frozenset[str]] = Local.survive_fork | WEIGHTS
    model: Weights
    wording: WordingRef = None
    instruction: str | None = None
    device: str | None = None
    dtype: str = "auto"
    max_batch: PositiveInt = 64
    max_length: Annotated[int, Field(ge=8)] = 8192
    batch_tokens: PositiveInt | None = None
    scale: Scale = LOGIT
    tokenizer: Any = field(default=None, repr=False)

    capabilities: ClassVar[tuple[Capability, ...]] = ("classify",)

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) and self.tokenizer is None:
            raise ConfigError("a model already loaded needs its tokenizer: LMCrossEncoder.of(model, tokenizer)")
        _ = self._wording

    @classmethod
    def of(cls, model: Any, tokenizer: Any, **options: Any) -> LMCrossEncoder:
        """From a transformers model and tokenizer already loaded. It is put in evaluation mode and stays whole."""
        return cls(model, tokenizer=tokenizer, **options)

    def classify(self, calls: Sequence[Classify]) -> list[Score | Failure]:
        """One logit a pair."""
        torch = needed("torch", "LMCrossEncoder", "transformers")
        answers: dict[int, Score | Failure] = {}
        asked = [(call.query, call.instruction or self.instruction) for call in calls]
        fronts = {query: self._front(*query) for query in dict.fromkeys(asked)}
        passages = self._passages.tokens([self._wording.middle(call.text) for call in calls], self.max_length)
        rests: dict[tuple[str, str | None], dict[int, Ids]] = {query: {} for query in fronts}
        for index, (query, passage) in enumerate(zip(asked, passages, strict=True)):
            room = self.max_length - len(fronts[query]) - len(self._back)
            if room < 1:
                told = (
                    f"the query and the wording take {self.max_length - room} tokens; max_length is {self.max_length}"
                )
                answers[index] = Failure("error", told)
            else:
                rests[query][index] = passage[:room] + self._back
        with lock_of(self), torch.inference_mode():
            for query, rest in rests.items():
                front = fronts[query]
                for (index, ids), value in zip(rest.items(), self._scores(front, list(rest.values())), strict=True):
                    answers[index] = Score(value, tokens_in=len(front) + len(ids), tokens_out=0)
        return [answers[index] for index in range(len(calls))]

    # Text to tokens

    def _front(self, query: str, instruction: str | None = None) -> Ids:
        """Tokens before the passage."""
        ids: Ids = [self._tokenizer.bos_token_id] if self._wording.opens else []
        for piece in self._wording.front(query, instruction):
            ids += self._mixed(piece)
        return ids

    def _mixed(self, runs: list[tuple[str, bool]]) -> Ids:
        """Tokens of a piece in which some runs are the asker's own: their control tokens are broken up."""
        return self._pieces.tokens(["".join(self._plain(text) if own else text for text, own in runs)], 1 << 30)[0]

    @once
    def _plain(self) -> PlainText:
        return PlainText.of(self._tokenizer)

    @once
    def _back(self) -> Ids:
        """Tokens after the passage."""
        ids = [token for piece in self._pieces.tokens(list(self._wording.after), 1 << 30) for token in piece]
        return [*ids, self._tokenizer.eos_token_id] if self._wording.closes else ids

    @once
    def _labels(self) -> Ids:
        found = self._pieces.tokens(list(self._wording.labels), 1 << 30)
        for label, ids in zip(self._wording.labels, found, strict=True):
            if len(ids) != 1:
                raise ConfigError(f"{self.name} has no single token for {label!r}, so it was not trained to say it")
        return [ids[0] for ids in found]

    @once
    def _pieces(self) -> TextTokenizer:
        return TextTokenizer(self._tokenizer.backend_tokenizer)

    @once
    def _passages(self) -> TextTokenizer:
        return TextTokenizer(self._tokenizer.backend_tokenizer, special=False)

    # Tokens to scores

    def _scores(self, front: Ids, rests: list[Ids]) -> list[float]:
        """One score a sequence; all begin with `front`."""
        torch = needed("torch", "LMCrossEncoder", "transformers")
        shared = self._read(front) if len(rests) > 1 else None
        rows = rests if shared is not None else [front + rest for rest in rests]
        limit = self.batch_tokens or pass_tokens(self._network)
        groups = list(by_length([len(row) for row in rows], self.max_batch, limit))
        found = [self._logits([rows[index] for index in group], shared, len(front)) for group in groups]
        scores: dict[int, float] = {}
        for group, logits in zip(groups, found, strict=True):
            positive = logits[:, 0] - logits[:, 1] if logits.shape[1] == 2 else logits[:, 0]
            scores.update(zip(group, (positive.to(torch.float64) / self._wording.divisor).tolist(), strict=True))
        return [scores[index] for index in range(len(rests))]

    def _read(self, front: Ids) -> Any:
        """Keys and values of what all sequences begin with; `None` where the model keeps them in another way."""
        torch = needed("torch", "LMCrossEncoder", "transformers")
        if self._network.config.is_encoder_decoder or not front:
            return None
        ids = torch.tensor([front], device=self._network.device)
        cache = getattr(self._network(input_ids=ids, use_cache=True), "past_key_values", None)
        layers = getattr(cache, "layers", [])
        return cache if layers and all(type(layer).__name__ == "DynamicLayer" for layer in layers) else None

    def _logits(self, rows: list[Ids], shared: Any, read: int) -> Any:
        """(sequences, labels) after the last token of each."""
        torch = needed("torch", "LMCrossEncoder", "transformers")
        device = self._network.device
        arrays = batch([Pair(row, [0] * len(row)) for row in rows], self._tokenizer.pad_token_id or 0)
        ids, mask = (torch.from_numpy(arrays[name]).to(device) for name in ("input_ids", "attention_mask"))
        if self._network.config.is_encoder_decoder:
            start = torch.full((len(rows), 1), self._network.config.decoder_start_token_id, device=device)
            return self._network(input_ids=ids, attention_mask=mask, decoder_input_ids=start).logits[:, -1].float()
        last = mask.sum(dim=1) - 1
        inputs = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
        if shared is not None:
            cache = copy.deepcopy(shared)
            cache.batch_repeat_interleave(len(rows))
            inputs |= {
                "attention_mask": torch.cat([mask.new_ones(len(rows), read), mask], dim=1),
                "position_ids": read + torch.arange(ids.shape[1], device=device).expand_as(ids),
                "past_key_values": cache,
                "use_cache": True,
            }
        logits = self._network(**inputs).logits
        return logits[torch.arange(len(rows), device=device), last].float()

    # What is loaded

    @once
    def _wording(self) -> Wording:
        if self.wording is not None:
            return self.wording
        found = wording_for(self.model) if isinstance(self.model, str) else None
        if found is None:
            raise ConfigError(
                f"how {self.name} asks is not known: give wording=... (a name that tamis.prompts.wordings.wordings() "
                "lists, or a Wording with the pieces of its prompt)"
            )
        return found

    @once
    def _tokenizer(self) -> Any:
        if self.tokenizer is not None:
            return self.tokenizer
        load = needed("transformers", "LMCrossEncoder", "transformers").AutoTokenizer.from_pretrained
        return loaded(load, self.model)

    @once
    def _network(self) -> Any:
        """The model with an output matrix of the labels' rows alone."""
        torch = needed("torch", "LMCrossEncoder", "transformers")
        whole = self._whole()
        network = copy.copy(whole)
        network._modules = dict(whole._modules)
        head = whole.get_output_embeddings()
        rows = torch.nn.Linear(head.in_features, len(self._labels), bias=head.bias is not None)
        rows.weight = torch.nn.Parameter(head.weight[self._labels].detach().clone(), requires_grad=False)
        if head.bias is not None:
            rows.bias = torch.nn.Parameter(head.bias[self._labels].detach().clone(), requires_grad=False)
        network.set_output_embeddings(rows)
        return network.eval()

    def _whole(self) -> Any:
        if not isinstance(self.model, str):
            return self.model.to(self.device) if self.device else self.model
        transformers = needed("transformers", "LMCrossEncoder", "transformers")
        config = loaded(transformers.AutoConfig.from_pretrained, self.model)
        kind = "AutoModelForSeq2SeqLM" if config.is_encoder_decoder else "AutoModelForCausalLM"
        load = getattr(transformers, kind).from_pretrained
        return loaded(load, self.model, dtype=self.dtype).to(torch_device(self.device))
