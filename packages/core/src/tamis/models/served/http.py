"""What models behind HTTP share: clients for threads and event loops, and errors that say what the server said."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Generator, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from pydantic import AfterValidator

from tamis.errors import ConfigError, ModelError, is_transient_status, needed, parse_retry_after
from tamis.models.lazy import Lazy, lock_of, once

T = TypeVar("T")
BODY_SHOWN = 200


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must start with http:// or https:// and name a host, such as http://localhost:8000/v1")
    if "@" in parts.netloc:
        raise ValueError("must not hold a password; use api_key or headers")
    return value.rstrip("/")


Url = Annotated[str, AfterValidator(_url)]
"""The address of an API, without credentials and without a slash at its end."""


class Home(NamedTuple):
    """The host a provider's key belongs to, and the environment variable that holds it by the provider's custom."""

    host: str
    variable: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: HTTP status, JSON (`None` when the body is none), text, seconds to wait before a retry."""

    status: int
    data: Any
    text: str
    retry_after: float | None = None

    @property
    def message(self) -> str:
        """What the server says went wrong. Leaves out the request that some servers send back."""
        data = self.data if isinstance(self.data, dict) else {}
        for part in (data.get("error"), data.get("detail"), data.get("message")):
            if isinstance(part, dict) and part.get("message"):
                return " ".join(str(part[key]) for key in ("message", "param", "code") if part.get(key))
            if isinstance(part, list) and all(isinstance(item, dict) for item in part):
                return "; ".join(f"{item.get('loc', '')} {item.get('msg', '')}" for item in part)
            if part and isinstance(part, str):
                return part
        return " ".join(self.text.split())


Dialogue = Generator[dict[str, Any], Reply, T]
"""Yields request bodies, receives replies, returns a `T`: written once for threads and event loops."""


