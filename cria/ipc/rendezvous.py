"""`Rendezvous`: where further front processes find the engine.

A listening Unix socket in a folder that only its owner may enter. The main process makes it and
keeps it while engines come and go, so that a front process may connect at any time: the next
engine accepts it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile

from cria.errors import SetupError
from cria.ipc.transport import Transport

BACKLOG = 128
"""Front processes that connect while no engine accepts; there are fewer."""


class Rendezvous:
    """The listening socket, which an engine inherits, and its address, for front processes."""

    def __init__(self) -> None:
        try:
            self.address = os.path.join(tempfile.mkdtemp(prefix="cria-"), "engine")
        except OSError as error:
            raise _failure(error) from error
        self.listener = socket.socket(socket.AF_UNIX)
        try:
            self.listener.bind(self.address)
            self.listener.listen(BACKLOG)
        except OSError as error:  # such as a path that is too long for a socket
            self.close()
            raise _failure(error) from error

    def leave_note(self, note: bytes) -> None:
        """For the front processes, in place of the last one: how an engine ended."""
        path = _note_path(self.address)
        with contextlib.suppress(OSError):  # such as a full disk; they can do without
            with open(f"{path}.new", "wb") as file:
                file.write(note)
            os.replace(f"{path}.new", path)

    def close(self) -> None:
        """Close it and leave nothing behind."""
        self.listener.close()
        remove(self.address)


def connect(address: str) -> Transport:
    """A connection to the engine that is there, or to the next one; OSError without a listener."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return Transport(connection)


def read_note(address: str) -> bytes:
    """The last note; empty if there is none."""
    try:
        with open(_note_path(address), "rb") as file:
            return file.read()
    except OSError:
        return b""


def remove(address: str) -> None:
    """Socket, note and folder, if they are still there."""
    for path in (address, _note_path(address), f"{_note_path(address)}.new"):
        with contextlib.suppress(OSError):
            os.unlink(path)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(address))


def _note_path(address: str) -> str:
    return os.path.join(os.path.dirname(address), "note")


def _failure(error: OSError) -> SetupError:
    return SetupError(
        f"Cannot make a socket for the workers in {tempfile.gettempdir()} ({error}); "
        "TMPDIR names another folder."
    )
