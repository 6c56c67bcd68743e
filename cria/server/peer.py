"""What the kernel knows of the other side of a connection, and is told about it.

Everything here works on the socket itself, below TLS.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from typing import Any

TCP_ESTABLISHED = 1  # of linux/tcp_states.h; struct tcp_info begins with the state
KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds of silence, the same by macOS's name, seconds between probes, probes."""
MAX_LINGERED = 256 * 1024
"""Bytes that are taken for nothing at a connection's end."""
STREAM_BUFFER = 64 * 1024
"""Bytes of a stream that the kernel holds for a client that does not read; Linux doubles them."""


def raw(sock: Any) -> Any:
    """The socket below gevent's and below TLS; it never waits."""
    return getattr(sock, "_sock", sock)


def prepare(sock: Any) -> None:
    """Send small writes at once, and find out if the other machine is gone."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # A token is a small write; Nagle's algorithm would hold it back for the last one's ack.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def bound_buffer(sock: Any) -> None:
    """For a stream: else the kernel takes megabytes for a client that does not read them."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_BUFFER)


def reset_on_close(sock: Any) -> None:
    """Let the kernel forget what it still holds for a client that does not read."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_closed_by_peer(sock: Any) -> bool:
    """Whether the other side has ended its stream; bytes that it sent before are no end.

    A client that ends only its own half counts as gone too: the two cannot be told apart.
    """
    try:
        return not raw(sock).recv(1, socket.MSG_PEEK) or not is_established(sock)
    except BlockingIOError:
        return not is_established(sock)
    except OSError:
        return True


def is_established(sock: Any) -> bool:
    """Whether TCP has heard no end from the other side, whatever is still to be read."""
    if not hasattr(socket, "TCP_INFO") or sock.family == socket.AF_UNIX:
        return True
    state: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == TCP_ESTABLISHED


def linger(sock: Any, seconds: float) -> None:
    """End our half, and take a little more of what the client is still sending.

    Closing while bytes are unread resets the connection: the client would lose our answer.
    """
    deadline = time.monotonic() + seconds
    left = MAX_LINGERED
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while left > 0 and (pause := deadline - time.monotonic()) > 0:
            sock.settimeout(pause)
            data = sock.recv(min(left, 65536))
            if not data:
                return
            left -= len(data)
