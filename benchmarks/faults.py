"""The same faults, from a revoked key to an empty answer, through tamis and other LLM rerankers: what comes back?

Every reranker talks to a real HTTP server on loopback with its own client. Each run has a process of its own, so that
one that never returns can be ended. What became of the passages is worked out from what came back. Saved only where all
rerankers are installed (see README.md); else shown on the screen.
"""

from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import os
import re
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Any

from fault_answers import FAULTS, IN_THE_LIST, NONE, YES, Script
from fault_rerankers import ALL, COUNT, TIMEOUT, Came, Reranker, importable
from providers import YesNo, grade
from report import save, table
from support.servers import chat_server

LIMIT, CONCURRENT = 30.0, 6
"""Seconds a run may take; runs at once."""
CORRECT, FLAGGED, LOGGED, SILENT = "correct", "degraded, flagged", "degraded, log only", "silently wrong"
LOST, DOUBLED, RAISED, HUNG = "lost", "duplicated", "raised", "hung"
CLASSES = (CORRECT, FLAGGED, RAISED, LOGGED, SILENT, LOST, DOUBLED, HUNG)
OPTIONAL = {
    "llama_index.llms.openai_like": "llama-index-llms-openai-like",
    "llama_index.postprocessor.rankgpt_rerank": "llama-index-postprocessor-rankgpt-rerank",
    "langchain_openai": "langchain-openai",
    "rerankers": "rerankers",
    "litellm": "litellm",
    "rank_llm": "rank-llm",
}
PACKAGES = ("tamis", "llama-index-core", "langchain-core", "langchain-classic", "haystack-ai", "openai")


@dataclass(frozen=True)
class Seen:
    """One run as its caller saw it. `judged`: the passages the model said something about. `signs`: log records,
    warnings and printed lines, all numbers (hours, mostly) 0. `error`: the name of what was raised."""

    came: Came | None = None
    judged: set[int] = field(default_factory=set)
    signs: set[str] = field(default_factory=set)
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    what: str
    how: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.how}" if self.how else self.what


# --- running ----------------------------------------------------------------------------------------------------------


class Heard(logging.Handler):
    """Keeps the messages of log records."""

    def __init__(self, signs: set[str]) -> None:
        super().__init__(logging.WARNING)
        self.signs = signs

    def emit(self, record: logging.LogRecord) -> None:
        self.signs.add(f"{record.name}: {record.msg}")


def observed(reranker: Reranker, fault: str) -> Seen:
    """Rerank once, against a server with `fault`."""
    script, signs, printed = Script(reranker.form, fault), set[str](), io.StringIO()
    with chat_server(script) as server, warnings.catch_warnings(record=True) as warned:
        run = reranker.make(server.url)
        logging.getLogger().addHandler(Heard(signs))
        came, error = None, ""
        with contextlib.redirect_stdout(printed):
            try:
                came = run()
            except Exception as raised:
                error = type(raised).__name__
    signs.update(str(warning.message) for warning in warned)
    signs.update(line for line in printed.getvalue().splitlines() if line.strip())
    return Seen(came, script.judged, {re.sub(r"\d+", "0", sign) for sign in signs}, error)


def child(pipe: Any, reranker: Reranker, fault: str) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    pipe.send(observed(reranker, fault))


def observe(rerankers: Sequence[Reranker], fault: str) -> list[Seen | None]:
    """All of `rerankers` at the same time, each in a process; `None` where one was not back within `LIMIT` seconds."""
    fork, runs, seen = multiprocessing.get_context("fork"), [], list[Seen | None]()
    for reranker in rerankers:
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(target=child, args=(theirs, reranker, fault))
        process.start()
        theirs.close()
        runs.append((ours, process))
    end = time.monotonic() + LIMIT
    for ours, process in runs:
        try:
            seen.append(ours.recv() if ours.poll(max(0.0, end - time.monotonic())) else None)
        except EOFError:
            seen.append(Seen(error="the process died"))
        process.kill()
        process.join()
    return seen


# --- judging ----------------------------------------------------------------------------------------------------------


