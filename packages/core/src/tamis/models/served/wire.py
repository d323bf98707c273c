"""Reading the reply of a server that nobody vouches for: with a limit, in steps, and within a time."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 32 * 2**20
"""Bytes of a reply, unpacked, unless the model says otherwise."""
ACCEPTED = "gzip, deflate"
"""Encodings that can be unpacked in steps. None of the others is asked for, and none is unpacked."""
STEP = 2**18
"""Bytes that are unpacked before an event loop gets its turn."""
PIECES = 16
"""Pieces that are taken in before an event loop gets its turn; a server may send single bytes."""
LARGE = 2**17
"""Bytes from which JSON is read in a thread of its own."""
PER_VALUE = 32
"""A reply may have one value for as many bytes as this of its limit; what is read at once stays short."""
PER_HOLDER = 256
"""The same for lists, objects and names in objects, which take longer."""
FEWEST = 20_000
"""Values that a reply may have whatever its limit."""
SHOWN = 4096
"""Bytes of a reply that can reach a message."""


class Refused(Exception):
    """A reply that is not read, and why. `lasting`: another attempt would end the same way."""

    def __init__(self, problem: str, *, lasting: bool = False) -> None:
        super().__init__(problem)
        self.lasting = lasting


class Body:
    """Collects the bytes of one reply and unpacks them, at most `limit` before and after. Raises `Refused`."""

    def __init__(self, headers: Mapping[str, str], limit: int) -> None:
        self._limit = limit
        self._packed = 0
        self._pieces = 0
        self._bytes = bytearray()
        self._unpacker: Any = None
        self._encoding = headers.get("content-encoding", "").strip().lower()
        if self._encoding in ("gzip", "x-gzip", "deflate"):
            self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        elif self._encoding not in ("", "identity"):
            raise Refused(
                f"a reply in Content-Encoding {self._encoding[:40]!r}; asked for was {ACCEPTED}", lasting=True
            )
        with suppress(ValueError):
            if int(headers.get("content-length", "")) > limit:
                raise self._too_large()

    def feed(self, packed: bytes) -> Iterator[None]:
        """Take in what was read. Yields after every step that takes time."""
        self._packed += len(packed)
        if self._packed > self._limit:
            raise self._too_large()
        if self._unpacker is None:
            self._bytes += packed
            self._pieces += 1
            if not self._pieces % PIECES:
                yield
            return
        while packed:
            packed = self._step(packed)
            if len(self._bytes) > self._limit:
                raise self._too_large()
            yield

    def _step(self, packed: bytes) -> bytes:
        """Unpack at most `STEP` bytes; what is left to unpack."""
        if self._unpacker.eof:  # A gzip file may go on with another one.
            self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            self._bytes += self._unpacker.decompress(packed, STEP)
        except zlib.error:
            if self._encoding != "deflate" or self._bytes:
                raise Refused(f"a reply that is not valid {self._encoding}") from None
            self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)  # Some servers leave the frame of deflate out.
            self._encoding = "deflate without a frame"
            return packed
        rest: bytes = self._unpacker.unconsumed_tail or self._unpacker.unused_data
        return rest

    def end(self) -> bytearray:
        """All of it, unpacked."""
        if self._unpacker is not None and self._packed and not self._unpacker.eof:
            raise Refused(f"a reply whose {self._encoding} breaks off")
        return self._bytes

    def _too_large(self) -> Refused:
        return Refused(
            f"a reply of more than {self._limit:,} bytes; if that is right, set max_reply_bytes to more", lasting=True
        )


def read_json(body: bytes | bytearray, limit: int) -> Any:
    """The JSON in `body`. Raises `Refused` with what is wrong with it, whatever it is."""
    if not body or body.isspace():
        raise Refused("an empty body")
    holders = body.count(b"[") + body.count(b"{")
    for what, count, share in (
        ("values", body.count(b",") + holders, PER_VALUE),
        ("lists, objects and names", body.count(b'":') + holders, PER_HOLDER),
    ):
        most = max(limit // share, FEWEST)
        if count > most:
            problem = f"a reply of more than {most:,} {what}; if that is right, set max_reply_bytes to more"
            raise Refused(problem, lasting=True)
    try:
        return json.loads(body, object_pairs_hook=_each_once, parse_float=_fraction, parse_int=_whole)
    except RecursionError:
        raise Refused("JSON that is nested too deeply") from None
    except UnicodeDecodeError:
        raise Refused("text that is not UTF-8") from None
    except ValueError as error:
        raise Refused(f"something that is not JSON ({_reason(error)})") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Refused("JSON that names a key twice in one object")
    return made


def _fraction(digits: str) -> float:
    """A function in Python, so that other threads get their turn while a long list of numbers is read."""
    return float(digits)


def _whole(digits: str) -> int | float:
    """Numbers too long to be of any use, and slow to read, become infinite."""
    return int(digits) if len(digits) <= 400 else float(digits)


def _reason(error: ValueError) -> str:
    return re.sub(r"[^ -~]", "?", getattr(error, "msg", type(error).__name__))[:80]


def start(text: bytes | bytearray) -> str:
    """The beginning of a reply, for a message."""
    return text[:SHOWN].decode("utf-8", "replace")


async def aside(work: Callable[..., T], *arguments: Any) -> T:
    """`work(*arguments)` in a thread of its own: it waits for no pool, and a cancelled caller does not wait for it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if not done.done():
            done.set_result(value) if error is None else done.set_exception(error)

    def run() -> None:
        value: Any = None
        problem: BaseException | None = None
        try:
            value = work(*arguments)
        except Exception as error:
            problem = error
        with suppress(RuntimeError):  # The loop has been closed meanwhile.
            loop.call_soon_threadsafe(settle, value, problem)

    threading.Thread(target=run, name="tamis-reply", daemon=True).start()
    return await done


def no_cookies() -> CookieJar:
    """A jar that keeps nothing: what a server sets for one query is not sent with the next."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


_until: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Reads and writes of `timed` clients in this thread end after `seconds`, all of them together."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def _left(timeout: float | None) -> float | None:
    until = _until.get()
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for the whole request is over")
    return left if timeout is None else min(timeout, left)


def timed(client: Any) -> Any:
    """The sync client, with `within` in force: httpx itself limits each read alone, so that a server which sends a byte
    now and then is waited for without end."""
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = _Backend(pool._network_backend)
    return client


class _Backend:
    """httpcore's backend, whose streams know when time is over."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *rest: Any, **options: Any) -> Any:
        return _Stream(self._backend.connect_tcp(host, port, _left(timeout), *rest, **options))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


class _Stream:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), STEP):
            self._stream.write(buffer[start : start + STEP], _left(timeout))

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
