"""systemd's notifications: that the server is ready, stops, and still lives.

One datagram to the socket that `$NOTIFY_SOCKET` names (sd_notify(3)); nothing without it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading


def notify(state: str) -> None:
    """Tell systemd, if it listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), address)


def start_watchdog() -> None:
    """Say twice as often as wanted that the hub goes round."""
    limit = os.environ.get("WATCHDOG_USEC", "")
    if (
        limit.isdecimal()
        and int(limit)
        and os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    ):
        seconds = int(limit) / 2e6
        threading.Thread(target=_keep_alive, args=(seconds,), name="watchdog", daemon=True).start()


def _keep_alive(seconds: float) -> None:
    pause = threading.Event()
    while True:
        notify("WATCHDOG=1")
        pause.wait(seconds)
