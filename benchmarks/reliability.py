"""What the engine does under faults: nothing lost, late, over budget or growing, and forks survived.

`--quick` for a look at a tenth of everything, which is not saved. With the same faults through other rerankers (as in
`faults.py`) where they are installed. `--part NAME` measures one part and keeps it in `build/reliability`; the result
is saved once all parts are there. Without it, all are measured.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from report import ms, save, table
from support.chaos import Seen, checked, drawn
from support.servers import Response, chat_server
from tamis import CrossEncoder, Engine, Listwise
from tamis.models import OpenAIChat
from tamis.values.answers import Generated, Score

QUICK = "--quick" in sys.argv
CASES, PIPELINES, AT_ONCE, QUERIES, FORKS = (300, 20, 1000, 2_000, 5) if QUICK else (5_000, 200, 1000, 20_000, 50)
ORDER = Generated("[3] > [2] > [1]")
TEXTS = ["a", "b", "c"]
DEADLINE = 0.2
BOMB = 2**30
KEPT = Path(__file__).parents[1] / "build" / "reliability"


class Chat:
    name, max_concurrency = "chat", 64

    async def agenerate(self, calls: Sequence[Any]) -> list[Generated]:
        await asyncio.sleep(0.02)
        return [ORDER] * len(calls)


class Keyed:
    """A model whose answers a cache keeps."""

    name, cache_key, max_batch, max_concurrency = "keyed", "keyed:1", 8, 4

    def classify(self, calls: Sequence[Any]) -> list[Score]:
        return [Score(float(len(call.text))) for call in calls]


def many(seeds: range, deadline: float | None = None) -> tuple[list[Seen], list[str]]:
    """What each case came to, and what was wrong with those that broke a promise."""
    seen, broken = list[Seen](), list[str]()
    for seed in seeds:
        try:
            seen.append(checked(drawn(seed, deadline)))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            broken.append(f"case {seed}: {type(error).__name__}: {error}")
    return seen, broken


async def blocked(count: int, deadline: float | None) -> tuple[float, float]:
    """Longest the loop was blocked and seconds in all, for `count` reranks that begin together."""
    engine, stage = Engine(cache=None, deadline=deadline), Listwise(Chat())
    await engine.arerank(stage, "warm up", TEXTS)

    async def reranks() -> None:
        await asyncio.gather(*[engine.arerank(stage, f"q{number}", TEXTS) for number in range(count)])

    return await beside(reranks)


async def control() -> tuple[float, float]:
    """The same of a loop beside one thread that computes in Python for a second, without any rerank."""

    def compute() -> None:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            sum(range(1_000))

    return await beside(lambda: asyncio.to_thread(compute))


async def beside(work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Longest the loop was blocked during `work`, and the seconds it took."""
    worst = 0.0

    async def tick() -> None:
        nonlocal worst
        while True:
            started = time.monotonic()
            await asyncio.sleep(0.002)
            worst = max(worst, time.monotonic() - started - 0.002)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.02)
    started = time.monotonic()
    await work()
    seconds = time.monotonic() - started
    ticking.cancel()
    return worst, seconds


def collection() -> str:
    """What a full collection of garbage takes before any rerank, with the modules of this benchmark alone."""
    gc.collect()
    objects, started = len(gc.get_objects()), time.perf_counter()
    gc.collect()
    return (
        f"A full collection of garbage stops every thread: for {ms(time.perf_counter() - started)} ms with the "
        f"{objects:,} objects that this process holds before any rerank. "
        "A service that calls `gc.freeze()` at its start does not pay for those."
    )


def loop_blocked() -> str:
    said, rows = collection(), []

    def add(how: str, deadline: float | None, run: Callable[[], Coroutine[Any, Any, tuple[float, float]]]) -> None:
        runs = sorted(asyncio.run(run()) for _ in range(5))
        rows.append([how, deadline or "-", ms(runs[2][0]), ms(runs[-1][0]), f"{min(took for _, took in runs):.2f}"])

    add("control: no rerank, one thread that computes", None, control)
    for how in ("as it comes", "frozen"):
        if how == "frozen":
            gc.collect()
            gc.freeze()
        for deadline in (None, 5.0):
            add(how, deadline, partial(blocked, AT_ONCE, deadline))
    gc.unfreeze()
    head = ["garbage collector", "deadline, s", "longest block, ms (median of 5)", "worst of 5", "seconds in all"]
    load = f"Programs that wanted a core in the minute before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    return f"{said} {load}\n\n{table(head, rows)}"


