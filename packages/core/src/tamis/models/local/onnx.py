"""Encoders in this process, with ONNX Runtime: no torch, fast to load, good on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass

from tamis.errors import ConfigError, needed
from tamis.models.lazy import once
from tamis.models.local.base import ACCELERATOR_TOKENS, LOCAL, FileInside, Local, Weights, by_length, cores, log_odds
from tamis.models.local.pairs import Pair, PairTokenizer, batch
from tamis.models.local.plain_text import PlainText
from tamis.text.vectors import unit_length
from tamis.values.answers import Score, Vector
from tamis.values.calls import Capability, Classify, Embed, EmbedTokens
from tamis.values.scale import LOGIT, Scale

PADS = ("[PAD]", "<pad>", "<|endoftext|>")
CPU = ("CPUExecutionProvider",)
T = TypeVar("T")


class OnnxEncoder(Local):
    """Base of dataclasses that run a folder's graph on its tokenizer's output.

    On a CPU every sequence is a run of its own, in one thread, as many side by side as there are threads. Nothing is
    padded, no thread waits for another inside a run, and an int8 graph, which quantises all it is given by one scale,
    gives a text the same whatever else is asked. On other providers sequences of similar length share a run.
    """

    path: Any
    max_length: int
    threads: int | None
    max_batch: int
    batch_tokens: int | None = None
    providers: tuple[str, ...]
    file: str

    def _each(self, lengths: Sequence[int], run: Callable[[list[int], Any], T]) -> Iterator[tuple[list[int], T]]:
        """`run(group, session)` of every group of positions. Groups go side by side; few of them share all threads."""
        groups = list(by_length(lengths, self.max_batch, self._tokens_a_run))
        if self._side_by_side == 1 or len(groups) <= self._side_by_side // 2:
            return ((group, run(group, self._wide_session)) for group in groups)
        return zip(groups, self._workers.map(lambda group: run(group, self._session), groups), strict=True)

    def _output(self, session: Any, arrays: Mapping[str, NDArray[np.int64]]) -> NDArray[Any]:
        """First output of the graph for padded sequences: ids, mask and types of tokens."""
        known: dict[str, Callable[[], NDArray[Any]]] = {
            **{name: partial(arrays.__getitem__, name) for name in arrays},
            "position_ids": lambda: np.maximum(arrays["attention_mask"].cumsum(axis=1) - 1, 0),
        }
        feed = {}
        for slot in session.get_inputs():
            if slot.name not in known:
                raise ConfigError(
                    f"{self.name}: the graph asks for {slot.name!r}; only {', '.join(known)} can be given"
                )
            feed[slot.name] = known[slot.name]().astype(np.int32 if slot.type == "tensor(int32)" else np.int64)
        return np.asarray(session.run(None, feed)[0])

    def _tokenizer_cutting(self, strategy: str) -> Any:
        """The folder's tokenizer, cutting at `max_length`; never changed afterwards, so that threads can share it."""
        tokenizer = self._read_tokenizer()
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_length, strategy=strategy)
        return tokenizer

    def _read_tokenizer(self) -> Any:
        tokenizers = needed("tokenizers", type(self).__name__, "onnx")
        return tokenizers.Tokenizer.from_file(self._file("tokenizer.json"))

    @once
    def _tokenizer(self) -> Any:
        return self._read_tokenizer()

    def _text(self, call: Embed | EmbedTokens) -> str:
        return call.text if getattr(call, "controls", False) else self._plain(call.text)

    @once
    def _plain(self) -> PlainText:
        return PlainText.of(self._tokenizer)

    @once
    def _pad(self) -> int:
        if self._tokenizer.padding:
            return int(self._tokenizer.padding["pad_id"])
        ids = [self._tokenizer.token_to_id(pad) for pad in PADS]
        return next((number for number in ids if number is not None), 0)

    @property
    def _on_cpu(self) -> bool:
        return self.providers == CPU

    @property
    def _side_by_side(self) -> int:
        return (self.threads or cores()) if self._on_cpu else 1

    @property
    def _tokens_a_run(self) -> int:
        return self.batch_tokens or (1 if self._on_cpu else ACCELERATOR_TOKENS)

    @once
    def _workers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._side_by_side, thread_name_prefix="tamis-onnx")

    @once
    def _session(self) -> Any:
        return self._session_of(1)

    @once
    def _wide_session(self) -> Any:
        """For a single run at a time."""
        return self._session if self._side_by_side == 1 else self._session_of(self._side_by_side)

    def _session_of(self, threads: int) -> Any:
        ort = needed("onnxruntime", type(self).__name__, "onnx")
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        # Threads that spin while they wait take the cores from the other sessions and models of the process.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Both keep memory for every shape they meet, and texts come in hundreds of lengths.
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = False
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
    """A cross-encoder as an ONNX graph. Can `classify`. `tamis export onnx` makes one of a transformers model.

    Args:
        path: folder with `file` and `tokenizer.json`.
        max_length: tokens of a pair. What is longer loses the end of the text; only where the query takes more than
            half of that is the query cut as well.
        threads: how many pairs are scored side by side, one thread each; default: one a core. Calls with fewer pairs
            than half of them use a second session, in which one pair takes all threads (and the weights are held
            twice).
        max_batch: pairs in one call. A deadline cuts between calls.
        batch_tokens: padded tokens of one run of the graph; default: on a CPU one pair a run, else 16,384.
        label: of a model with several labels, the one that means relevant.
        scale: of the scores.
        providers: ONNX Runtime's execution providers, best first.
        file: the graph's name in the folder.

    The score is a logit: the model's only one, or the log-odds of `label` against all other labels. It is the same
    whatever else is scored, also with an int8 graph, unless `batch_tokens` is set: dynamically quantised activations
    depend on what shares a run. Needs the extra `onnx`. Raises `ConfigError` for a folder without the files.
    """

    path: Weights
    max_length: Annotated[int, Field(ge=8)] = 512
    threads: PositiveInt | None = None
    max_batch: PositiveInt = 32
    label: int = -1
    scale: Scale = LOGIT
    providers: tuple[str, ...] = CPU
    file: FileInside = "model.onnx"
    batch_tokens: PositiveInt | None = None

    capabilities: ClassVar[tuple[Capability, ...]] = ("classify",)

    def classify(self, calls: Sequence[Classify]) -> list[Score]:
        """One logit a pair."""
        pairs = self._pairs.pairs(calls)

        def run(group: list[int], session: Any) -> list[float]:
            arrays = batch([pairs[index] for index in group], self._pad)
            return log_odds(self._output(session, arrays), self.label)

        answers: dict[int, Score] = {}
        for group, values in self._each([len(pair.ids) for pair in pairs], run):
            for index, value in zip(group, values, strict=True):
                answers[index] = Score(value, tokens_in=len(pairs[index].ids), tokens_out=0)
        return [answers[index] for index in range(len(calls))]

    @once
    def _pairs(self) -> PairTokenizer:
        return PairTokenizer(self._tokenizer, self.max_length)


