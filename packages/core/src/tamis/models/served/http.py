"""What models called by HTTP share: clients for threads and event loops, and errors that say what the server said."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from reprlib import Repr
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit
from weakref import WeakKeyDictionary

from pydantic import Field

from tamis.errors import ConfigError, ModelError, is_transient_status, needed, parse_retry_after
from tamis.models.lazy import Lazy, lock_of, once
from tamis.models.served.addresses import base_of, without_values
from tamis.models.served.wire import (
    ACCEPTED,
    LARGE,
    SHOWN,
    Body,
    Refused,
    aside,
    no_cookies,
    read_json,
    start,
    timed,
    within,
)
from tamis.parts.permissions import Need
from tamis.parts.secrets import masked

T = TypeVar("T")
BODY_SHOWN = 200


Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of an environment variable; a key put there by mistake is rarely one."""


class Home(NamedTuple):
    """The host a provider's key belongs to, and the environment variable that holds it by the provider's custom."""

    host: str
    variable: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: HTTP status, JSON (`None` when the body is none), the text's beginning, seconds to wait before
    a retry, why the body could not be read, and where the server sends the client instead."""

    status: int
    data: Any
    text: str
    retry_after: float | None = None
    problem: str = ""
    location: str = ""

    @property
    def message(self) -> str:
        """What the server says went wrong. Leaves out the request that some servers send back."""
        data = self.data if isinstance(self.data, dict) else {}
        for part in (data.get("error"), data.get("detail"), data.get("message")):
            if isinstance(part, dict) and part.get("message"):
                return " ".join(_brief(part[key]) for key in ("message", "param", "code") if part.get(key))
            if isinstance(part, list) and all(isinstance(item, dict) for item in part[:ITEMS]):
                items = [f"{_brief(item.get('loc', ''))} {_brief(item.get('msg', ''))}" for item in part[:ITEMS]]
                return "; ".join(items) + ("; ..." if len(part) > ITEMS else "")
            if part and isinstance(part, str):
                return part[:SHOWN]
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
    max_reply_bytes: int

    @property
    def _home(self) -> Home | None:
        """Where the provider's own key may be sent. `None`: the protocol has no provider."""
        return None

    def needed_permissions(self) -> Iterator[Need]:
        """What a pipeline in data must be permitted: the host, and the environment variable that holds the key."""
        yield Need("network", "base_url", self._shown)
        if not self.api_key and (variable := self._variable):
            yield Need("environment", "api_key_env", variable)

    @property
    def _shown(self) -> str:
        """The address for messages."""
        return without_values(self.base_url)

    @property
    def _at_home(self) -> bool:
        return self._home is not None and urlsplit(self.base_url).hostname == self._home.host

    @property
    def _variable(self) -> str:
        """The environment variable the key is read from."""
        return self.api_key_env or (self._home.variable if self._home and self._at_home else "")

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
        variable = self._variable
        key = (self.api_key or os.environ.get(variable) or "").strip()
        if not key and self._at_home and not self.headers:
            raise ConfigError(f"{self._shown} needs an API key: set the environment variable {variable}")
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(f"the API key (api_key or {variable}) holds characters no key has; paste it again")
        return key

    def _settle(self, path: str) -> None:
        """Take the path of the requests off an address that was pasted whole."""
        object.__setattr__(self, "base_url", base_of(self.base_url, path))

    @once
    def _client(self) -> Any:
        return timed(self._made(_httpx().Client))

    @once
    def _async_clients(self) -> MutableMapping[asyncio.AbstractEventLoop, Any]:
        return WeakKeyDictionary()

    def _async_client(self) -> Any:
        loop, clients = asyncio.get_running_loop(), self._async_clients
        with lock_of(self):
            if loop not in clients:
                for ended in [other for other in clients if other.is_closed()]:
                    del clients[ended]
                clients[loop] = self._made(_httpx().AsyncClient)
            return clients[loop]

    def _made(self, client: Callable[..., Any]) -> Any:
        limits = _httpx().Limits(max_connections=None, max_keepalive_connections=max(20, self.max_concurrency))
        headers = self._headers()
        for name, value in headers.items():
            if not (name.isascii() and value.isascii()):
                raise ConfigError(f"the header {name!r:.40} holds characters that no header can; give ASCII")
        try:
            return client(headers=headers, timeout=self.timeout, limits=limits, cookies=no_cookies())
        except Exception as error:
            raise blamed(error) from None

    def _hold(self, path: str, dialogue: Dialogue[T]) -> T:
        """Carry a dialogue with `{base_url}/{path}` through in this thread."""
        try:
            body = next(dialogue)
            while True:
                with self._explained():
                    reply = self._post(path, encode(body))
                body = self._sent(dialogue, reply)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _ahold(self, path: str, dialogue: Dialogue[T]) -> T:
        """As `_hold`, without blocking the event loop."""
        try:
            body = next(dialogue)
            while True:
                with self._explained():
                    reply = await self._apost(path, encode(body))
                body = self._sent(dialogue, reply)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _post(self, path: str, content: bytes) -> Reply:
        with (
            within(self.timeout),
            self._client.stream("POST", self._at(path), content=content, headers=JSON) as response,
        ):
            body = Body(response.headers, self.max_reply_bytes)
            for packed in response.iter_raw():
                for _ in body.feed(packed):
                    pass
            return _reply(response, *_read(body.end(), self.max_reply_bytes))

    async def _apost(self, path: str, content: bytes) -> Reply:
        client = self._async_client()
        async with (
            asyncio.timeout(self.timeout),
            client.stream("POST", self._at(path), content=content, headers=JSON) as response,
        ):
            body = Body(response.headers, self.max_reply_bytes)
            async for packed in response.aiter_raw():
                for _ in body.feed(packed):
                    await asyncio.sleep(0)
            whole = body.end()
            read = (
                _read(whole, self.max_reply_bytes)
                if len(whole) < LARGE
                else await aside(_read, whole, self.max_reply_bytes)
            )
            return _reply(response, *read)

    def _at(self, path: str) -> str:
        address, mark, query = self.base_url.partition("?")
        return f"{address}/{path}{mark}{query}"

    def _sent(self, dialogue: Dialogue[T], reply: Reply) -> dict[str, Any]:
        try:
            return dialogue.send(reply)
        except RecursionError:
            text = f"{self._shown} answered HTTP {reply.status} with JSON that is nested too deeply"
            raise ModelError(text, retryable=True, wrote=reply.status == 200) from None

    def _error(self, reply: Reply) -> ModelError:
        """A reply that is no answer, as an error the engine understands."""
        if 300 <= reply.status < 400 and reply.location:
            return ModelError(
                f"{self._shown} redirects (HTTP {reply.status}) to {self._target(reply.location)}, and redirects are "
                "not followed: texts and keys would go there. If that is the right address, give it as base_url"
            )
        message = reply.message or reply.problem
        hopeless = "insufficient_quota" in message
        read, wrote = self._counted(reply.data)
        return ModelError(
            f"{self._shown} answered HTTP {reply.status}: {self._redacted(message)[:BODY_SHOWN]}",
            retryable=is_transient_status(reply.status) and not hopeless,
            retry_after=reply.retry_after,
            tokens_in=read,
            tokens_out=wrote,
            wrote=reply.status in GAVE_UP,
        )

    def _counted(self, data: Any) -> tuple[int | None, int | None]:
        """Tokens in and out that the JSON of a reply reports."""
        return None, None

    def _unusable(self, problem: str, data: Any = None) -> ModelError:
        """The error for a reply with status 200 that is no answer: a model may have written it all the same."""
        read, wrote = self._counted(data)
        text = f"{self._shown} answered HTTP 200 with {problem}"
        return ModelError(text, retryable=True, tokens_in=read, tokens_out=wrote, wrote=True)

    def _target(self, location: str) -> str:
        """Where a redirect leads, without what might be secret in it."""
        try:
            parts = urlsplit(urljoin(self.base_url, location))
        except ValueError:
            return "an address that is none"
        return self._redacted(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")[:BODY_SHOWN]

    def _data(self, reply: Reply) -> Any:
        """The JSON of a reply with status 200. Raises where there is none, and for an error that hides in it."""
        if reply.problem:
            raise self._unusable(reply.problem)
        error = reply.data.get("error") if isinstance(reply.data, dict) else None
        if error:
            code = error.get("code") if isinstance(error, dict) else None
            failure = self._error(replace(reply, status=code if type(code) is int else 500))
            failure.wrote = not (type(code) is int and 400 <= code < 500 and code not in GAVE_UP)
            raise failure
        return reply.data

    def _redacted(self, text: str) -> str:
        values = self._headers().values()
        return masked(text[:SHOWN], [secret for value in values for secret in (value, value.rpartition(" ")[2])])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        httpx = _httpx()
        try:
            yield
        except Refused as error:
            raise ModelError(f"{self._shown} sent {error}", retryable=not error.lasting, wrote=True) from None
        except (httpx.TimeoutException, TimeoutError) as error:
            text = f"{self._shown} did not answer within {self.timeout:g} s ({type(error).__name__})"
            unsent = isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout))
            raise ModelError(text, retryable=True, wrote=not unsent) from error
        except httpx.ConnectError as error:
            text = f"cannot connect to {self._shown}: {self._redacted(str(error))[:BODY_SHOWN]}"
            raise ModelError(f"{text}. Is the server running?", retryable=True) from error
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            problem = type(error).__name__
            raise ConfigError(f"no request can be made for {self._shown} with these headers ({problem})") from None
        except httpx.HTTPError as error:
            text = f"the connection to {self._shown} failed: {type(error).__name__} {self._redacted(str(error))}"
            raise ModelError(text[: 2 * BODY_SHOWN], retryable=True, wrote=True) from error

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


