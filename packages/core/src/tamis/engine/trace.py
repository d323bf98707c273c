"""Telling the outside what the engine does: a plain callback, and OpenTelemetry spans when its API is installed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from tamis.engine.answers import is_the_users
from tamis.engine.dispatch import Batch, Outcome
from tamis.engine.traits import name_of
from tamis.values.usage import Usage

log = logging.getLogger("tamis")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. Carries sizes and times, never texts.

    `kind`: `"start"` and `"end"` of a rerank (`queries`, `candidates`; `usage` at the end), `"batch"` after a model
    answered (`model`, `capability`, `calls`, `seconds`, `retries`, `error`).
    """

    kind: Literal["start", "batch", "end"]
    stage: str = ""
    queries: int = 0
    candidates: int = 0
    model: str = ""
    capability: str = ""
    calls: int = 0
    seconds: float = 0.0
    retries: int = 0
    error: str | None = None
    usage: Usage | None = None


Listener = Callable[[Event], None]


class Trace:
    """One rerank (or one `rerank_many`) seen from outside."""

    def __init__(self, listener: Listener | None, stage: str, queries: int, candidates: int) -> None:
        self._listener = listener
        self._stage, self._queries, self._candidates = stage, queries, candidates
        self._span: Any = None

    @contextmanager
    def running(self) -> Iterator[Trace]:
        """Between the start and the end event, inside an OpenTelemetry span that becomes the current one."""
        self.emit(Event("start", self._stage, self._queries, self._candidates))
        tracer = _tracer()
        if tracer is None:
            yield self
            return
        attributes = {
            "tamis.stage": self._stage,
            "tamis.queries": self._queries,
            "tamis.candidates": self._candidates,
        }
        with tracer.start_as_current_span("tamis.rerank", attributes=attributes) as span:
            self._span = span
            yield self

    def batch(self, batch: Batch, outcome: Outcome) -> None:
        model = name_of(batch.model)
        error = None if outcome.error is None else type(outcome.error).__name__
        calls = len(batch.works)
        self.emit(
            Event(
                "batch",
                self._stage,
                model=model,
                capability=batch.capability,
                calls=calls,
                seconds=outcome.seconds,
                retries=outcome.retries,
                error=error,
            )
        )
        if self._span is not None:
            _record_batch(self._span, model, batch.capability, calls, outcome, error)

    def end(self, usage: Usage, degraded: bool) -> None:
        self.emit(Event("end", self._stage, self._queries, self._candidates, seconds=usage.seconds, usage=usage))
        if self._span is not None:
            self._span.set_attribute("tamis.calls", usage.calls)
            self._span.set_attribute("tamis.tokens_in", usage.tokens_in)
            self._span.set_attribute("tamis.tokens_out", usage.tokens_out)
            self._span.set_attribute("tamis.degraded", degraded)

    def emit(self, event: Event) -> None:
        if self._listener is None:
            return
        try:
            self._listener(event)
        except BaseException as error:
            if is_the_users(error):
                raise
            log.exception("an on_event callback raised; the rerank goes on")


def _tracer() -> Any:
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        return None
    from opentelemetry import trace

    return trace.get_tracer("tamis")


def _record_batch(parent: Any, model: str, capability: str, calls: int, outcome: Outcome, error: str | None) -> None:
    """A finished child span: the time is already known when the outcome is."""
    import time

    from opentelemetry import trace

    end = time.time_ns()
    span = trace.get_tracer("tamis").start_span(
        f"tamis.{capability}",
        context=trace.set_span_in_context(parent),
        start_time=end - int(outcome.seconds * 1e9),
        attributes={"tamis.model": model, "tamis.calls": calls, "tamis.retries": outcome.retries},
    )
    if error:
        span.set_status(trace.StatusCode.ERROR, error)
    span.end(end)
