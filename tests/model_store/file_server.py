"""A web server on the loopback address that has files, and the faults of real ones."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FileServer(ThreadingHTTPServer):
    """`files` by path; what was asked is in `asked`, as path and headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.breaks_after: list[int] = []
        """After so many bytes the next answers with a body break off, one after another."""
        self.statuses: list[int] = []
        """What the next answers are instead."""
        self.redirects: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        """Instead of what would be sent; empty ones are left out."""
        self.ignores_ranges = False
        self.stalls_after: int | None = None
        """After so many bytes answers stand still until `let_go` is set."""
        self.let_go = threading.Event()
        self.answers: dict[str, Any] = {}
        """JSON by path, without a query."""
        self.refusals: dict[str, tuple[int, dict[str, str]]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def ranges(self) -> list[str]:
        """Of all requests for more than a look."""
        asked = [headers.get("range", "") for _, headers in self.asked]
        return [each for each in asked if each != "bytes=0-0"]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients leave in the midst."""


@contextmanager
def file_server() -> Iterator[FileServer]:
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: tests look at `asked`."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, headers))
        if path in self.server.redirects:
            self._answer(302, b"", {"Location": self.server.redirects[path]})
        elif path in self.server.refusals:
            status, more = self.server.refusals[path]
            self._answer(status, b"{}", more)
        elif path in self.server.answers:
            body = json.dumps(self.server.answers[path]).encode()
            self._answer(200, body, {"Content-Type": "application/json"})
        elif path not in self.server.files:
            self._answer(404, b"nothing")
        elif self.server.statuses:
            self._answer(self.server.statuses.pop(0), b"sorry")
        else:
            self._send_file(self.server.files[path], headers)

    def _send_file(self, data: bytes, headers: dict[str, str]) -> None:
        tag = f'"{hashlib.sha256(data).hexdigest()[:8]}"'
        told = {"ETag": tag, "Content-Type": "application/octet-stream"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        is_same = headers.get("if-range", tag) == tag
        if wanted is None or self.server.ignores_ranges or not is_same:
            self._answer(200, data, told)
            return
        first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
        part = data[first : last + 1]
        told["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        self._answer(206, part, told)

    def _answer(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        told = {"Content-Length": str(len(body)), **(more or {})}
        if status in (200, 206):
            told |= self.server.headers
        for name, value in told.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if len(body) > 1 and status in (200, 206) and self.server.breaks_after:
            body = body[: self.server.breaks_after.pop(0)]
            self.close_connection = True
        if len(body) > 1 and self.server.stalls_after is not None:
            self.wfile.write(body[: self.server.stalls_after])
            self.server.let_go.wait(30)
            body, self.close_connection = b"", True
        self.wfile.write(body)
