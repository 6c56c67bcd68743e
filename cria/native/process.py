"""What a process asks of the kernel for itself, beyond what Python offers."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h."""
M_ARENA_MAX = -8
"""Of glibc's malloc.h."""
OOM_SCORE = 500
"""Of 1000: whom the kernel ends first when memory is short."""


def become_expendable() -> None:
    """End with the parent, leave no core file, and be the one that goes when memory is short.

    What a platform does not have is left out.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        _raise_oom_score()


def share_one_heap() -> None:
    """Let all threads, of which there are few yet, take native memory from one heap.

    glibc gives each thread one of its own, and what another thread frees in it is not used again by
    the rest: a server that compiled grammars in ten threads grew for hours. Others have no such
    heaps.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def _raise_oom_score() -> None:
    with open("/proc/self/oom_score_adj", "r+") as file:
        score = max(int(file.read()), OOM_SCORE)
        file.seek(0)
        file.write(str(score))
