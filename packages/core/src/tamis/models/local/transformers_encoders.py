"""Encoders in this process, with transformers and sentence-transformers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import field
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass

from tamis.errors import ConfigError, needed
from tamis.models.lazy import lock_of, once
from tamis.models.local.base import (
    LOCAL,
    Local,
    RemoteCode,
    Weights,
    by_length,
    loaded,
    log_odds,
    pass_tokens,
    torch_device,
)
from tamis.models.local.pairs import Pair, PairTokenizer, batch
from tamis.models.local.plain_text import PlainText
from tamis.models.local.torch_threads import WEIGHTS, side_by_side
from tamis.values.answers import Score, Vector
from tamis.values.calls import Capability, Classify, Embed, EmbedTokens
from tamis.values.scale import LOGIT, Scale

MEDIA = re.compile(r"\A(?:https?://|data:)|\.\w{2,5}\Z", re.IGNORECASE)
"""Texts that sentence-transformers opens as pictures, films or sound where a model takes such: addresses, data, and
paths of files. With a space at both ends they are text."""


@dataclass(frozen=True, config=LOCAL)
class TransformersCrossEncoder(Local):
    """A sequence classifier of (query, text) pairs, such as a BERT reranker. Can `classify`.

    Args:
        model: a folder or a hub name; for a model already loaded use `TransformersCrossEncoder.of`.
        device, dtype: as for `CausalLM`.
        max_batch: pairs in one call, which are sorted by length together. A deadline cuts between calls.
        max_length: tokens of a pair. What is longer loses the end of the text; only where the query takes more than
            half of that is the query cut as well.
        label: of a model with several labels, the one that means relevant.
        scale: of the scores.
        batch_tokens: padded tokens of one forward pass; default: 512 on a CPU, else 16,384.
        trust_remote_code: let transformers run code that comes with the weights, as some models need (gte, jina v2).

    The score is a logit: the model's only one, or the log-odds of `label` against all other labels. On a CPU as many
    passes run side by side as `torch.get_num_threads()` says, one thread each. Needs the extra `transformers`. Raises
    `ConfigError` for weights that cannot be loaded.
    """

    survive_fork: ClassVar[frozenset[str]] = Local.survive_fork | WEIGHTS
    model: Weights
    device: str | None = None
    dtype: str = "auto"
    max_batch: PositiveInt = 64
    max_length: Annotated[int, Field(ge=8)] = 512
    label: int = -1
    scale: Scale = LOGIT
    tokenizer: Any = field(default=None, repr=False)
    batch_tokens: PositiveInt | None = None
    trust_remote_code: RemoteCode = False

    capabilities: ClassVar[tuple[Capability, ...]] = ("classify",)
    loader: ClassVar[str] = "AutoModelForSequenceClassification"
    """The transformers class that loads the weights."""

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) and self.tokenizer is None:
            raise ConfigError(
                "a model already loaded needs its tokenizer: TransformersCrossEncoder.of(model, tokenizer)"
            )

    @classmethod
    def of(cls, model: Any, tokenizer: Any, **options: Any) -> Self:
        """From a transformers model and tokenizer already loaded. The model is put in evaluation mode."""
        return cls(model, tokenizer=tokenizer, **options)

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        """One logit a pair."""
        pairs = self._pairs.pairs(calls)
        values = log_odds(self._rows(pairs), self.label)
        return [Score(value, tokens_in=len(p.ids), tokens_out=0) for value, p in zip(values, pairs, strict=True)]

    def _rows(self, pairs: list[Pair]) -> NDArray[Any]:
        """What the network gives of each pair: (pairs, width)."""
        with lock_of(self):
            groups = list(by_length([len(pair.ids) for pair in pairs], self._together, self._tokens_a_pass))
            parts = [[pairs[index] for index in group] for group in groups]
            few = self._threads == 1 or len(groups) <= self._threads // 2
            found = list(map(self._output, parts) if few else self._workers.map(self._output, parts))
            # Fetched after the last pass: an accelerator is not made to wait between passes.
            rows = [row for output in found for row in output.float().cpu().numpy()]
        order = np.argsort([index for group in groups for index in group])
        return np.asarray([rows[place] for place in order])

    def _output(self, pairs: list[Pair]) -> Any:
        torch = needed("torch", "TransformersCrossEncoder", "transformers")
        arrays = batch(pairs, self._tokenizer.pad_token_id or 0)
        taken = [name for name in self._tokenizer.model_input_names if name in arrays]
        device = self._network.device
        with torch.inference_mode():
            return self._read(self._network(**{name: torch.from_numpy(arrays[name]).to(device) for name in taken}))

    def _read(self, output: Any) -> Any:
        """(pairs, width) of what the network gave."""
        return output.logits

    @once
    def _threads(self) -> int:
        """Passes in parallel: on a CPU one per thread of torch, on an accelerator one after the other."""
        torch = needed("torch", "TransformersCrossEncoder", "transformers")
        return int(torch.get_num_threads()) if self._network.device.type == "cpu" else 1

    @once
    def _workers(self) -> Executor:
        return side_by_side(self._threads)

    @property
    def _together(self) -> int:
        """Without a token to pad with, a model cannot tell where a shorter text ends."""
        return self.max_batch if self._tokenizer.pad_token_id is not None else 1

    @property
    def _tokens_a_pass(self) -> int:
        return self.batch_tokens or pass_tokens(self._network)

    @once
    def _pairs(self) -> PairTokenizer | SlowPairs:
        if not getattr(self._tokenizer, "is_fast", False):
            return SlowPairs(self._tokenizer, self.max_length)
        return PairTokenizer(self._tokenizer.backend_tokenizer, self.max_length)

    @once
    def _tokenizer(self) -> Any:
        if self.tokenizer is not None:
            return self.tokenizer
        load = needed("transformers", "TransformersCrossEncoder", "transformers").AutoTokenizer.from_pretrained
        return loaded(load, self.model, trust_remote_code=self.trust_remote_code)

    @once
    def _network(self) -> Any:
        if not isinstance(self.model, str):
            return (self.model.to(self.device) if self.device else self.model).eval()
        transformers = needed("transformers", "TransformersCrossEncoder", "transformers")
        load = getattr(transformers, self.loader).from_pretrained
        options = {"dtype": self.dtype, "trust_remote_code": self.trust_remote_code}
        return loaded(load, self.model, **options).to(torch_device(self.device)).eval()


class SlowPairs:
    """Pairs from a tokenizer written in Python, one by one."""

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._plain = PlainText.of(tokenizer)

    def pairs(self, calls: Sequence[Classify]) -> list[Pair]:
        """One sequence a call."""
        return [self._pair(call) for call in calls]

    def _pair(self, call: Classify) -> Pair:
        first, second = self._plain(call.query), self._plain(call.text)
        query = self._tokenizer(first, add_special_tokens=False, verbose=False)["input_ids"]
        cut = "longest_first" if len(query) > self._max_length // 2 else "only_second"
        found = self._tokenizer(first, second, truncation=cut, max_length=self._max_length)
        return Pair(found["input_ids"], found.get("token_type_ids") or [0] * len(found["input_ids"]))


class SentenceTransformersModel(Local):
    """Base of dataclasses that hold an encoder of sentence-transformers, which has a method for queries and one for
    documents."""

    survive_fork: ClassVar[frozenset[str]] = Local.survive_fork | WEIGHTS
    max_batch: int
    _network: Any

    def _encoded(self, calls: Sequence[Embed | EmbedTokens], **options: dict[str, Any]) -> list[Any]:
        """What the library gives of each text. `options`: of its method, by role."""
        answers: dict[int, Any] = {}
        methods = {"query": "encode_query", "passage": "encode_document"}
        with lock_of(self):
            for role in dict.fromkeys(call.role for call in calls):
                group = [index for index, call in enumerate(calls) if call.role == role]
                encoded = getattr(self._network, methods[role])(
                    [self._text(calls[index]) for index in group],
                    batch_size=self.max_batch,
                    normalize_embeddings=True,
                    show_progress_bar=False,
                    **options[role],
                )
                answers.update(zip(group, encoded, strict=True))
        return [answers[index] for index in range(len(calls))]

    def _text(self, call: Embed | EmbedTokens) -> str:
        """The text of `call`, so that the library reads it as text: no control token, and no address or file of a
        picture."""
        text = call.text if getattr(call, "controls", False) else self._plain(call.text)
        return f" {text} " if self._sees and MEDIA.search(text) else text

    @once
    def _plain(self) -> PlainText:
        return PlainText.of(getattr(self._network, "tokenizer", None))

    @once
    def _sees(self) -> bool:
        """Whether the encoder takes more than text."""
        return any(kind != "text" for kind in getattr(self._network, "modalities", ()))

    def _config_of(self, network: Any) -> Any:
        return super()._config_of(getattr(network, "transformers_model", None))


@dataclass(frozen=True, config=LOCAL)
class SentenceTransformerEmbedder(SentenceTransformersModel):
    """A sentence-transformers model. Can `embed`; vectors have length 1.

    Args:
        model: a folder, a hub name, or a `SentenceTransformer`.
        device: as for `CausalLM`.
        max_batch: texts in one call; sentence-transformers groups them by length.
        query_prompt, passage_prompt: put before each text; default: the model's own prompts for queries and documents.

    Needs the extra `sentence-transformers`. Raises `ConfigError` for weights that cannot be loaded.
    """

    model: Weights
    device: str | None = None
    max_batch: PositiveInt = 32
    query_prompt: str | None = None
    passage_prompt: str | None = None

    capabilities: ClassVar[tuple[Capability, ...]] = ("embed",)

    def embed(self, calls: Sequence[Embed]) -> list[Vector]:
        """One vector per text."""
        vectors = self._encoded(calls, query={"prompt": self.query_prompt}, passage={"prompt": self.passage_prompt})
        return [Vector(tuple(vector.tolist())) for vector in vectors]

    @property
    def max_length(self) -> int | None:
        """Tokens of a text; what is longer is cut. Known once the model is loaded."""
        network = self.__dict__.get("_network") if isinstance(self.model, str) else self.model
        return getattr(network, "max_seq_length", None)

    @once
    def _network(self) -> Any:
        if not isinstance(self.model, str):
            return self.model.to(self.device) if self.device else self.model
        library = needed("sentence_transformers", "SentenceTransformerEmbedder", "sentence-transformers")
        return loaded(library.SentenceTransformer, self.model, device=torch_device(self.device))