def outcome(seen: Seen | None, reranker: Reranker, usual: set[str]) -> Outcome:
    """What became of the passages. `usual`: the signs of a run without a fault."""
    if seen is None:
        return Outcome(HUNG, f"over {LIMIT:.0f} s")
    if seen.came is None:
        return Outcome(RAISED, seen.error)
    kept, everything = seen.came.kept, set(range(COUNT))
    refused = {n for n in seen.judged if grade(n) < YES} if reranker.filters else set()
    if lost := everything - set(kept) - seen.came.dropped - refused:
        return Outcome(LOST, f"{len(lost)} of {COUNT}")
    if doubled := sum(count - 1 for count in Counter(kept).values()):
        return Outcome(DOUBLED, str(doubled))
    unjudged = everything - seen.judged
    wrong = misplaced(kept, seen.judged, reranker) or bool(refused & set(kept))
    if not wrong and not unjudged:
        return Outcome(CORRECT)
    if not wrong and unjudged <= seen.came.flagged:
        return Outcome(FLAGGED, f"{len(seen.came.flagged)} of {COUNT}")
    how = "input order" if kept == sorted(everything) else "not as the model said" if wrong else ""
    how = how or f"{len(unjudged - seen.came.flagged)} of {COUNT} not judged, unsaid"
    return Outcome(LOGGED if seen.signs - usual else SILENT, how)


def misplaced(kept: Sequence[int], judged: set[int], reranker: Reranker) -> bool:
    """Whether judged passages stand in another order than the model's: by falling grade, or as they came for a filter;
    where the model judged none, whether there is an order at all that is not the incoming one."""
    if not judged or reranker.filters:
        return list(kept) != sorted(kept)
    return any(grade(a) < grade(b) for a, b in pairwise(n for n in kept if n in judged))


def applies(reranker: Reranker, fault: str) -> bool:
    return not (isinstance(reranker.form, YesNo) and fault in IN_THE_LIST)


def measure(rerankers: Sequence[Reranker]) -> dict[str, dict[str, Outcome]]:
    """By fault, then by reranker."""
    found: dict[str, dict[str, Outcome]] = {}
    usual: dict[str, set[str]] = {}
    for fault in FAULTS:
        met = [reranker for reranker in rerankers if applies(reranker, fault)]
        found[fault] = {}
        for start in range(0, len(met), CONCURRENT):
            some = met[start : start + CONCURRENT]
            for reranker, seen in zip(some, observe(some, fault), strict=True):
                if fault == NONE:
                    usual[reranker.name] = seen.signs if seen else set()
                found[fault][reranker.name] = outcome(seen, reranker, usual[reranker.name])
        print(fault, {name: str(result) for name, result in found[fault].items()}, flush=True)
    return found


def totals(rerankers: Sequence[Reranker], found: dict[str, dict[str, Outcome]]) -> str:
    """How often each came to what, over all faults."""
    rows = []
    for reranker in rerankers:
        results = [found[fault][reranker.name] for fault in FAULTS[1:] if applies(reranker, fault)]
        counts = Counter(result.what for result in results)
        rows.append([reranker.name, len(results), *(counts[what] for what in CLASSES)])
    return table(["reranker", "faults", *CLASSES], rows)


def installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def main() -> None:
    here = [reranker for reranker in ALL if not reranker.missing]
    for reranker in here:
        reranker.load()
    found = measure(here)
    assert all(result.what == CORRECT for result in found[NONE].values()), found[NONE]
    detail = [[fault, *(found[fault].get(reranker.name, "-") for reranker in here)] for fault in FAULTS]
    summary = totals(here, found)
    every = table(["fault", *(reranker.name for reranker in here)], detail)
    present = {package: installed(package) for module, package in OPTIONAL.items() if importable(module)}
    if absent := [f"- {r.name}: no {', '.join(r.missing)} here" for r in ALL if r.missing]:
        print(summary, every, "Left out, so that the result is not saved:", *absent, sep="\n\n")
        return
    save(
        "faults",
        "The same faults through tamis and other LLM rerankers",
        (*PACKAGES, *(package for package, found in present.items() if found)),
        f"{COUNT} passages through a chat server on loopback that answers every request with the fault (429: the first "
        f"only). Every reranker calls with its own client and as it comes, retries included, but for a time limit of "
        f"{TIMEOUT:g} s a request, where one can be set (rank_llm: 300 s, fixed), and for being told to return all.",
        "correct: all judged, and in the model's order. degraded, flagged: what the model said is kept to, and the "
        "result names every passage it did not judge. raised: an error instead of a result. degraded, log only: the "
        "result looks like any other, but a log line, a Python warning or something printed told of it. silently "
        "wrong: not the model's order, or passages the model did not judge, and no sign of it. lost: neither returned "
        "nor reported as dropped. duplicated: returned more than once. hung: not back after "
        f"{LIMIT:.0f} s. `-`: cannot happen, as it asks for one word.",
        summary,
        every,
        *(f"{package} was run from its sources." for package, found in present.items() if not found),
    )


if __name__ == "__main__":
    main()