@dataclass(frozen=True, config=LOCAL)
class OnnxEmbedder(OnnxEncoder):
    """A text embedder as an ONNX graph. Can `embed`; vectors have length 1.

    Args:
        path: folder with `file` and `tokenizer.json`.
        pooling: of a graph that gives a vector per token: the first token's (`"cls"`) or the mean over all (`"mean"`).
        query_prefix, passage_prefix: put before each text, as the model's card says.
        max_length: tokens of a text; what is longer is cut.
        threads, max_batch, batch_tokens, providers, file: as for `OnnxCrossEncoder`.

    Needs the extra `onnx`. Raises `ConfigError` for a folder without the files.
    """

    path: Weights
    pooling: Literal["cls", "mean"] = "mean"
    query_prefix: str = ""
    passage_prefix: str = ""
    max_length: Annotated[int, Field(ge=8)] = 512
    threads: PositiveInt | None = None
    max_batch: PositiveInt = 32
    providers: tuple[str, ...] = CPU
    file: FileInside = "model.onnx"
    batch_tokens: PositiveInt | None = None

    capabilities: ClassVar[tuple[Capability, ...]] = ("embed",)

    def embed(self, calls: Sequence[Embed]) -> list[Vector]:
        """One vector per text."""
        prefix: Mapping[str, str] = {"query": self.query_prefix, "passage": self.passage_prefix}
        found = self._cutting.encode_batch([prefix[call.role] + self._text(call) for call in calls])
        texts = [Pair(encoding.ids, encoding.type_ids) for encoding in found]

        def run(group: list[int], session: Any) -> NDArray[Any]:
            arrays = batch([texts[index] for index in group], self._pad)
            return self._pooled(self._output(session, arrays), arrays["attention_mask"])

        answers: dict[int, Vector] = {}
        for group, vectors in self._each([len(text.ids) for text in texts], run):
            for index, vector in zip(group, vectors, strict=True):
                answers[index] = Vector(tuple(vector.tolist()), tokens_in=len(texts[index].ids), tokens_out=0)
        return [answers[index] for index in range(len(calls))]

    def _pooled(self, output: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        """(texts, tokens, width) or (texts, width) to (texts, width), each row of length 1."""
        if output.ndim == 3 and self.pooling == "cls":
            output = output[:, 0]
        elif output.ndim == 3:
            output = (output * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return unit_length(output)

    @once
    def _cutting(self) -> Any:
        return self._tokenizer_cutting("longest_first")
