"""`ProcessMark`: how a process tells others, for as long as it lives, that it does.

It locks a file beside the store. The kernel lets go of the lock when the process ends, however it
does; process ids would be used again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets

_SUFFIX = ".lock"


class ProcessMark:
    """Of this process; `name` stands in the rows of what it works on."""

    def __init__(self, store_path: str) -> None:
        self._store_path = store_path
        self.name = ""
        self._clear_away()
        while True:
            self.name = secrets.token_hex(8)
            self._path = _path(store_path, self.name)
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            # Between these two lines somebody may take the file for one that is left over.
            if _lock(self._file) and os.path.exists(self._path):
                return
            os.close(self._file)

    def is_alive(self, name: str) -> bool:
        """Whether the process with this mark lives; the file of one that does not is removed."""
        if name == self.name:
            return True
        path = _path(self._store_path, name)
        try:
            file = os.open(path, os.O_RDWR)
        except OSError:
            return False
        try:
            if not _lock(file):
                return True
            with contextlib.suppress(OSError):
                os.unlink(path)
            return False
        finally:
            os.close(file)

    def _clear_away(self) -> None:
        """What processes have left that have ended."""
        folder, prefix = os.path.split(f"{self._store_path}.")
        for entry in os.listdir(folder or "."):
            if entry.startswith(prefix) and entry.endswith(_SUFFIX):
                self.is_alive(entry[len(prefix) : -len(_SUFFIX)])

    def close(self) -> None:
        """As if the process had ended."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(self._file)


def _path(store_path: str, name: str) -> str:
    return f"{store_path}.{name}{_SUFFIX}"


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
