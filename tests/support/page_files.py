"""The files, models and servers that blocks of the pages name: small, real, and made when a block names them."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.servers import chat_server, completion, first_tokens

SERVER = "http://localhost:8000/v1"
"""What pages write for a language model's server. Blocks get a server on loopback instead."""

TOPICS = {
    "mountain": "how tall is the highest mountain",
    "bread": "why does bread dough rise",
    "knife": "how do I sharpen a knife",
    "tea": "how hot should water for tea be",
    "date": "how do I parse an ISO date",
    "bridge": "who designed the suspension bridge",
    "volcano": "what makes a volcano erupt",
    "glacier": "how fast does a glacier move",
    "violin": "which wood is a violin made of",
    "harbour": "when was the harbour deepened",
    "desert": "how cold is the desert at night",
    "bicycle": "how do I patch a bicycle tyre",
    "lantern": "what fuel does a lantern burn",
    "orchard": "when is an orchard pruned",
    "saddle": "how is a saddle fitted",
    "compass": "why does a compass point north",
}
UNANSWERED = ("what does a passport cost", "who won the chess final", "how long do owls live", "is glass a liquid")


def passages() -> list[dict[str, Any]]:
    """Three passages on each topic; the first answers, the second helps, the third only names it."""
    found = []
    for topic, question in TOPICS.items():
        words = " ".join(question.split()[2:])
        texts = (
            f"On {words}: this passage explains the {topic} fully.",
            f"A {topic} and what it is for.",
            f"No {topic}.",
        )
        found += [{"_id": f"{topic}-{n}", "title": topic, "text": text} for n, text in enumerate(texts)]
    return found


def data_set(folder: Path) -> None:
    """A test set of `tamis eval`: 16 questions with answers, 4 that nothing answers."""
    folder.mkdir()
    questions = [{"_id": f"q{n}", "text": text} for n, text in enumerate((*TOPICS.values(), *UNANSWERED))]
    write_lines(folder / "corpus.jsonl", passages())
    write_lines(folder / "queries.jsonl", questions)
    rows = [f"q{n}\t{topic}-{place}\t{2 - place}" for n, topic in enumerate(TOPICS) for place in range(3)]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows, ""]))


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def text(content: str) -> Callable[[Path], Any]:
    """A file with this content, which may name others of the table."""

    def make(path: Path) -> None:
        provide(content)
        path.write_text(content)

    return make


def model(maker: str) -> Callable[[Path], Any]:
    """A tiny model of `support.tiny_models` in this folder."""

    def make(path: Path) -> None:
        from support import tiny_models

        made: Path = getattr(tiny_models, maker)(path)
        if made != path:
            path.rename(path.with_suffix(".made"))
            (path.with_suffix(".made") / made.name).rename(path)

    return make


def tamis_command(words: Sequence[str]) -> None:
    """Run the real command in this process. Raises `AssertionError` with what it printed when it fails."""
    from tamis.cli import main

    said = io.StringIO()
    sys.argv = [*words]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main()
    except SystemExit as ended:
        code = ended.code
    else:
        code = 0
    assert not code, said.getvalue()


def written_by(line: str) -> Callable[[Path], Any]:
    """What this command writes to `--out`. It may use other files of the table."""

    def make(path: Path) -> None:
        provide(line)
        tamis_command([*shlex.split(line), "--out", str(path)])

    return make


SCORER = "--model 'cross_encoder={onnx_cross_encoder: my-cross-encoder}'"
FILES: Mapping[str, Callable[[Path], Any]] = {
    "my-data": data_set,
    "my-pipeline.yaml": text("- lexical\n- top_n: 5\n"),
    "my-scorer.yaml": text("- cross_encoder: {model: {onnx_cross_encoder: my-cross-encoder}}\n"),
    "pipeline.yaml": text("- top_n: 3\n- rebel: {model: llm}\n"),
    "passages.jsonl": lambda path: write_lines(path, passages()),
    "passages.txt": lambda path: path.write_text("".join(f"{passage['text']}\n" for passage in passages())),
    "calibration.json": written_by(f"tamis calibrate cross-encoder {SCORER} --data my-data --method in_list"),
    "abstain.json": written_by(
        f"tamis calibrate cross-encoder {SCORER} --data my-data --method stacked --unjudged-unanswerable --rate 0.1"
    ),
    "grag.npz": written_by("tamis train graph --steps 20 --data my-data --embed '{sentence_transformer: my-embedder}'"),
    "adapter.npz": written_by(
        "tamis train adapter --steps 20 --data my-data --embed '{sentence_transformer: my-embedder}'"
    ),
    "my-embedder": model("tiny_embedder"),
    "my-cross-encoder": model("tiny_onnx_cross_encoder"),
    "BAAI/bge-reranker-v2-m3": model("tiny_cross_encoder"),
    "Qwen/Qwen3-Reranker-0.6B": model("tiny_causal_lm"),
    "castorini/rank_zephyr_7b_v1_full": model("tiny_causal_lm"),
    "lightonai/GTE-ModernColBERT-v1": model("tiny_pylate"),
}
"""What each name that pages use stands for: files, and in place of checkpoints of a hub folders of the same name with
a random model of the same kind, since a loader takes either."""


def provide(content: str) -> None:
    """Make what a block or a command names, in the current folder; not what a command writes."""
    for name in named(re.sub(r"--out \S+", "", content)):
        path = Path(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            FILES[name](path)


def named(content: str) -> list[str]:
    """The names of the table that a text uses, as whole words."""
    return [name for name in FILES if re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w./-]*\w)", content)]


@contextmanager
def language_model() -> Iterator[str]:
    """The address of a server that answers every question tamis asks in its form, with no opinion."""
    with chat_server(reply) as server:
        yield server.url


def reply(request: Mapping[str, Any]) -> Mapping[str, Any]:
    prompt = str(request["messages"][-1]["content"])
    count = len(set(re.findall(r'<passage number="(\d+)">', prompt)))
    if request.get("logprobs"):
        return first_tokens({label: -1.0 - n for n, label in enumerate(("Yes", "No", "A", "B"))})
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema")
    if schema:
        return completion(json.dumps(filled(schema)))
    tops = dict(re.findall(r'"(\w+)": <0 to (\d+)>', prompt))
    if tops:
        grades = {name: int(top) - 1 for name, top in tops.items()}
        return completion(json.dumps({"passages": [{"passage": n + 1, **grades} for n in range(count)]}))
    return completion(" > ".join(f"[{n + 1}]" for n in range(count)) or "A short answer.")


def filled(schema: Mapping[str, Any], place: int = 0) -> Any:
    """Data that fits a JSON schema; members of an array are numbered from 1 where they carry a number."""
    kind = schema.get("type")
    if "enum" in schema:
        return schema["enum"][min(place, len(schema["enum"]) - 1)]
    if kind == "object":
        return {name: filled(part, place) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [filled(schema.get("items", {}), n) for n in range(schema.get("minItems", 2))]
    if kind == "integer":
        return schema.get("minimum", 0) + place
    if kind == "number":
        return schema.get("maximum", 1)
    return kind == "boolean" or f"example {place}"
