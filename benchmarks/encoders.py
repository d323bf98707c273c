"""Cross-encoders at full speed: tamis against others on the same weights and pairs, quality of int8, load, memory."""

from __future__ import annotations

import argparse
import asyncio
import gc
import gzip
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import numpy as np

from encoder_systems import SYSTEMS
from encoder_weights import dequantised, seeded_head, tiny
from report import ms, save, table
from tamis import CrossEncoder, Engine
from tamis.models import OnnxCrossEncoder, TransformersCrossEncoder
from tamis.models.local.export import export_onnx

DATA = Path(os.environ.get("TAMIS_DATA", Path(__file__).parents[2] / "shared" / "data"))
PAIRS = 100
WORDS = {"short": (8, 30), "mixed": (6, 340), "long": (250, 380)}
"""Words of a passage: the mixed ones are drawn log-normally, about 80 on average."""
BASE = "sentence-transformers"


def corpus(name: str) -> list[str]:
    with gzip.open(DATA / name / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def passages(mix: str, words: Sequence[str], seed: int) -> list[str]:
    """`PAIRS` stretches of real text of the mix's lengths."""
    draw = random.Random(f"{mix}{seed}")
    low, high = WORDS[mix]
    lengths = [
        min(high, max(low, int(draw.lognormvariate(4.1, 0.8)))) if mix == "mixed" else draw.randint(low, high)
        for _ in range(PAIRS)
    ]
    starts = [draw.randrange(len(words) - high) for _ in lengths]
    return [" ".join(words[start : start + length]) for start, length in zip(starts, lengths, strict=True)]


class Worker:
    """One library in a process of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name("encoder_systems.py")), name, str(folder)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)

    def missing(self) -> str | None:
        """Why the library cannot be asked, once it has loaded."""
        told = self._told()
        return told.get("missing") if isinstance(told, dict) else "it gave no sign"

    def ask(self, query: str, texts: Sequence[str]) -> list[Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([query, list(texts)]) + "\n")
        self._process.stdin.flush()
        return self._told()

    def _told(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def speed(folder: Path, repeats: dict[str, int]) -> list[str]:
    """Every library in turn on the same queries, so that noise meets all alike."""
    words = " ".join(corpus("dl19")[:4000]).split()
    started = {name: Worker(name, folder) for name in SYSTEMS}
    missing = {name: why for name, worker in started.items() if (why := worker.missing())}
    workers = {name: worker for name, worker in started.items() if name not in missing}
    peaks: dict[str, float] = {}
    failed: dict[str, str] = {}
    seconds: dict[tuple[str, str], list[float]] = {}
    processor: dict[tuple[str, str], list[float]] = {}
    apart: dict[str, float] = dict.fromkeys(workers, 0.0)
    for mix, count in repeats.items():
        for repeat in range(count + 1):
            texts = passages(mix, words, repeat)
            answers = {name: worker.ask(f"query {repeat} about the north", texts) for name, worker in workers.items()}
            for name in [name for name, answer in answers.items() if not isinstance(answer, list)]:
                failed[name] = f"{mix} passages: {(answers.pop(name) or {}).get('failed', 'its process was killed')}"
                workers.pop(name).close()
            for name, (took, used, scores, peak) in answers.items():
                peaks[name] = peak
                apart[name] = max(apart[name], float(np.abs(np.subtract(scores, answers["transformers"][2])).max()))
                if repeat:
                    seconds.setdefault((mix, name), []).append(took)
                    processor.setdefault((mix, name), []).append(used)
    for worker in workers.values():
        worker.close()
    parts = []
    for mix, count in repeats.items():
        rows = []
        for name in SYSTEMS:
            if not (own := seconds.get((mix, name))):
                continue
            ratio = median(b / a for a, b in zip(own, seconds[mix, BASE], strict=False))
            rows.append(
                [
                    name,
                    f"{PAIRS * len(own) / sum(own):.0f}",
                    ms(median(own)),
                    ms(float(np.percentile(own, 95))),
                    f"{ratio:.2f}",
                    f"{median(processor[mix, name]) / median(processor[mix, BASE]):.2f}",
                ]
            )
        head = ["library", "pairs/s", "p50 ms", "p95 ms", f"speed / {BASE}", "CPU time / its"]
        tokens = f"{WORDS[mix][0]} to {WORDS[mix][1]} words"
        parts += [f"## {mix.capitalize()} passages ({tokens}), {count} queries of {PAIRS}", table(head, rows)]
    rows = [[name, f"{peak:.0f}", f"{apart[name]:.1g}"] for name, peak in peaks.items()]
    parts += [
        "## Peak memory of each process, and its largest distance from the scores of plain transformers",
        table(["library", "peak MiB", "largest distance"], rows),
    ]
    parts += [f"Left out: {name} ({why})." for name, why in missing.items()]
    parts += [f"{name} gave up at {why}" for name, why in failed.items()]
    return parts


def quality(folder: Path, queries: int | None) -> list[str]:
    """DL19's BM25 candidates by the real model in float32 and int8, and what leaving the tail unread would lose."""
    import ir_measures
    from ir_measures import nDCG

    texts, run, qrels = dl19()
    asked = list(run)[:queries]
    found: dict[str, dict[str, dict[str, float]]] = {"BM25": {}}
    for name, file in (("float32", "model.onnx"), ("int8", "model_int8.onnx")):
        stage, engine = CrossEncoder(OnnxCrossEncoder(folder / "onnx", file=file, max_length=256)), Engine(cache=None)
        found[name] = {}
        for query in asked:
            pool = run[query][1]
            ranking = engine.rerank(stage, run[query][0], [texts[document] for document in pool])
            found[name][query] = {pool[ranked.position]: float(ranked.score or 0) for ranked in ranking.kept}
    for query in asked:
        found["BM25"][query] = {document: -float(rank) for rank, document in enumerate(run[query][1])}
    judged = {query: qrels[query] for query in asked}
    value = {name: ir_measures.calc_aggregate([nDCG @ 10], judged, scores)[nDCG @ 10] for name, scores in found.items()}
    rows = [[name, f"{value[name]:.4f}", f"{value[name] - value['float32']:+.4f}"] for name in found]
    return [
        f"## Quality of int8: DL19, {len(asked)} queries, BM25 top 100, ms-marco-MiniLM-L-12-v2",
        table(["scores", "nDCG@10", "difference"], rows),
        "float32: each weight the value that the published int8 graph stands for. int8: made of that by "
        "`tamis export onnx --int8`.",
        early_exit(found["float32"], run, asked, judged),
    ]


def early_exit(scores: Any, run: Any, asked: Sequence[str], judged: Any) -> str:
    import ir_measures
    from ir_measures import nDCG

    from tamis.models import Function
    from tamis.rankers.early_exit import EarlyExit

    rows = []
    for settings in (None, EarlyExit(patience=20), EarlyExit(patience=40), EarlyExit(patience=60)):
        read, kept, same = 0, {}, 0
        for query in asked:
            pool, known = run[query][1], scores[query]
            model = Function(lambda call, known=known: known[call.text], "classify")
            ranking = Engine(cache=None).rerank(CrossEncoder(model, early_exit=settings), query, pool)
            read += ranking.usage.calls
            order = [pool[ranked.position] for ranked in ranking.kept]
            same += len({*order[:10]} & {*sorted(pool, key=lambda document: -known[document])[:10]})
            kept[query] = {document: -float(rank) for rank, document in enumerate(order)}
        value = ir_measures.calc_aggregate([nDCG @ 10], judged, kept)[nDCG @ 10]
        name = "all" if settings is None else f"until {settings.patience} bring nothing"
        rows.append([name, f"{read / len(asked):.0f}", f"{same / len(asked):.2f}", f"{value:.4f}"])
    head = ["read", "pairs a query", "of the true ten, found", "nDCG@10"]
    return "### Early exit: the same scores, candidates in BM25's order, 20 at a time\n\n" + table(head, rows)


def dl19() -> tuple[dict[str, str], dict[str, tuple[str, list[str]]], dict[str, dict[str, int]]]:
    folder = DATA / "dl19"

    def lines(name: str) -> list[str]:
        with gzip.open(folder / name, "rt", encoding="utf-8") as file:
            return [line.rstrip("\n") for line in file]

    texts = {record["id"]: record["text"] for record in map(json.loads, lines("corpus.jsonl.gz"))}
    asked = {record["id"]: record["text"] for record in map(json.loads, lines("queries.jsonl.gz"))}
    qrels: dict[str, dict[str, int]] = {}
    for query, document, grade in (line.split("\t") for line in lines("qrels.tsv.gz") if line[0].isdigit()):
        qrels.setdefault(query, {})[document] = int(grade)
    run: dict[str, tuple[str, list[str]]] = {}
    for query, document, *_ in (line.split("\t") for line in lines("run.tsv.gz") if line[0].isdigit()):
        run.setdefault(query, (asked[query], []))[1].append(document)
    return texts, {query: (text, pool[:100]) for query, (text, pool) in run.items() if query in qrels}, qrels


def load(folder: Path) -> list[str]:
    """Eight queries at once in one event loop: how late the loop wakes, and what they take."""
    words = " ".join(corpus("dl19")[:4000]).split()
    pools = [passages("mixed", words, seed) for seed in range(8)]
    rows = []
    for name, model in (
        ("torch", TransformersCrossEncoder(folder, device="cpu")),
        ("ONNX int8", OnnxCrossEncoder(folder / "onnx", file="model_int8.onnx")),
    ):
        stage, engine = CrossEncoder(model), Engine(cache=None)
        engine.rerank(stage, "warm", pools[0][:4])

        async def together(stage: Any = stage, engine: Any = engine) -> tuple[float, list[float]]:
            late: list[float] = []
            done = asyncio.Event()

            async def tick() -> None:
                while not done.is_set():
                    start = time.perf_counter()
                    await asyncio.sleep(0.01)
                    late.append(time.perf_counter() - start - 0.01)

            ticking = asyncio.create_task(tick())
            start = time.perf_counter()
            await asyncio.gather(*(engine.arerank(stage, f"query {i}", pool) for i, pool in enumerate(pools)))
            took = time.perf_counter() - start
            done.set()
            await ticking
            return took, late

        start = time.perf_counter()
        for index, pool in enumerate(pools):
            engine.rerank(stage, f"query {index}", pool)
        in_turn = time.perf_counter() - start
        took, late = asyncio.run(together())
        p99, worst = float(np.percentile(late, 99)), max(late)
        rows.append([name, f"{in_turn:.1f}", f"{took:.1f}", ms(median(late)), ms(p99), ms(worst)])
    head = ["model", "eight in turn, s", "eight at once, s", "loop late p50 ms", "p99 ms", "worst ms"]
    return ["## Eight async queries at once, mixed passages: how late a timer of 10 ms wakes", table(head, rows)]


def memory(folder: Path, queries: int) -> list[str]:
    """Resident memory over many queries of ten passages of every length, in a small model."""
    words = " ".join(corpus("dl19")[:4000]).split()
    rows = []
    marks = sorted({queries // 10, queries // 2, queries})
    for name, model in (
        ("ONNX", OnnxCrossEncoder(folder / "onnx")),
        ("torch", TransformersCrossEncoder(folder, device="cpu")),
    ):
        stage, engine, draw = CrossEncoder(model), Engine(cache=None), random.Random(0)
        seen = {}
        for count in range(1, queries + 1):
            lengths = [min(400, 1 + int(draw.expovariate(1 / 30))) for _ in range(10)]
            starts = [draw.randrange(len(words) - 400) for _ in lengths]
            texts = [" ".join(words[a : a + n]) for a, n in zip(starts, lengths, strict=True)]
            engine.rerank(stage, f"query {count}", texts)
            if count in marks:
                gc.collect()
                seen[count] = resident()
        rows.append([name, *(f"{seen[mark]:.0f}" for mark in marks), f"{seen[marks[-1]] - seen[marks[0]]:+.1f}"])
    head = ["model", *(f"after {mark:,}: MiB" for mark in marks), "growth"]
    return [f"## Resident memory over {queries:,} queries of ten passages of 1 to 400 words", table(head, rows)]


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def installed(*packages: str) -> list[str]:
    found = []
    for package in packages:
        try:
            version(package)
        except PackageNotFoundError:
            continue
        found.append(package)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a trial of everything, on few pairs; writes no result")
    quick = parser.parse_args().quick
    if quick:
        global PAIRS
        PAIRS = 12
    with TemporaryDirectory() as temporary:
        small = seeded_head(Path(temporary, "minilm-l6"))
        export_onnx(str(small), small / "onnx", int8=True)
        parts = speed(small, {"short": 1, "mixed": 1, "long": 1} if quick else {"short": 8, "mixed": 8, "long": 3})
        parts += load(small)
        toy = tiny(Path(temporary, "tiny"), small)
        export_onnx(str(toy), toy / "onnx")
        parts += memory(toy, 200 if quick else 10_000)
        real = dequantised(Path(temporary, "minilm-l12"))
        export_onnx(str(real), real / "onnx", int8=True)
        parts += quality(real, 3 if quick else None)
    if quick:
        print("\n\n".join(parts))
        return
    packages = ("tamis", "torch", "transformers", "tokenizers", "onnxruntime", BASE, "rerankers", "flashrank")
    save(
        "encoders",
        "Cross-encoders at full speed",
        installed(*packages),
        "Weights: all-MiniLM-L6-v2 with a classification head drawn from a seed (the shape and cost of "
        "ms-marco-MiniLM-L6; speed does not depend on what the scores mean), in float32, and as graphs made of them by "
        "`tamis export onnx --int8`. Each library runs in a process of its own with its own defaults, at 512 tokens a "
        "pair, and is asked in turn for the same query of 100 passages (stretches of DL19's text). tamis is asked "
        "through its engine. `rerankers` and FlashRank are those found; FlashRank loads the graph under the name of a "
        "model it knows, and its probabilities are turned back to logits. A process may hold "
        "6 GiB. Speed is the median ratio of the same "
        "queries, above 1: faster.",
        *parts,
    )


if __name__ == "__main__":
    main()
