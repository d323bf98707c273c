"""Cross-encoders of tamis and of others behind one function each: scores of (query, passages), raw logits.

Run as a script it is a worker: one library in a process of its own, which scores what it reads from its input, a JSON
list `[query, passages]` a line, and answers `[seconds, processor seconds, scores, peak MiB]`.
"""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

Scorer = Callable[[str, Sequence[str]], Sequence[float]]
LENGTH = 512
MEMORY = 6 << 30
"""Bytes a process may hold."""
FLASHRANK = "ms-marco-MiniLM-L-12-v2"
"""FlashRank loads a folder only under the name of a model it knows."""


def tamis_torch(folder: Path) -> Scorer:
    from tamis.models import TransformersCrossEncoder

    return through_engine(TransformersCrossEncoder(folder, device="cpu"))


def tamis_onnx(folder: Path) -> Scorer:
    from tamis.models import OnnxCrossEncoder

    return through_engine(OnnxCrossEncoder(folder / "onnx"))


def tamis_int8(folder: Path) -> Scorer:
    from tamis.models import OnnxCrossEncoder

    return through_engine(OnnxCrossEncoder(folder / "onnx", file="model_int8.onnx"))


def through_engine(model: object) -> Scorer:
    """As users ask: a stage, an engine, a sorted ranking."""
    from tamis import CrossEncoder, Engine

    stage, engine = CrossEncoder(model), Engine(cache=None)

    def score(query: str, passages: Sequence[str]) -> Sequence[float]:
        found = {ranked.position: ranked.score for ranked in engine.rerank(stage, query, passages).kept}
        return [found[index] for index in range(len(passages))]

    return score


def plain_transformers(folder: Path) -> Scorer:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def score(query: str, passages: Sequence[str]) -> Sequence[float]:
        found: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(passages), 32):
                some = list(passages[start : start + 32])
                options = {"padding": True, "truncation": True, "max_length": LENGTH, "return_tensors": "pt"}
                found += model(**tokenizer([query] * len(some), some, **options)).logits[:, 0].tolist()
        return found

    return score


def sentence_transformers(folder: Path) -> Scorer:
    import torch
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", max_length=LENGTH, activation_fn=torch.nn.Identity())
    return lambda query, passages: model.predict([(query, passage) for passage in passages]).tolist()


def rerankers(folder: Path) -> Scorer:
    from rerankers import Reranker

    model = Reranker(str(folder), model_type="cross-encoder", device="cpu", dtype="fp32", verbose=0)

    def score(query: str, passages: Sequence[str]) -> Sequence[float]:
        found = {result.doc_id: result.score for result in model.rank(query, list(passages)).results}
        return [float(found[index]) for index in range(len(passages))]

    return score


def flashrank(folder: Path, file: str = "model.onnx") -> Scorer:
    from flashrank import Ranker, RerankRequest
    from flashrank.Config import model_file_map

    cache = folder / f"flashrank-{file}"
    home = cache / FLASHRANK
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "onnx" / file, home / model_file_map[FLASHRANK])
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / name, home / name)
    marks = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "unk", "mask")}
    (home / "special_tokens_map.json").write_text(json.dumps(marks))
    ranker = Ranker(FLASHRANK, cache_dir=str(cache), max_length=LENGTH, log_level="ERROR")

    def score(query: str, passages: Sequence[str]) -> Sequence[float]:
        given = [{"id": index, "text": passage} for index, passage in enumerate(passages)]
        found = {result["id"]: float(result["score"]) for result in ranker.rerank(RerankRequest(query, given))}
        return [math.log(found[index] / (1 - found[index])) for index in range(len(passages))]

    return score


def flashrank_int8(folder: Path) -> Scorer:
    return flashrank(folder, "model_int8.onnx")


SYSTEMS: dict[str, Callable[[Path], Scorer]] = {
    "tamis, torch": tamis_torch,
    "tamis, ONNX": tamis_onnx,
    "tamis, ONNX int8": tamis_int8,
    "sentence-transformers": sentence_transformers,
    "rerankers": rerankers,
    "transformers": plain_transformers,
    "FlashRank": flashrank,
    "FlashRank int8": flashrank_int8,
}


def serve(name: str, folder: Path) -> None:
    """Answer on the output this process was given, whatever a library prints."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        score = SYSTEMS[name](folder)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=answers, flush=True)
        return
    print(json.dumps({"ready": True}), file=answers, flush=True)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    for line in sys.stdin:
        query, passages = json.loads(line)
        start, used = time.perf_counter(), time.process_time()
        try:
            scores = [float(score) for score in score(query, passages)]
        except Exception as error:
            print(json.dumps({"failed": f"{type(error).__name__}: {str(error)[:200]}"}), file=answers, flush=True)
            return
        seconds, processor = time.perf_counter() - start, time.process_time() - used
        print(json.dumps([seconds, processor, scores, peak()]), file=answers, flush=True)


def peak() -> float:
    """MiB this process has held at most. Not `getrusage`, which counts from before the process was this program."""
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(held.split()[1]) / 1024


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
