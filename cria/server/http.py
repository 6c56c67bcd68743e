"""HTTP/1.1 on a socket: what gevent's own handler leaves open.

1. A client that hangs up is noticed also while nothing is written to it (`cria.on_disconnect`).
2. Any doubt about where a request ends is a 400 and the end of the connection.
3. `Upgrade` is never honoured: gevent would hand over the raw socket, and Flask wait for ever.
4. A body that nobody read is skipped within limits of bytes and time, or the connection ends.
5. One log line per request, at its end; a client that resets is no event worth a traceback.
"""

from __future__ import annotations

import logging
import re
import socket
import uuid
from collections.abc import Callable
from typing import Any

import gevent
from gevent import pywsgi

from cria.api.errors import encode_error
from cria.server.errors import CLIENT_CLOSED_REQUEST, INVALID_REQUEST, UNEXPECTED_MESSAGE
from cria.server.headers import VERSION_HEADER

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("cria.access")

POLL_SECONDS = 0.5
READ = 1  # of libev
TCP_ESTABLISHED = 1  # of linux/tcp_states.h; struct tcp_info begins with the state
IO_TIMEOUT_SECONDS = 75
"""For one read or write, so also for an idle connection; nginx's keepalive_timeout."""
MAX_SKIPPED_BYTES = 64 * 1024 * 1024
MAX_SKIP_SECONDS = 2.0
MAX_LOGGED_PATH = 200
HOP_HEADERS = ("Upgrade", "HTTP2-Settings")

_DIGITS = re.compile(r"[0-9]{1,18}")


class BadRequest(ValueError):
    """A request whose end is in doubt; gevent answers a ValueError with a 400."""


class RequestBody(pywsgi.Input):
    """gevent's input stream, which skips at most so much of what the application left unread."""

    skipped_all = True
    _chunked_input_error: bool

    def _discard(self) -> None:
        self.skipped_all = False
        if not self._chunked_input_error:
            self.skipped_all = gevent.with_timeout(
                MAX_SKIP_SECONDS, self._skip, MAX_SKIPPED_BYTES, timeout_value=False
            )

    def _skip(self, num_bytes: int) -> bool:
        """Whether the end was reached; a client that waits for `100 Continue` gets none."""
        self.send_100_continue_enabled = False
        while num_bytes > 0:
            data = self.read(65536)
            if not data:
                return True
            num_bytes -= len(data)
        return False


class ClientWatch:
    """Sees that a client hangs up while nothing is read from it, and calls `on_gone` then, once.

    It ends at once when it is told to. A greenlet that waits would end a moment later, perhaps
    after the connection was closed: and libev ends the process when it is to watch what is closed.
    """

    def __init__(self, sock: Any, on_gone: Callable[[], None]) -> None:
        loop = gevent.get_hub().loop
        self._socket = sock._sock  # gevent's own would wait, which nothing in the loop may
        self._on_gone = on_gone
        self._readable = loop.io(sock.fileno(), READ)
        self._pause = loop.timer(POLL_SECONDS)
        self._readable.start(self._look)

    def stop(self) -> None:
        """Watch no more."""
        for watcher in (self._readable, self._pause):
            watcher.stop()
            watcher.close()

    def _look(self) -> None:
        self._readable.stop()
        if is_closed_by_peer(self._socket):
            gevent.spawn(self._on_gone)  # the loop itself must not wait for what that does
        else:
            # A client that has sent more stays readable, so that only asking again tells.
            self._pause.start(self._readable.start, self._look)


