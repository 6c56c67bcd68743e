"""A server of the OpenAI API, in a thread, that streams what a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODELS = {"data": [{"id": "first"}, {"id": "second"}]}
DONE = b"data: [DONE]\n\n"


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def text(words: str) -> bytes:
    return event(choices=[{"index": 0, "text": words}], usage=None)


def usage(prompt_tokens: int, completion_tokens: int) -> bytes:
    numbers = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return event(choices=[], usage=numbers)


GOOD = (text("a"), text("b"), text("c"), text(""), usage(7, 5), DONE)
"""Five tokens in three pieces, and seven of the prompt."""


@dataclass
class FakeServer:
    """What it answers may be changed at any time; what it was sent is kept."""

    url: str = ""
    status: int = 200
    models: bytes = json.dumps(MODELS).encode()
    models_status: int = 200
    answer: tuple[bytes, ...] = GOOD
    fails_from: int | None = None
    """The requests from this one on are answered with a 500."""
    hold: Callable[[], object] | None = None
    """Called before the last event of a stream, which waits for it."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # the default of 5 would drop connections of a burst

    def handle_error(self, *_: object) -> None:
        """A client that has gone away is part of some tests."""


@contextmanager
def running() -> Iterator[FakeServer]:
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            fake.headers.append(dict(self.headers))
            self.reply(fake.models_status, fake.models)

        def do_POST(self) -> None:
            fake.headers.append(dict(self.headers))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fake.bodies.append(json.loads(body))
            if fake.status != 200:
                self.reply(fake.status, b'{"error": {"message": "no such luck"}}')
            elif fake.fails_from is not None and len(fake.bodies) > fake.fails_from:
                self.reply(500, b'{"error": {"message": "enough"}}')
            else:
                self.stream()

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def stream(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for index, piece in enumerate(fake.answer):
                if fake.hold is not None and index == len(fake.answer) - 1:
                    fake.hold()
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    with Server(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
