"""A proxy that spoils what a server says: late, slowly, in slices, or not to its end.

Threads and plain sockets, one `Toxic` for all connections. What the client says goes through
untouched; how it leaves does too, unless the toxic is a black hole.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = 16384
PATIENCE_SECONDS = 60.0
RESET = struct.pack("ii", 1, 0)
ENDS = ("", "fin", "reset", "silence")


@dataclass(frozen=True)
class Toxic:
    """What happens to an answer. All of it together is possible."""

    latency_seconds: float = 0.0
    """Before each block is passed on."""
    bytes_per_second: float = 0.0
    """0: as fast as it comes."""
    slice_bytes: int = 0
    """Pass on so many at once; 0: as they come."""
    limit_bytes: int | None = None
    """After so many of an answer, do what `end` says."""
    end: str = ""
    """`fin`: close in order, as if that were all; `reset`; `silence`: pass nothing on any more, and
    tell nobody. None: no limit."""
    half_closes: bool = False
    """Tell the server that the client has ended its half as soon as its request is through."""


class ToxicProxy:
    """Listens on `url`, and passes everything on to the server, but for what the toxic does."""

    def __init__(self, server_url: str, toxic: Toxic) -> None:
        host, port = server_url.removeprefix("http://").split(":")
        self._server = host, int(port)
        self._toxic = toxic
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self.num_connections = 0
        self.num_requests = 0
        """As far as each is sent in one piece, as clients do."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._spawn(self._accept)

    @property
    def url(self) -> str:
        """What the client is told to use."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """End all connections."""
        self._is_over.set()
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _spawn(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server, PATIENCE_SECONDS)
            except OSError:
                return
            self.num_connections += 1
            for each in (client, server):
                each.settimeout(PATIENCE_SECONDS)
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(each)
            self._spawn(self._pass_requests, client, server)
            self._spawn(self._pass_answers, server, client)

    def _pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(BLOCK):
                self.num_requests += data.count(b"HTTP/1.1\r\n")
                server.sendall(data)
                if self._toxic.half_closes:
                    server.shutdown(socket.SHUT_WR)
            if self._toxic.end != "silence":
                server.shutdown(socket.SHUT_WR)
        except OSError:
            _reset(server)

    def _pass_answers(self, server: socket.socket, client: socket.socket) -> None:
        left = self._toxic.limit_bytes
        try:
            while data := server.recv(BLOCK):
                if left is None:
                    self._tell(client, data)
                    continue
                self._tell(client, data[:left])
                left -= len(data[:left])
                if not left:
                    self._end(server, client)
                    return
            client.shutdown(socket.SHUT_WR)
        except OSError:
            # The client is gone: the server hears of it.
            _reset(server)

    def _tell(self, client: socket.socket, data: bytes) -> None:
        """With all the delays."""
        toxic = self._toxic
        size = toxic.slice_bytes or len(data) or 1
        self._is_over.wait(toxic.latency_seconds)
        for start in range(0, len(data), size):
            part = data[start : start + size]
            client.sendall(part)
            if toxic.bytes_per_second:
                self._is_over.wait(len(part) / toxic.bytes_per_second)

    def _end(self, server: socket.socket, client: socket.socket) -> None:
        """To the client as the toxic says; the server learns that nobody listens any more."""
        if self._toxic.end == "silence":
            self._is_over.wait()
            return
        if self._toxic.end == "reset":
            _reset(client)
        else:
            client.shutdown(socket.SHUT_RDWR)
        _reset(server)


def _reset(connection: socket.socket) -> None:
    """Both sides hear of it at once, also a thread that waits to read from it."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.shutdown(socket.SHUT_RD)
    connection.close()


@contextlib.contextmanager
def toxic_proxy(server_url: str, toxic: Toxic) -> Iterator[ToxicProxy]:
    """A running one."""
    proxy = ToxicProxy(server_url, toxic)
    try:
        yield proxy
    finally:
        proxy.close()
