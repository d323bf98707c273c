"""Encoders in this process, with ONNX Runtime: no torch, fast to load, good on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from tamis.calls import Capability, Classify, Embed, Score, Vector
from tamis.errors import ConfigError
from tamis.models.lazy import needed, once
from tamis.models.local import LOCAL, Local, Weights, by_length, log_odds
from tamis.scale import LOGIT, Scale

PADS = ("[PAD]", "<pad>", "<|endoftext|>")
CPU = ("CPUExecutionProvider",)


class OnnxEncoder(Local):
    """Base of dataclasses that run a folder's graph on its tokenizer's output."""

    path: Any
    max_length: int
    threads: int | None
    providers: tuple[str, ...]
    file: str

    def _run(self, encodings: Sequence[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """First output of the graph for token sequences of about the same length, and their attention mask."""
        width = max(len(encoding.ids) for encoding in encodings)
        pad_token, pad_id = self._pad
        for encoding in encodings:
            encoding.pad(width, pad_id=pad_id, pad_token=pad_token)
        mask = np.array([encoding.attention_mask for encoding in encodings])
        known: dict[str, Callable[[], NDArray[Any]]] = {
            "input_ids": lambda: np.array([encoding.ids for encoding in encodings]),
            "attention_mask": lambda: mask,
            "token_type_ids": lambda: np.array([encoding.type_ids for encoding in encodings]),
            "position_ids": lambda: np.maximum(mask.cumsum(axis=1) - 1, 0),
        }
        feed = {}
        for slot in self._session.get_inputs():
            if slot.name not in known:
                raise ConfigError(
                    f"{self.name}: the graph asks for {slot.name!r}; only {', '.join(known)} can be given"
                )
            feed[slot.name] = known[slot.name]().astype(np.int32 if slot.type == "tensor(int32)" else np.int64)
        return np.asarray(self._session.run(None, feed)[0]), mask

    def _tokenizer_cutting(self, strategy: str) -> Any:
        """The folder's tokenizer, cutting at `max_length`; never changed afterwards, so that threads can share it."""
        tokenizers = needed("tokenizers", type(self).__name__, "onnx")
        tokenizer = tokenizers.Tokenizer.from_file(self._file("tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_length, strategy=strategy)
        return tokenizer

    @once
    def _tokenizer(self) -> Any:
        return self._tokenizer_cutting("only_second")

    @once
    def _pad(self) -> tuple[str, int]:
        ids = [(pad, self._tokenizer.token_to_id(pad)) for pad in PADS]
        return next(((pad, number) for pad, number in ids if number is not None), ("", 0))

    @once
    def _session(self) -> Any:
        ort = needed("onnxruntime", type(self).__name__, "onnx")
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = self.threads or 0
        return ort.InferenceSession(self._file(self.file), options, providers=list(self.providers))

    def _file(self, name: str) -> str:
        path = Path(self.path, name)
        if not path.is_file():
            raise ConfigError(
                f"{type(self).__name__} needs a folder with {self.file} and tokenizer.json; no {str(path)!r}"
            )
        return str(path)


@dataclass(frozen=True, config=LOCAL)
class OnnxCrossEncoder(OnnxEncoder):
    """A cross-encoder as an ONNX graph. Can `classify`.

    Args:
        path: folder with `file` and `tokenizer.json`.
        max_length: tokens of a pair. What is longer loses the end of the text; only where the query takes more than
            half of the room is the query cut as well.
        threads: of ONNX Runtime; default: one a core.
        max_batch: pairs in one call; those of similar length share a run.
        label: of a model with several labels, the one that means relevant.
        scale: of the scores.
        providers: ONNX Runtime's execution providers, best first.
        file: the graph's name in the folder.

    The score is a logit: the model's only one, or the log-odds of `label` against all other labels. A graph with
    dynamically quantised activations gives slightly different scores in different batches.
    Needs the extra `onnx`. Raises `ConfigError` for a folder without the files.
    """

    path: Weights
    max_length: Annotated[int, Field(ge=8)] = 512
    threads: Annotated[int, Field(ge=1)] | None = None
    max_batch: Annotated[int, Field(ge=1)] = 16
    label: int = -1
    scale: Scale = LOGIT
    providers: tuple[str, ...] = CPU
    file: str = "model.onnx"

    capabilities: ClassVar[tuple[Capability, ...]] = ("classify",)

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        """One logit a pair."""
        answers: dict[int, Score] = {}
        pairs = [self._encoded(call) for call in calls]
        for group in by_length([len(pair.ids) for pair in pairs], self.max_batch):
            lengths = [len(pairs[index].ids) for index in group]
            logits, _ = self._run([pairs[index] for index in group])
            for index, length, value in zip(group, lengths, log_odds(logits, self.label), strict=True):
                answers[index] = Score(value, tokens_in=length, tokens_out=0)
        return [answers[index] for index in range(len(calls))]

    def _encoded(self, call: Classify) -> Any:
        query = len(self._cutting_both.encode(call.query, add_special_tokens=False).ids)
        tokenizer = self._cutting_both if query > self.max_length // 2 else self._tokenizer
        return tokenizer.encode(call.query, call.text)

    @once
    def _cutting_both(self) -> Any:
        return self._tokenizer_cutting("longest_first")


@dataclass(frozen=True, config=LOCAL)
class OnnxEmbedder(OnnxEncoder):
    """A text embedder as an ONNX graph. Can `embed`; vectors have length 1.

    Args:
        path: folder with `file` and `tokenizer.json`.
        pooling: of a graph that gives a vector a token: the first token's (`"cls"`) or the mean over all (`"mean"`).
        query_prefix, passage_prefix: put before each text, as the model's card says.
        max_length: tokens of a text; what is longer is cut.
        threads, max_batch, providers, file: as for `OnnxCrossEncoder`.

    Needs the extra `onnx`. Raises `ConfigError` for a folder without the files.
    """

    path: Weights
    pooling: Literal["cls", "mean"] = "mean"
    query_prefix: str = ""
    passage_prefix: str = ""
    max_length: Annotated[int, Field(ge=8)] = 512
    threads: Annotated[int, Field(ge=1)] | None = None
    max_batch: Annotated[int, Field(ge=1)] = 16
    providers: tuple[str, ...] = CPU
    file: str = "model.onnx"

    capabilities: ClassVar[tuple[Capability, ...]] = ("embed",)

    def embed(self, calls: Sequence[Embed]) -> list[Vector]:
        """One vector a text."""
        answers: dict[int, Vector] = {}
        prefix: Mapping[str, str] = {"query": self.query_prefix, "passage": self.passage_prefix}
        texts = [self._tokenizer.encode(prefix[call.role] + call.text) for call in calls]
        for group in by_length([len(text.ids) for text in texts], self.max_batch):
            lengths = [len(texts[index].ids) for index in group]
            vectors = self._pooled(*self._run([texts[index] for index in group]))
            for index, length, vector in zip(group, lengths, vectors, strict=True):
                answers[index] = Vector(tuple(vector.tolist()), tokens_in=length, tokens_out=0)
        return [answers[index] for index in range(len(calls))]

    def _pooled(self, output: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        """(texts, tokens, width) or (texts, width) to (texts, width), each row of length 1."""
        if output.ndim == 3 and self.pooling == "cls":
            output = output[:, 0]
        elif output.ndim == 3:
            output = (output * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        norms = np.linalg.norm(output, axis=1, keepdims=True)
        return np.asarray(output / np.where(norms > 0, norms, 1.0))

    @once
    def _tokenizer(self) -> Any:
        return self._tokenizer_cutting("longest_first")
