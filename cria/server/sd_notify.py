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


def start_watchdog() -> threading.Event:
    """Say twice as often as wanted that the hub goes round, until the result is set."""
    end = threading.Event()
    limit = os.environ.get("WATCHDOG_USEC", "")
    is_for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if is_for_us and limit.isdecimal() and int(limit):
        arguments = (int(limit) / 2e6, end)
        threading.Thread(target=_say_alive, args=arguments, name="watchdog", daemon=True).start()
    return end


def _say_alive(seconds: float, end: threading.Event) -> None:
    while not end.is_set():
        notify("WATCHDOG=1")
        end.wait(seconds)
