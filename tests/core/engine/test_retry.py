"""What is asked again, and after how long."""

from __future__ import annotations

import math
from typing import Any

import pytest
import tenacity

from tamis.engine.retry import LONGEST_WAIT, Backoff, is_transient, policy, retry_after
from tamis.errors import ConfigError, InputError, ModelError


class Response:
    def __init__(self, status: Any = None, headers: Any = None) -> None:
        self.status_code, self.headers = status, headers


class Failed(Exception):
    """An error of an HTTP client: the status in itself or in its response."""

    def __init__(self, **fields: Any) -> None:
        super().__init__("failed")
        for name, value in fields.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    "error",
    [
        ModelError("x", retryable=True),
        RuntimeError("of unknown kind"),
        TimeoutError(),
        ConnectionResetError(),
        ValueError("half an answer"),
        Failed(status_code=429),
        Failed(status=503),
        Failed(response=Response(500)),
        Failed(response=Response(408)),
        Failed(status_code="teapot"),
    ],
)
def test_what_may_go_well_next_time_is_asked_again(error: BaseException) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ModelError("x", retryable=False),
        ConfigError("x"),
        InputError("x"),
        TypeError(),
        AttributeError(),
        NotImplementedError(),
        NameError(),
        ImportError(),
        AssertionError(),
        KeyError(),
        IndexError(),
        KeyboardInterrupt(),
        SystemExit(),
        Failed(status_code=400),
        Failed(status=401),
        Failed(response=Response(404)),
        Failed(status_code=422, response=Response(503)),
    ],
)
def test_what_will_fail_again_is_not(error: BaseException) -> None:
    assert not is_transient(error)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (None, None),
        (RuntimeError(), None),
        (Failed(retry_after=7), 7.0),
        (Failed(retry_after=0), 0.0),
        (Failed(retry_after=0.25), 0.25),
        (Failed(retry_after=-1), None),
        (Failed(retry_after=math.nan), None),
        (Failed(retry_after=True), None),
        (Failed(retry_after=1e9), LONGEST_WAIT),
        (Failed(retry_after=math.inf), LONGEST_WAIT),
        (Failed(response=Response(429, {"retry-after": "3"})), 3.0),
        (Failed(retry_after="soon", response=Response(429, {"retry-after": "3"})), 3.0),
        (Failed(retry_after=5, response=Response(429, {"retry-after": "3"})), 5.0),
        (Failed(response=Response(429, {"retry-after": "86400"})), LONGEST_WAIT),
        (Failed(response=Response(429, {"retry-after": "soon"})), None),
        (Failed(response=Response(429, {"retry-after": 3})), None),
        (Failed(response=Response(429, {})), None),
        (Failed(response=Response(429, "no mapping")), None),
    ],
)
def test_what_a_server_asks_for_is_waited_for_within_reason(error: Any, seconds: float | None) -> None:
    assert retry_after(error) == seconds


def tried(error: BaseException | None, number: int = 1) -> tenacity.RetryCallState:
    state = tenacity.RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = number
    if error is not None:
        state.set_exception((type(error), error, None))
    return state


def test_the_wait_is_the_servers_or_a_random_one_that_doubles() -> None:
    wait = Backoff(0.5)
    assert wait(tried(Failed(retry_after=7))) == 7
    assert wait(tried(Failed(retry_after=0))) == 0
    for number, most in ((1, 0.5), (2, 1.0), (5, 8.0), (20, LONGEST_WAIT)):
        waits = [wait(tried(RuntimeError(), number)) for _ in range(300)]
        assert 0 <= min(waits) < most / 4
        assert 3 * most / 4 < max(waits) <= most


@pytest.mark.parametrize(("retries", "paid", "tries"), [(0, 9, 1), (1, 9, 2), (3, 9, 4), (3, 2, 3), (3, 0, 1)])
def test_it_is_tried_once_and_then_as_often_as_there_are_retries_and_budget(
    retries: int, paid: int, tries: int
) -> None:
    made: list[int] = []

    def again(_: BaseException | None) -> bool:
        return len(made) <= paid

    def fail() -> None:
        made.append(1)
        raise RuntimeError("x")

    with pytest.raises(RuntimeError):
        tenacity.Retrying(sleep=lambda _: None, **policy(retries, 0.0, again))(fail)
    assert len(made) == tries


def test_what_will_fail_again_is_tried_once() -> None:
    made: list[int] = []

    def fail() -> None:
        made.append(1)
        raise TypeError("x")

    with pytest.raises(TypeError):
        tenacity.Retrying(sleep=lambda _: None, **policy(3, 0.0, lambda _: True))(fail)
    assert len(made) == 1
