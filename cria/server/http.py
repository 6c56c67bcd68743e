"""HTTP/1.1 on a socket: gevent's server, made strict and finite.

1. A head is read and checked by `request_head`, a body by `request_body`: any doubt about where a
   request ends is a 400 and the end of the connection. `Upgrade` is never honoured.
2. Waiting is finite: for a request, its head, its body, and for a client to take what is written.
3. More than `max_connections` are refused with a 503; before that, the connection that has been
   idle longest ends. Without file descriptors, connections are closed as soon as they come.
4. A client that hangs up is noticed also while nothing is written to it (`cria.on_disconnect`).
5. One log line per request, at its end; a client that resets is no event worth a traceback.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote

import gevent
from gevent import monkey, pywsgi
from gevent.pool import Pool

from cria.server.draining import Connections
from cria.server.errors import CLIENT_CLOSED_REQUEST, UNEXPECTED_MESSAGE
from cria.server.peer import (
    bound_buffer,
    is_closed_by_peer,
    linger,
    prepare,
    reset_on_close,
)
from cria.server.raw_answer import printable, raw_error
from cria.server.request_body import RequestBody
from cria.server.request_head import BadHead, RequestHead, parse_head
from cria.server.socket_reader import SocketReader

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("cria.access")

POLL_SECONDS = 0.5
READ = 1  # of libev
LINGER_SECONDS = 1.0
"""For a client to read its answer, and for an unread body to come, before the connection ends."""
IDLE_GRACE_SECONDS = 1.0
"""A connection that has been idle for less does not have to make room."""
MAX_REFUSALS = 100
"""Refused connections that are given the time to read why."""
OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
WARN_SECONDS = 10.0
HOP_HEADERS = frozenset({"upgrade", "http2-settings"})
UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
close_now = monkey.get_original("os", "close")
"""gevent's own waits until the loop has come round."""
TOO_MANY = "All connections of this server are in use."


class Limits(NamedTuple):
    """Seconds, and connections of one process; see `ServerConfig`."""

    header_timeout: float
    body_timeout: float
    idle_timeout: float
    write_timeout: float
    max_connections: int


class ClientWatch:
    """Sees that a client hangs up while nothing is read from it, and calls `on_gone` then, once.

    It ends at once when it is told to. A greenlet that waits would end a moment later, perhaps
    after the connection was closed: and libev ends the process when it is to watch what is closed.
    """

    def __init__(self, sock: Any, on_gone: Callable[[], None]) -> None:
        loop = gevent.get_hub().loop
        self._socket = sock
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
    """One connection: its requests one after another."""

    client_gone = False
    requests_begun = 0
    head: RequestHead
    server: BoundedServer
    wsgi_input: Any
    """A RequestBody."""
    rfile: Any
    """A SocketReader."""
    response_headers: Any
    client_address: Any
    code: Any

    def __init__(self, sock: Any, address: Any, server: BoundedServer) -> None:
        super().__init__(sock, address, server, SocketReader(sock))  # type: ignore[call-arg]
        self.limits = server.limits

    def handle(self) -> None:
        try:
            prepare(self.socket)
            self.socket.settimeout(self.limits.write_timeout)
            while self._serve_one():
                if self.rfile.has_bytes:
                    gevent.sleep(0)  # who sends many requests at once is not alone
        except OSError as error:
            logger.debug("connection from %s ended: %s", self.client_address, error)

    def _serve_one(self) -> bool:
        """Whether another request may follow."""
        self.command = self.path = self.code = None
        self.response_length = 0
        try:
            head = self._read_head()
        except BadHead as refusal:
            self._refuse(refusal)
            return False
        if head is None:
            return False
        self._accept(head)
        self.environ = self.get_environ()
        self.application = self.server.application
        self.handle_one_response()
        if not self.close_connection:
            return bool(self.wsgi_input.skip(LINGER_SECONDS))
        if not self.wsgi_input.is_complete:
            linger(self.socket, LINGER_SECONDS)
        return False

    def _read_head(self) -> RequestHead | None:
        with self.server.connections.idle(self.socket, is_fresh=not self.requests_begun):
            begun = self.rfile.wait(self.limits.idle_timeout)
        self.requests_begun += 1
        self.time_start = time.time()
        try:
            data = self.rfile.read_head(self.limits.header_timeout) if begun else None
        except TimeoutError:
            raise BadHead(408, "The request's headers came too slowly.") from None
        return None if data is None else parse_head(data)

    def _accept(self, head: RequestHead) -> None:
        self.head = head
        self.command, self.path, self.request_version, _ = head.line
        self.close_connection = not head.keep_alive
        self.client_gone = False

    def _refuse(self, refusal: BadHead) -> None:
        """Answer what is no request, and let the client read that."""
        logger.debug("bad request from %s: %s", self.client_address, refusal)
        if refusal.line:
            self.command, self.path = refusal.line.method, refusal.line.target
        self.code = refusal.status
        self.time_finish = time.time()
        self.log_request()
        self.socket.sendall(raw_error(refusal.status, str(refusal)))
        linger(self.socket, LINGER_SECONDS)

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = self.server.get_environ()
        path, _, query = self.head.line.target.partition("?")
        environ.update(
            REQUEST_METHOD=self.head.line.method,
            SCRIPT_NAME="",
            PATH_INFO=unquote(path, "latin-1"),
            QUERY_STRING=query,
            SERVER_PROTOCOL=self.head.line.version,
        )
        if isinstance(self.client_address, tuple):
            environ["REMOTE_ADDR"] = str(self.client_address[0])
            environ["REMOTE_PORT"] = str(self.client_address[1])
        add_headers(environ, self.head)
        self.wsgi_input = RequestBody(
            self.rfile, self.head, self.limits.body_timeout, self._send_continue
        )
        environ["wsgi.input"] = self.wsgi_input
        environ["wsgi.input_terminated"] = True
        environ["cria.on_disconnect"] = self.on_disconnect
        return environ

    def _send_continue(self) -> None:
        self.socket.sendall(CONTINUE)

    def finalize_headers(self) -> None:
        super().finalize_headers()
        if self.code in (408, 413) or not self.wsgi_input.can_be_skipped:
            self.close_connection = True
        names = {name.lower() for name, _ in self.response_headers}
        if self.close_connection and b"connection" not in names:
            self.response_headers.append((b"Connection", b"close"))
        if self.command == "HEAD":
            self.response_use_chunked = False
        elif self.response_use_chunked:
            bound_buffer(self.socket)

    def _write(self, data: bytes) -> None:
        if self.command != "HEAD":
            super()._write(data)  # type: ignore[misc]

    def handle_one_response(self) -> None:
        super().handle_one_response()
        if self.client_gone or self.server.connections.is_closing:
            self.close_connection = True

    def _sendall(self, data: bytes) -> None:
        """One system call for an event; every further one has the whole time limit again."""
        try:
            sent = self.socket.send(data)
            while sent < len(data):
                data = memoryview(data)[sent:]  # type: ignore[assignment]
                self.response_length += sent
                sent = self.socket.send(data)
        except OSError as error:
            self.code = -abs(self.code or 0)
            if isinstance(error, TimeoutError):
                reset_on_close(self.socket)
            raise
        self.response_length += sent

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

    def _send_error_response_if_possible(self, error_code: int) -> None:
        self.close_connection = True
        if not self.response_length:
            self.code = error_code
            self.socket.sendall(raw_error(error_code, UNEXPECTED_MESSAGE))

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


