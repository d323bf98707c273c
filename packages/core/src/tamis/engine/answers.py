"""What a model returned, as one sound answer or `Failure` per call. Nothing a model returns raises here."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, get_args

from tamis.errors import CapabilityError, ConfigError, MissingExtra, ModelError
from tamis.values.answers import Answer, Failure, Generated, Score, Why
from tamis.values.calls import Call

WHYS = frozenset(get_args(Why))
SHOWN = 300
LARGEST = 2**53
"""The highest count that is taken for one: floats hold every whole number up to it."""


def listed(returned: Any, count: int, method: str) -> list[Any]:
    """The answers a model method returned, however it holds them. `ModelError` when they are not `count` answers.

    Called where the model runs: a lazy iterable does its work here, and may raise.
    """
    wanted = f"{method} must return {count} answers, one per call"
    if inspect.isawaitable(returned):
        if inspect.iscoroutine(returned):
            returned.close()
        raise ModelError(f"{wanted}; it returned a coroutine: call an async method a{method.rpartition('.')[2]}")
    if isinstance(returned, (str, bytes, bytearray, Mapping)) or not hasattr(returned, "__iter__"):
        raise ModelError(f"{wanted}; it returned {kind(returned)}", wrote=True)
    try:
        answers = list(islice(returned, count + 1))
    except TypeError as error:
        raise ModelError(f"{wanted}; it returned {kind(returned)}, which cannot be read: {said(error)}") from None
    if len(answers) != count:
        more = "more" if len(answers) > count else str(len(answers))
        raise ModelError(f"{wanted}; it returned {more}", wrote=True)
    return answers


def sound(call: Call, answer: Any) -> Answer | Failure:
    """The answer when it is of the call's class and holds what it should; else a `Failure` that says what came."""
    if isinstance(answer, Failure):
        why = answer.why if isinstance(answer.why, str) and answer.why in WHYS else "malformed"
        message = answer.message if isinstance(answer.message, str) else kind(answer.message)
        read, wrote = counted(answer.tokens_in), counted(answer.tokens_out)
        return Failure(why, message, tokens_in=read, tokens_out=wrote, wrote=answer.wrote is True)
    wanted = call.answer.__name__
    if not isinstance(answer, call.answer):
        problem = f"a model answered `{call.capability}` with {kind(answer)}, not with {wanted}"
        return _unusable(problem, answer)
    try:
        checked = answer.checked()
    except Exception as error:
        return _unusable(f"the {wanted} of a model cannot be read: {said(error)}", answer)
    wrong: dict[str, Any] = {}
    if checked.tokens_in is not None and (read := counted(checked.tokens_in)) is not checked.tokens_in:
        wrong["tokens_in"] = read
    if checked.tokens_out is not None and (wrote := counted(checked.tokens_out)) is not checked.tokens_out:
        wrong["tokens_out"] = wrote
    if isinstance(checked, Generated) and checked.thoughts is not None:
        wrong["thoughts"] = counted(checked.thoughts)
    if isinstance(checked, Score) and (units := counted(checked.search_units) or 0) is not checked.search_units:
        wrong["search_units"] = units
    return replace(checked, **wrong) if wrong else checked


def _unusable(problem: str, answer: Any) -> Failure:
    """The failure of an answer that cannot be used, with the tokens it reports."""
    counts = (answer.tokens_in, answer.tokens_out) if isinstance(answer, Answer) else (None, None)
    read, wrote = map(counted, counts)
    return Failure("malformed", problem, tokens_in=read, tokens_out=wrote, wrote=True)


def counted(reported: Any) -> int | None:
    """A count as a model reports it; `None` (not reported) for what is no count or more than a model could reach."""
    try:
        if type(reported) is not int:
            reported = int(reported) if not isinstance(reported, (bool, str, bytes)) and reported >= 0 else -1
        return reported if 0 <= reported <= LARGEST else None
    except Exception:
        return None


def failed(error: BaseException, place: int = 0, count: int = 1) -> Failure:
    """The failure of one of the `count` calls that ended in `error`, with its share of the tokens the error reports.
    Whatever answers too late may have written."""
    message = f"{type(error).__name__}: {said(error)}"
    if not isinstance(error, ModelError):
        return Failure("error", message, wrote=isinstance(error, TimeoutError) or "Timeout" in type(error).__name__)
    read, wrote = (_part(counted(tokens), place, count) for tokens in (error.tokens_in, error.tokens_out))
    return Failure("error", message, tokens_in=read, tokens_out=wrote, wrote=error.wrote)


def _part(total: int | None, place: int, count: int) -> int | None:
    """One of `count` whole parts of `total`, which add up to it."""
    return None if total is None else total * (place + 1) // count - total * place // count


def said(error: BaseException) -> str:
    """What an error says, also where its own `__str__` fails."""
    try:
        return str(error)[:SHOWN]
    except Exception:
        return "(its message cannot be read)"


def kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def is_the_users(error: BaseException) -> bool:
    """Whether an error is the user's own interrupt, which ends the rerank, and not that of a model or callback."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def is_the_callers(error: BaseException | None) -> bool:
    """Whether an error is a mistake in how a model was made or used, to be raised, and no failure to answer."""
    return isinstance(error, (ConfigError, CapabilityError, MissingExtra))


__all__: Sequence[str] = ("counted", "failed", "is_the_callers", "is_the_users", "kind", "listed", "said", "sound")
