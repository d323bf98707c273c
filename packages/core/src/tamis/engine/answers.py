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
        raise ModelError(f"{wanted}; it returned {kind(returned)}")
    try:
        answers = list(islice(returned, count + 1))
    except TypeError as error:
        raise ModelError(f"{wanted}; it returned {kind(returned)}, which cannot be read: {said(error)}") from None
    if len(answers) != count:
        more = "more" if len(answers) > count else str(len(answers))
        raise ModelError(f"{wanted}; it returned {more}")
    return answers


def sound(call: Call, answer: Any) -> Answer | Failure:
    """The answer when it is of the call's class and holds what it should; else a `Failure` that says what came."""
    if isinstance(answer, Failure):
        why = answer.why if isinstance(answer.why, str) and answer.why in WHYS else "malformed"
        return Failure(why, answer.message if isinstance(answer.message, str) else kind(answer.message))
    wanted = call.answer.__name__
    if not isinstance(answer, call.answer):
        return Failure("malformed", f"a model answered `{call.capability}` with {kind(answer)}, not with {wanted}")
    try:
        checked = answer.checked()
    except Exception as error:
        return Failure("malformed", f"the {wanted} of a model cannot be read: {said(error)}")
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


def counted(reported: Any) -> int | None:
    """A count as a model reports it; `None` (not reported) for what is no count or more than a model could reach."""
    try:
        if type(reported) is not int:
            reported = int(reported) if not isinstance(reported, (bool, str, bytes)) and reported >= 0 else -1
        return reported if 0 <= reported <= LARGEST else None
    except Exception:
        return None


def failed(error: BaseException) -> Failure:
    return Failure("error", f"{type(error).__name__}: {said(error)}")


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
