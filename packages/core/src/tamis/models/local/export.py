"""A cross-encoder of transformers as an ONNX graph, checked against the original before anybody uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tamis.errors import ConfigError, needed
from tamis.models.local.base import loaded
from tamis.models.local.onnx import OnnxCrossEncoder
from tamis.models.local.transformers_encoders import TransformersCrossEncoder
from tamis.values.calls import Classify

FULL, INT8 = "model.onnx", "model_int8.onnx"
TOLERANCE = 1e-4
QUERIES = ("how tall is Mount Everest?", "parse an ISO 8601 date", "symptoms of iron deficiency in adults")
PASSAGES = (
    "Mount Everest is 8,849 metres tall.",
    "The tallest building of the world stands in Dubai; it has 163 floors and was opened in 2010.",
    "datetime.fromisoformat reads most ISO 8601 formats since Python 3.11, time zones among them.",
    "Tiredness, pale skin and shortness of breath are common when the body lacks iron; a blood count shows it.",
    "Bread needs flour, water, salt and time. " * 12,
    "Expeditions to the mountain begin in April, when the winds of the jet stream weaken and move north. " * 20,
)


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how its scores compare with the model's own over sample pairs: the largest difference, and
    Spearman's rank correlation."""

    path: Path
    difference: float
    correlation: float

    def __str__(self) -> str:
        size = self.path.stat().st_size / 1e6
        told = f"largest difference of a score {self.difference:.2g}, rank correlation {self.correlation:.4f}"
        return f"{self.path}: {size:.0f} MB, {told}"


def export_onnx(model: str, out: str | Path, *, int8: bool = False, max_length: int = 512) -> list[Exported]:
    """Write a cross-encoder to a folder that `OnnxCrossEncoder` takes, in float32 and, if asked, quantised to int8.

    `model`: a folder or hub name of a sequence classifier. int8 quantises weights with one scale per channel,
    activations dynamically; its graph is `model_int8.onnx`. Both are run on sample pairs of many lengths and compared
    with the original. Needs the extra `export`. Raises `ConfigError` when float32 scores differ by more than 1e-4.

    >>> export_onnx("cross-encoder/ms-marco-MiniLM-L6-v2", "reranker", int8=True)  # doctest: +SKIP
    >>> OnnxCrossEncoder("reranker", file="model_int8.onnx")  # doctest: +SKIP
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    original = _original(model, max_length)
    if not getattr(original._tokenizer, "is_fast", False):
        raise ConfigError(f"{model} has no tokenizer.json, which a graph needs beside it")
    original._tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    original._network.config.save_pretrained(folder)
    _write(original, folder / FULL)
    expected = _scores(original)
    made = [_compared(folder, FULL, expected, max_length)]
    if made[0].difference > TOLERANCE:
        raise ConfigError(f"the graph does not score as {model} does: {made[0]}")
    if int8:
        _quantise(folder)
        made.append(_compared(folder, INT8, expected, max_length))
    return made


def _original(model: str, max_length: int) -> TransformersCrossEncoder:
    """In float32, with attention spelled out, which graphs hold best."""
    transformers = needed("transformers", "Exporting a model", "export")
    load = transformers.AutoModelForSequenceClassification.from_pretrained
    network = loaded(load, model, dtype="float32", attn_implementation="eager")
    tokenizer = loaded(transformers.AutoTokenizer.from_pretrained, model)
    return TransformersCrossEncoder.of(network, tokenizer, device="cpu", max_length=max_length)


def _write(original: TransformersCrossEncoder, path: Path) -> None:
    torch = needed("torch", "Exporting a model", "export")
    needed("onnxscript", "Exporting a model", "export")
    example = original._tokenizer(["a b", "c"], ["d e f", "g"], padding=True, return_tensors="pt")
    inputs = {name: example[name] for name in original._tokenizer.model_input_names if name in example}
    varying = torch.export.Dim.DYNAMIC
    with torch.inference_mode():
        torch.onnx.export(
            original._network,
            (),
            str(path),
            kwargs=inputs,
            dynamic_shapes={name: {0: varying, 1: varying} for name in inputs},
            output_names=["logits"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _quantise(folder: Path) -> None:
    needed("onnx", "Quantising a graph", "export")
    quantization: Any = needed("onnxruntime.quantization", "Quantising a graph", "export")
    quantization.quantize_dynamic(
        folder / FULL, folder / INT8, weight_type=quantization.QuantType.QInt8, per_channel=True
    )


def _scores(model: Any) -> list[float]:
    calls = [Classify(model, query, passage) for query, passage in product(QUERIES, PASSAGES)]
    return [score.value for score in model.classify(calls)]


def _compared(folder: Path, file: str, expected: Sequence[float], max_length: int) -> Exported:
    own = _scores(OnnxCrossEncoder(folder, file=file, max_length=max_length))
    ranks = [np.argsort(np.argsort(values)) for values in (own, expected)]
    correlation = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    return Exported(folder / file, float(np.abs(np.subtract(own, expected)).max()), correlation)