def held() -> tuple[float, int, int]:
    """MiB of memory, threads, descriptors of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, threading.active_count(), len(os.listdir("/proc/self/fd"))


def growth() -> str:
    with TemporaryDirectory() as folder:
        return grown(Path(folder))


def grown(folder: Path) -> str:
    engine, rows = Engine(cache=folder / "answers.sqlite", deadline=30.0), []
    stage = CrossEncoder(Keyed())
    for number in range(QUERIES + QUERIES // 10):
        engine.rerank(stage, f"query {number}", TEXTS)
        if number + 1 == QUERIES // 10 or number + 1 == QUERIES + QUERIES // 10:
            rows.append([f"{number + 1:,}", *(f"{value:.0f}" for value in held())])
    return table(["queries", "memory, MiB", "threads", "descriptors"], rows)


def forked(work: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0 if work() else 1)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def forks() -> str:
    with TemporaryDirectory() as folder:
        return survived(Path(folder))


def survived(folder: Path) -> str:
    engine, stage, stop = Engine(cache=folder / "forks.sqlite", deadline=10.0), CrossEncoder(Keyed()), threading.Event()

    def good(query: str) -> bool:
        return not engine.rerank(stage, query, ["a", "bb", "ccc"]).degraded

    def use(number: int) -> None:
        turn = 0
        while not stop.is_set():
            assert good(f"thread {number} {turn}")
            turn += 1

    good("warm up")
    threads = [threading.Thread(target=use, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    whole = sum(forked(lambda: all(good(f"child {os.getpid()} {n}") for n in range(5))) for _ in range(FORKS))
    stop.set()
    for thread in threads:
        thread.join(20)
    return (
        f"{whole} of {FORKS} children answered five queries each; forked while four threads were reranking over one "
        f"cache on disk. Threads of the parent that did not come back: {sum(thread.is_alive() for thread in threads)}."
    )


def bomb() -> str:
    packed = gzip.compress(b"0" * BOMB, 1)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    with chat_server(Response(200, packed, headers)) as server:
        model = OpenAIChat("test", base_url=server.url, api_key="none")
        Engine(retries=0).rerank(Listwise(OpenAIChat("test", base_url=server.url, api_key="none")), "warm up", TEXTS)
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        ranking = Engine(retries=0, cache=None).rerank(Listwise(model), "q", TEXTS)
        seconds = time.monotonic() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    what = "said to be degraded" if ranking.degraded else "taken for an answer"
    return (
        f"A reply of {len(packed) / 2**20:.1f} MiB that unpacks to {BOMB / 2**20:,.0f}: {what} after {seconds:.2f} s, "
        f"the highest use of memory {grown:.0f} MiB higher than before it."
    )


def peers() -> str:
    from fault_rerankers import ALL
    from faults import measure, totals

    here = [reranker for reranker in ALL if not reranker.missing]
    for reranker in here:
        reranker.load()
    absent = [f"{reranker.name} (no {', '.join(reranker.missing)})" for reranker in ALL if reranker.missing]
    return "\n\n".join([totals(here, measure(here)), *([f"Not here: {', '.join(absent)}."] if absent else [])])


def cases() -> str:
    seen, broken = many(range(CASES))
    rows = [
        ["random cases", f"{CASES:,}"],
        ["requests answered", f"{sum(one.requests for one in seen):,}"],
        ["faults injected", f"{sum(one.injected for one in seen):,}"],
        ["reranks", f"{sum(one.queries for one in seen):,}"],
        ["of them degraded and marked", f"{sum(one.degraded for one in seen):,}"],
        ["candidates lost or doubled, exceptions, hangs, places kept", len(broken)],
        ["requests beyond max_calls", sum(one.over for one in seen)],
    ]
    return "\n\n".join([table(["", "counted"], rows), *(f"- {line}" for line in broken)])


def deadlines() -> str:
    """Each beside a timer of the same length in the same process, which is as late as the machine makes it."""
    seen, broken = many(range(10**6, 10**6 + PIPELINES), DEADLINE)
    late = sorted(max(0.0, one.late) for one in seen)
    bare = sorted(_lateness_of_a_timer() for _ in range(20))
    rows = [
        ["pipelines", PIPELINES],
        ["later than 50 ms", sum(one > 0.05 for one in late)],
        ["the latest, ms after its deadline", ms(late[-1])],
        ["the median, ms after its deadline (0: before it)", ms(late[len(late) // 2])],
        ["a bare `time.sleep` of the same length: the latest of 20, ms", ms(bare[-1])],
    ]
    return "\n\n".join([table(["", "counted"], rows), *(f"- {line}" for line in broken)])


def _lateness_of_a_timer() -> float:
    started = time.monotonic()
    time.sleep(DEADLINE)
    return time.monotonic() - started - DEADLINE


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "cases": (
        "Models, caches and callbacks that fail by a seeded plan (`tests/support/chaos.py`), through every driver: "
        "errors of every kind, calls of `sys.exit`, cancelled tasks, answers of another number, class or content, "
        "models that hang, caches that raise and lie.",
        cases,
    ),
    "deadlines": (f"## The same with a deadline of {DEADLINE:g} s", deadlines),
    "loop": (
        f"## {AT_ONCE:,} `arerank` that begin together, an async model of 20 ms with 64 at once",
        loop_blocked,
    ),
    "growth": ("## Growth", growth),
    "forks": ("## Forks", forks),
    "bomb": ("## A packed reply", bomb),
    "peers": ("## The same twelve faults through others\n\nAs in `faults.md`.", peers),
}


def main() -> None:
    logging.disable(logging.CRITICAL)
    some = [sys.argv[sys.argv.index("--part") + 1]] if "--part" in sys.argv else list(PARTS)
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in some:
        title, measure = PARTS[name]
        text = f"{title}\n\n{measure()}"
        print(text, flush=True)
        if not QUICK:
            (KEPT / f"{name}.md").write_text(text, encoding="utf-8")
    kept = [KEPT / f"{name}.md" for name in PARTS]
    if not QUICK and all(path.exists() for path in kept):
        sys.argv[1:] = []
        save(
            "reliability",
            "The engine under faults",
            ("tamis", "httpx", "numpy"),
            *(path.read_text(encoding="utf-8") for path in kept),
        )


if __name__ == "__main__":
    main()
