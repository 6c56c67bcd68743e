"""A server of the OpenAI API, in a thread, whose next replies a test lays down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DONE = b"data: [DONE]\n\n"


@dataclass
class Reply:
    """A stream of pieces, or an error. `stalls`: then nothing more, until the client has gone."""

    pieces: tuple[bytes, ...] = ()
    status: int = 200
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    stalls: bool = False


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def words(text: str = "", **delta: str) -> bytes:
    return event(model="fake", choices=[{"delta": {"content": text, **delta}}])


def answer(*texts: str) -> Reply:
    usage = {"prompt_tokens": 7, "completion_tokens": len(texts)}
    end = event(choices=[{"delta": {}, "finish_reason": "stop"}])
    return Reply((*map(words, texts), end, event(choices=[], usage=usage), DONE))


def refusal(status: int, message: str, **headers: str) -> Reply:
    return Reply(status=status, message=message, headers=headers)


@dataclass
class FakeOpenAI:
    url: str = ""
    models: tuple[str, ...] = ("first", "second")
    replies: list[Reply] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    """A client has hung up in the middle of a reply that stalls."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeOpenAI

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.fake.headers.append(dict(self.headers))
        self.reply(200, json.dumps({"data": [{"id": name} for name in self.fake.models]}), {})

    def do_POST(self) -> None:
        self.fake.headers.append(dict(self.headers))
        self.fake.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        reply = self.fake.replies.pop(0)
        if reply.status != 200:
            error = json.dumps({"error": {"message": reply.message}})
            self.reply(reply.status, error, reply.headers)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in reply.pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if reply.stalls:
            self.rfile.read(1)  # until the client closes its side
            self.fake.gone.set()
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def reply(self, status: int, body: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that has gone away is part of some tests."""


@contextmanager
def running() -> Iterator[FakeOpenAI]:
    fake = FakeOpenAI()
    handler = type("FakeHandler", (Handler,), {"fake": fake})
    with Server(("127.0.0.1", 0), handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
