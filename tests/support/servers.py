"""A chat server that speaks the OpenAI protocol on loopback and answers what a test tells it to."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Response:
    """An HTTP response. `body`: JSON data, or text or bytes sent as they are. `delay`: seconds before it is sent.

    `reset`: nothing is sent, the connection is reset. `pieces`: sent instead of `body`, each as it is and `pause` seconds
    after the one before; the connection is closed behind them.
    """

    status: int = 200
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    reset: bool = False
    pieces: Iterable[bytes] = ()
    pause: float = 0.0


def completion(text: Any, *, finish_reason: str = "stop", tokens: tuple[int, int] = (7, 3), **choice: Any) -> dict:
    """The JSON of a chat completion. `tokens`: in and out."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    first = {"index": 0, "message": message, "finish_reason": finish_reason, **choice}
    return {"id": "c1", "object": "chat.completion", "model": "test", "choices": [first], "usage": usage}


def first_tokens(logprobs: Mapping[str, float]) -> dict:
    """The JSON of a completion that shows these first tokens with their log-probabilities."""
    top = [{"token": token, "logprob": value, "bytes": None} for token, value in logprobs.items()]
    return completion(top[0]["token"], tokens=(7, 1), logprobs={"content": [{**top[0], "top_logprobs": top}]})


def refusal(status: int, message: str, **headers: str) -> Response:
    """An error as OpenAI-compatible servers write it. Header names take `_` for `-`."""
    body = {"error": {"message": message, "type": "invalid_request_error"}}
    return Response(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def reset(connection: socket.socket) -> None:
    """Close at once and with RST, past the files that still hold the socket."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


Answer = str | Mapping[str, Any] | Response
Script = Answer | Sequence[Answer] | Callable[[dict], Answer]


class ChatServer:
    """What a test sees of the server.

    `url` ends in `/v1`; `requests` are the JSON bodies received, `headers` and `paths` what came with them, in order;
    `most_at_once` is the greatest number of requests that were being answered at the same time.
    """

    def __init__(self, answer: Script) -> None:
        self.requests: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.most_at_once = 0
        self.stopping = threading.Event()
        self._answer = answer
        self._lock = threading.Lock()
        self._at_once = 0
        self._http = _Listener(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def respond(self, path: str, headers: dict[str, str], body: dict) -> Response:
        with self._lock:
            turn = len(self.requests)
            self.requests.append(body)
            self.headers.append(headers)
            self.paths.append(path)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            answer = self._next(turn, body)
            if isinstance(answer, str):
                answer = completion(answer)
            response = answer if isinstance(answer, Response) else Response(200, answer)
            self.stopping.wait(response.delay)
            return response
        finally:
            with self._lock:
                self._at_once -= 1

    def _next(self, turn: int, body: dict) -> Answer:
        if callable(self._answer):
            return self._answer(body)
        if isinstance(self._answer, (str, Mapping, Response)):
            return self._answer
        return self._answer[min(turn, len(self._answer) - 1)]


@contextmanager
def chat_server(answer: Script = "ok") -> Iterator[ChatServer]:
    """Serve while the block runs.

    `answer`: a text (the completion), a dict (the whole JSON), a `Response`, a list of these (one a request, the last
    for ever), or a function of the request's JSON that returns one.

    >>> with chat_server(lambda request: request["messages"][-1]["content"].upper()) as server:
    ...     model = OpenAIChat("test", base_url=server.url)
    """
    server = ChatServer(answer)
    thread = threading.Thread(target=server._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server._http.shutdown()
        server._http.server_close()
        thread.join()


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            response = server.respond(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            if response.reset:
                self.close_connection = True
                return reset(self.connection)
            if response.pieces:
                return self.drip(response)
            content = response.body if isinstance(response.body, (str, bytes)) else json.dumps(response.body)
            content = content.encode() if isinstance(content, str) else content
            try:
                self.send_response(response.status)
                self.send_header("Content-Length", str(len(content)))
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        def drip(self, response: Response) -> None:
            self.close_connection = True
            try:
                for piece in response.pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    if server.stopping.wait(response.pause):
                        return
            except OSError:
                pass

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
