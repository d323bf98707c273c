"""What `tamis eval` itself costs: 300 queries x 100 candidates of pipelines without a model, over growing corpora."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import save, table

QUERIES, DEPTH = 300, 100
PASSAGES = (3_000, 12_000)
WORDS = 100
PEAK = """
import resource, sys
from tamis.cli import main
try:
    main()
finally:
    print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""


def make(folder: Path, passages: int) -> int:
    """A BEIR folder of random texts, whose first stage is BM25 made on the fly; returns the corpus's size in bytes."""
    chosen = random.Random(7)
    words = [f"w{number}" for number in range(20_000)]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    lines = []
    for number in range(passages):
        text = " ".join(chosen.choices(words, weights, k=WORDS))
        lines.append(json.dumps({"_id": f"p{number}", "text": text}))
    queries, judged = [], []
    for number in range(QUERIES):
        passage = chosen.randrange(passages)
        terms = chosen.sample(json.loads(lines[passage])["text"].split(), 6)
        queries.append(json.dumps({"_id": f"q{number}", "text": " ".join(terms)}))
        judged.append(f"q{number}\tp{passage}\t1")
    for name, rows in (("corpus.jsonl", lines), ("queries.jsonl", queries), ("qrels.tsv", judged)):
        (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return (folder / "corpus.jsonl").stat().st_size


def run(folder: Path) -> tuple[float, int]:
    """Seconds of the whole command, report included, and the process's peak memory in MiB."""
    command = ["eval", "lexical", "texts", "default", "--data", str(folder), "--out", str(folder / "out")]
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", PEAK, *command], capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return seconds, int(done.stderr.rsplit("PEAK", 1)[1])


def main() -> None:
    rows = []
    for passages in PASSAGES:
        with tempfile.TemporaryDirectory() as folder:
            size = make(Path(folder), passages)
            seconds, peak = run(Path(folder))
        rows.append([f"{passages:,}", f"{size / 2**20:.0f}", f"{seconds:.1f}", peak])
    head = ["passages", "corpus on disk, MiB", "seconds, everything", "peak memory, MiB"]
    told = (
        f"{QUERIES} queries, {DEPTH} candidates each, three pipelines without a model, BM25 built on the fly, metrics, "
        "bootstrap, tests and the HTML page: one `tamis eval` from start to end."
    )
    save("evaluation", "What an evaluation costs", ["bm25s", "ir-measures"], told, table(head, rows))


if __name__ == "__main__":
    main()