GAVE_UP = frozenset({408, 504, 524})
"""Statuses of servers and gateways that waited no longer for a model, which may have written by then."""
ITEMS = 16
"""Items of a list of complaints that are read."""
BRIEF = Repr()
BRIEF.maxstring = BRIEF.maxother = BRIEF.maxlong = BODY_SHOWN
BRIEF.maxlevel = 3


def _brief(part: Any) -> str:
    """A part of a message, cut before it is written out: a server may send any amount."""
    return part[:SHOWN] if isinstance(part, str) else BRIEF.repr(part)


JSON = {"Content-Type": "application/json", "Accept-Encoding": ACCEPTED}


def encode(body: dict[str, Any]) -> bytes:
    """JSON as UTF-8; halves of characters (lone surrogates), which no server takes, become `?`."""
    return json.dumps(body, ensure_ascii=False, default=dict).encode("utf-8", "replace")


def _read(body: bytearray, limit: int) -> tuple[Any, str, str]:
    """The JSON of a body, the beginning of its text, and why it is not JSON."""
    try:
        return read_json(body, limit), start(body), ""
    except Refused as refused:
        return None, start(body), str(refused)


def _reply(response: Any, data: Any, text: str, problem: str) -> Reply:
    headers = response.headers
    waits = parse_retry_after(headers.get("retry-after"))
    return Reply(response.status_code, data, text, waits, problem, headers.get("location", ""))


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def blamed(error: Exception) -> ConfigError:
    """The error for a client that cannot be made, which names the environment variable at fault. What the variable
    holds is left out: there are passwords in addresses of proxies."""
    names = _set(CERTIFICATES) if isinstance(error, OSError) else [n for n in _set(PROXIES) if not _is_proxy(n)]
    names = names or _set(("NO_PROXY",)) or _set((*PROXIES, *CERTIFICATES))
    if not names:
        return ConfigError(f"the HTTP client cannot be made ({type(error).__name__})")
    what = "the file or folder of certificates it names" if names[0].upper() in CERTIFICATES else "what it says"
    return ConfigError(
        f"the HTTP client (httpx) does not take the environment variable {' or '.join(names)}: {what} cannot be used "
        f"({type(error).__name__}). Correct it or unset it"
    )


def _set(names: Sequence[str]) -> list[str]:
    return [spelt for name in names for spelt in (name, name.lower()) if os.environ.get(spelt)]


def _is_proxy(variable: str) -> bool:
    httpx = _httpx()
    address = os.environ[variable]
    try:
        scheme = httpx.Proxy(address if "://" in address else f"http://{address}").url.scheme
    except Exception:
        return False
    return scheme in ("http", "https") or (scheme.startswith("socks5") and find_spec("socksio") is not None)


def _httpx() -> Any:
    return needed("httpx", "A model called by HTTP", "openai")
