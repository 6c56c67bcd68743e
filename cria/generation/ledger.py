"""`Ledger`: the numbers of `Admission` that all server processes share.

1. One process keeps them in its own memory. Several map one file without a name, which the main
   process makes and the others inherit; a lock of the file is held for some microseconds at a time.
2. What requests occupy is counted in a row of the process that answers them. A process begins with
   an empty row, so that what its predecessor left behind when it died is no more.
3. Times are of `time.monotonic`, one clock for all processes of a machine.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

NUM_CALLERS = 4096
"""Callers with limits, or with open requests, at the same time."""
NUM_TIMES = 64
"""The last sequences that ended, from which the rate is measured."""


def _layout(num_processes: int) -> np.dtype[np.void]:
    caller = np.dtype(
        [
            ("id", np.int64),
            ("requests_earned", np.float64),
            ("tokens_earned", np.float64),
            ("num_open", np.int32, num_processes),
        ],
        align=True,
    )
    return np.dtype(
        [
            ("num_ended", np.int64),
            ("times", np.float64, NUM_TIMES),
            ("num_sequences", np.int64, num_processes),
            ("num_waiting_tokens", np.int64, num_processes),
            ("callers", caller, NUM_CALLERS),
        ],
        align=True,
    )


class Ledger:
    """Everything is read and written within `with ledger.locked()`."""

    def __init__(self, num_processes: int = 1, number: int = 0, fd: int | None = None) -> None:
        """That of process `number`; `fd` is the main process's, for the others."""
        layout = _layout(num_processes)
        self._lock = threading.Lock()
        self._file = None
        self.fd = -1 if fd is None else fd
        """Of the file that others may inherit; -1 if there are no others."""
        if num_processes > 1 and fd is None:
            self._file = tempfile.TemporaryFile(prefix="cria-")
            self.fd = self._file.fileno()
            os.truncate(self.fd, layout.itemsize)
        memory = bytearray(layout.itemsize) if self.fd < 0 else mmap.mmap(self.fd, layout.itemsize)
        self._all = np.frombuffer(memory, layout)[0]
        self._number = number
        self._clear()

    def close(self) -> None:
        """No other process needs it any more; what is still given back here does no harm."""
        if self._file is not None:
            self._file.close()
            self.fd = -1

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nothing in the block may wait: other requests of this process hold the same lock."""
        with self._lock:  # the file's is for processes, not for threads
            if self.fd < 0:
                yield
                return
            fcntl.lockf(self.fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self.fd, fcntl.LOCK_UN)

    @property
    def num_sequences(self) -> int:
        """That have not ended, of all processes."""
        return int(self._all["num_sequences"].sum())

    @property
    def num_waiting_tokens(self) -> int:
        """Of sequences that have not begun, of all processes."""
        return int(self._all["num_waiting_tokens"].sum())

    def count(self, num_sequences: int, num_waiting_tokens: int) -> None:
        """More of them, or, below 0, fewer, for this process."""
        self._all["num_sequences"][self._number] += num_sequences
        self._all["num_waiting_tokens"][self._number] += num_waiting_tokens

    def note_end(self, seconds: float) -> None:
        """One sequence has ended, so long after it had begun."""
        self._all["times"][self._all["num_ended"] % NUM_TIMES] = seconds
        self._all["num_ended"] += 1

    def mean_time(self) -> float | None:
        """How many seconds the last sequences have taken; None before the first one."""
        num_known = min(int(self._all["num_ended"]), NUM_TIMES)
        return float(self._all["times"][:num_known].mean()) if num_known else None

    def find_caller(self, caller_id: int, now: float) -> int | None:
        """The row of a caller, which may be a new one; None if all are taken."""
        callers = self._all["callers"]
        if len(found := np.flatnonzero(callers["id"] == caller_id)):
            return int(found[0])
        has_time = np.maximum(callers["requests_earned"], callers["tokens_earned"]) <= now
        free = np.flatnonzero(has_time & ~callers["num_open"].any(axis=1))
        if not len(free):
            return None
        row = int(free[0])
        callers[row] = (caller_id, 0.0, 0.0, 0)
        return row

    def num_open(self, row: int) -> int:
        """Requests of a caller that have not ended, in all processes."""
        return int(self._all["callers"]["num_open"][row].sum())

    def count_open(self, row: int, number: int) -> None:
        """One more of a caller's requests, or, with -1, one fewer, for this process."""
        self._all["callers"]["num_open"][row, self._number] += number

    def earned(self, row: int) -> tuple[float, float]:
        """When a caller's requests and tokens are earned again: see `rate_limit`."""
        caller = self._all["callers"][row]
        return float(caller["requests_earned"]), float(caller["tokens_earned"])

    def set_earned(self, row: int, requests: float, tokens: float) -> None:
        """The same after something was taken."""
        self._all["callers"]["requests_earned"][row] = requests
        self._all["callers"]["tokens_earned"][row] = tokens

    def _clear(self) -> None:
        with self.locked():
            self._all["num_sequences"][self._number] = 0
            self._all["num_waiting_tokens"][self._number] = 0
            self._all["callers"]["num_open"][:, self._number] = 0


class Ledgers(NamedTuple):
    """Those of one model; None is one of its own."""

    queue: Ledger | None = None
    callers: Ledger | None = None
    """That of all models of the server; None: the same as the queue's."""


OWN_LEDGERS = Ledgers()