class BoundedServer(pywsgi.WSGIServer):
    """gevent's server around our handler, with at most `limits.max_connections`."""

    pool: Any
    socket: Any

    def __init__(self, listener: Any, application: Any, *, limits: Limits, **settings: Any) -> None:
        self.limits = limits
        self.connections = Connections()
        self._refusals = Pool(MAX_REFUSALS)
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY)
        self._warned = -WARN_SECONDS
        super().__init__(
            listener,
            application,
            handler_class=Handler,
            spawn=Pool(),  # a pool, because without one `stop` stops nothing
            log=None,
            error_log=logger,
            **settings,
        )

    def do_read(self) -> Any:
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            self._accept_and_close(error)
            return None

    def do_handle(self, *args: Any) -> None:
        sock = args[0]
        if len(self.pool) >= self.limits.max_connections and not self._make_room():
            self._warn("more than %d connections are refused", self.limits.max_connections)
            self._refuse(sock)
            return
        super().do_handle(*args)

    def _make_room(self) -> bool:
        return self.connections.end_oldest(IDLE_GRACE_SECONDS)

    def _refuse(self, sock: Any) -> None:
        if self._refusals.full() or self.ssl_enabled:
            sock.close()
        else:
            self._refusals.spawn(refuse_connection, sock)

    def _accept_and_close(self, error: OSError) -> None:
        """Without a descriptor to accept with, a kept one lets us at least say no."""
        self._warn("connections are refused: %s", error.strerror)
        self._make_room()
        spare, self._spare = self._spare, None
        try:
            if spare is not None:
                close_now(spare)
            close_now(self.socket._accept()[0])
        except OSError:
            self._pause()
        finally:
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY)

    def _pause(self) -> None:
        logger.debug("accepting is paused")
        self.stop_accepting()
        self._timer = self.loop.timer(self.max_delay)
        self._timer.start(self.start_accepting)

    def _warn(self, text: str, *args: Any) -> None:
        """A line now and then: there may be thousands a second."""
        if time.monotonic() - self._warned >= WARN_SECONDS:
            self._warned = time.monotonic()
            logger.warning(text, *args)


def add_headers(environ: dict[str, Any], head: RequestHead) -> None:
    """As WSGI names them; what is about this connection alone is left out.

    Names with an underscore are too, as they would look like those with a hyphen.
    """
    for name, value in head.headers:
        if "_" in name or name in HOP_HEADERS:
            continue
        key = UNPREFIXED.get(name) or "HTTP_" + name.upper().replace("-", "_")
        if key in environ and name not in UNPREFIXED:
            value = environ[key] + ("; " if name == "cookie" else ",") + value
        environ[key] = value
    if head.line.host is not None:
        environ["HTTP_HOST"] = head.line.host


def refuse_connection(sock: Any) -> None:
    """One connection too many: say so, and end it."""
    answer = raw_error(503, TOO_MANY, code="too_many_connections", retry_after=1)
    with sock, suppress(OSError):
        sock.settimeout(LINGER_SECONDS)
        sock.sendall(answer)
        linger(sock, LINGER_SECONDS)