class Handler(pywsgi.WSGIHandler):
    """One connection: its requests one after another, as gevent's handler reads them."""

    client_gone = False
    requests_begun = 0
    server: Any
    """gevent's, with `connections`."""
    wsgi_input: RequestBody

    def handle(self) -> None:
        self.socket.settimeout(IO_TIMEOUT_SECONDS)
        if self.socket.family in (socket.AF_INET, socket.AF_INET6):
            # A token is a small write; Nagle's algorithm would hold it back for the last one's ack.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            super().handle()
        except OSError as error:
            logger.debug("connection from %s ended: %s", self.client_address, error)

    def read_requestline(self) -> Any:
        with self.server.connections.idle(self.socket, is_fresh=not self.requests_begun):
            line = super().read_requestline()
        self.requests_begun += 1
        return line

    def MessageClass(self, *args: Any) -> Any:  # noqa: N802 (gevent's name)
        headers = super().MessageClass(*args)
        refuse_doubtful_length(headers)
        return headers

    def handle_one_request(self) -> Any:
        self.command = self.path = self.code = None
        result = super().handle_one_request()
        if isinstance(result, tuple) and result[0] == "414":
            return "414", raw_error(414, "URI Too Long", "The request line is too long.")
        return result

    def read_request(self, raw_requestline: str) -> Any:
        accepted = super().read_request(raw_requestline)
        tokens = connection_tokens(self.headers)
        self.close_connection = self.close_connection or "close" in tokens
        for name in HOP_HEADERS:
            del self.headers[name]
        if "upgrade" in tokens:
            del self.headers["Connection"]
        return accepted

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        self.client_gone = False
        given: pywsgi.Input = self.wsgi_input
        self.wsgi_input = RequestBody(
            given.rfile, given.content_length, given.socket, given.chunked_input
        )
        environ["wsgi.input"] = self.wsgi_input
        environ["cria.on_disconnect"] = self.on_disconnect
        return environ

    def handle_one_response(self) -> None:
        super().handle_one_response()
        is_closing = self.server.connections.is_closing
        if is_closing or self.client_gone or not self.wsgi_input.skipped_all:
            self.close_connection = True

    def _sendall(self, data: bytes) -> None:
        """One system call for an event; gevent's own method asks for the buffer's size first."""
        try:
            sent = self.socket.send(data)
            if sent < len(data):
                self.socket.sendall(data[sent:])
        except OSError:
            self.code = -abs(self.code or 0)
            raise
        self.response_length += len(data)

    def on_disconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back once if the client hangs up; the result ends the watch."""

        def note() -> None:
            self.client_gone = True
            callback()

        return ClientWatch(self.socket, note).stop

    def log_request(self) -> None:
        access_logger.info(
            "%s %s %s %.1f ms",
            printable(self.command or "-"),
            printable((self.path or "-").partition("?")[0]),
            self._logged_status(),
            (self.time_finish - self.time_start) * 1000,
        )

    def _logged_status(self) -> str:
        """gevent makes the code negative when a write failed."""
        if self.client_gone or (self.code or 0) < 0:
            return str(CLIENT_CLOSED_REQUEST)
        return str(self.code or self.status or "-")

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        logger.debug("bad request from %s: %s", self.client_address, printable(str(ex)))
        message = str(ex) if isinstance(ex, BadRequest) else "This is not a valid HTTP request."
        return "400", raw_error(400, "Bad Request", message)

    def _send_error_response_if_possible(self, error_code: int) -> None:
        self.close_connection = True
        if not self.response_length:
            self.code = error_code
            self.socket.sendall(raw_error(error_code, "Error", UNEXPECTED_MESSAGE))

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        if isinstance(v, OSError):
            # Unreachable, too slow to read: the connection's end, not ours.
            logger.debug("connection from %s ended: %s", self.client_address, v)
            self.close_connection = True
        else:
            super().handle_error(t, v, tb)

    def _log_error(self, t: Any, v: Any, tb: Any) -> None:
        if not issubclass(t, gevent.GreenletExit):
            logger.error("a request failed outside of the application", exc_info=(t, v, tb))


def refuse_doubtful_length(headers: Any) -> None:
    """Two readers that disagree on a request's end are how requests are smuggled past a proxy."""
    if headers.defects or headers.get_payload():
        raise BadRequest("A header line has no colon.")
    lengths = headers.get_all("Content-Length", [])
    codings = headers.get_all("Transfer-Encoding", [])
    if len(lengths) > 1 or not all(_DIGITS.fullmatch(length.strip()) for length in lengths):
        raise BadRequest("Content-Length is not one whole number.")
    if codings and [coding.strip().lower() for coding in codings] != ["chunked"]:
        raise BadRequest("The only supported Transfer-Encoding is chunked.")
    if codings and lengths:
        raise BadRequest("Content-Length and Transfer-Encoding exclude each other.")


def connection_tokens(headers: Any) -> set[str]:
    """The lower-cased words of all Connection headers."""
    words = ",".join(headers.get_all("Connection", [])).split(",")
    return {word.strip().lower() for word in words}


def is_closed_by_peer(sock: Any) -> bool:
    """Whether the other side has ended its stream; bytes that it sent before are no end.

    A client that ends only its own half counts as gone too: the two cannot be told apart.
    """
    try:
        return not sock.recv(1, socket.MSG_PEEK) or not is_established(sock)
    except BlockingIOError:
        return False
    except OSError:
        return True


def is_established(sock: Any) -> bool:
    """Whether TCP has heard no end from the other side, whatever is still to be read."""
    if not hasattr(socket, "TCP_INFO") or sock.family == socket.AF_UNIX:
        return True
    state: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == TCP_ESTABLISHED


def raw_error(status: int, reason: str, message: str) -> bytes:
    """A whole answer for what is refused before there is a request for the application."""
    kind = INVALID_REQUEST if status < 500 else "server_error"
    body = encode_error(message, kind, None, None)
    head = (
        f"HTTP/1.1 {status} {reason}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"x-request-id: req_{uuid.uuid4().hex}\r\n"
        "openai-processing-ms: 0\r\n"
        f"{': '.join(VERSION_HEADER)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


def printable(text: str) -> str:
    """A client's text for a log line: nothing that a terminal would act on, and not too long."""
    return text[:MAX_LOGGED_PATH].encode("unicode_escape").decode("ascii")