class HttpModel(Lazy):
    """Base of dataclasses that POST JSON to a server. Safe to share between threads and event loops.

    Holds one `httpx.Client`, and one `httpx.AsyncClient` for each event loop, all made at first use.
    """

    base_url: str
    api_key: str | None
    api_key_env: str | None
    headers: dict[str, str] | None
    timeout: float
    max_concurrency: int

    @property
    def _home(self) -> Home | None:
        """Where the provider's own key may be sent. `None`: the protocol has no provider."""
        return None

    def _headers(self) -> dict[str, str]:
        """Headers of every request, credentials included. Their values never show in an error."""
        headers = dict(self.headers or {})
        key = self._key()
        if key and "authorization" not in map(str.lower, headers):
            headers["Authorization"] = f"Bearer {key}"
        return headers

    @property
    def _tenant(self) -> str:
        """For cache keys: a digest of the caller's own headers, which may select whose model answers."""
        if not self.headers:
            return ""
        named = sorted((name.lower(), value) for name, value in self.headers.items())
        return ":" + hashlib.blake2b(repr(named).encode(), digest_size=8).hexdigest()

    def _key(self) -> str:
        """`api_key`, else the variable `api_key_env` names, else at the provider's host the provider's own variable."""
        home = self._home
        at_home = home is not None and urlsplit(self.base_url).hostname == home.host
        variable = self.api_key_env or (home.variable if home and at_home else "")
        key = (self.api_key or os.environ.get(variable) or "").strip()
        if not key and at_home and not self.headers:
            raise ConfigError(f"{self.base_url} needs an API key: set the environment variable {variable}")
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(f"the API key (api_key or {variable}) holds characters no key has; paste it again")
        return key

    @once
    def _client(self) -> Any:
        return _httpx().Client(**self._client_options())

    @once
    def _async_clients(self) -> MutableMapping[asyncio.AbstractEventLoop, Any]:
        return WeakKeyDictionary()

    def _async_client(self) -> Any:
        loop, clients = asyncio.get_running_loop(), self._async_clients
        with lock_of(self):
            if loop not in clients:
                for ended in [other for other in clients if other.is_closed()]:
                    del clients[ended]
                clients[loop] = _httpx().AsyncClient(**self._client_options())
            return clients[loop]

    def _client_options(self) -> dict[str, Any]:
        limits = _httpx().Limits(max_connections=None, max_keepalive_connections=max(20, self.max_concurrency))
        return {"headers": self._headers(), "timeout": self.timeout, "limits": limits}

    def _hold(self, path: str, dialogue: Dialogue[T]) -> T:
        """Carry a dialogue with `{base_url}/{path}` through in this thread."""
        try:
            body = next(dialogue)
            while True:
                with self._explained():
                    response = self._client.post(f"{self.base_url}/{path}", content=encode(body), headers=JSON)
                body = dialogue.send(_reply(response))
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _ahold(self, path: str, dialogue: Dialogue[T]) -> T:
        """As `_hold`, without blocking the event loop."""
        try:
            body = next(dialogue)
            while True:
                with self._explained():
                    client = self._async_client()
                    response = await client.post(f"{self.base_url}/{path}", content=encode(body), headers=JSON)
                body = dialogue.send(_reply(response))
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _error(self, reply: Reply) -> ModelError:
        """A reply that is no answer, as an error the engine understands."""
        message = reply.message
        hopeless = "insufficient_quota" in message
        return ModelError(
            f"{self.base_url} answered HTTP {reply.status}: {self._redacted(message)[:BODY_SHOWN]}",
            retryable=is_transient_status(reply.status) and not hopeless,
            retry_after=reply.retry_after,
        )

    def _data(self, reply: Reply) -> Any:
        """The JSON of a reply with status 200. Raises for an error that hides in it."""
        error = reply.data.get("error") if isinstance(reply.data, dict) else None
        if error:
            code = error.get("code") if isinstance(error, dict) else None
            raise self._error(replace(reply, status=code if isinstance(code, int) else 500))
        return reply.data

    def _redacted(self, text: str) -> str:
        for value in self._headers().values():
            for secret in (value, value.rpartition(" ")[2]):
                if len(secret) >= 4:
                    text = text.replace(secret, "***")
        return text

    @contextmanager
    def _explained(self) -> Iterator[None]:
        httpx = _httpx()
        try:
            yield
        except httpx.TimeoutException as error:
            text = f"{self.base_url} did not answer within {self.timeout:g} s ({type(error).__name__})"
            raise ModelError(text, retryable=True) from error
        except httpx.ConnectError as error:
            text = f"cannot connect to {self.base_url}: {self._redacted(str(error))[:BODY_SHOWN]}"
            raise ModelError(f"{text}. Is the server running?", retryable=True) from error
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            problem = type(error).__name__
            raise ConfigError(f"no request can be made for {self.base_url} with these headers ({problem})") from None
        except httpx.HTTPError as error:
            text = f"the connection to {self.base_url} failed: {type(error).__name__} {self._redacted(str(error))}"
            raise ModelError(text[: 2 * BODY_SHOWN], retryable=True) from error

    def close(self) -> None:
        """Close the connections of the sync methods and drop the others; the next call opens new ones."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()
        super().close()

    async def aclose(self) -> None:
        """Close the connections of this event loop and of the sync methods."""
        client = self._async_clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()
        self.close()


JSON = {"Content-Type": "application/json"}


def encode(body: dict[str, Any]) -> bytes:
    """JSON as UTF-8; halves of characters (lone surrogates), which no server takes, become `?`."""
    return json.dumps(body, ensure_ascii=False, default=dict).encode("utf-8", "replace")


def _reply(response: Any) -> Reply:
    try:
        data = response.json()
    except ValueError:
        data = None
    return Reply(response.status_code, data, response.text, parse_retry_after(response.headers.get("retry-after")))


def _httpx() -> Any:
    return needed("httpx", "A model behind HTTP", "openai")
