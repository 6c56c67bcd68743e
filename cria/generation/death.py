"""`Death`: how an engine process ended, and whether a request can be to blame."""

from __future__ import annotations

import signal
from pathlib import Path

import msgspec

from cria.generation.child_process import describe_exit
from cria.ipc.messages import OUT_OF_MEMORY_EXIT

OUTSIDE_SIGNALS = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
MAX_LAST_WORDS = 300


class Death(msgspec.Struct, frozen=True):
    """What is known of it."""

    how: str
    """After the name of the process: `was ended by SIGABRT`."""
    code: str = "engine_crashed"
    """`out_of_memory` if that was the reason."""
    is_foreign: bool = False
    """It came from outside, or from the machine: no request is to blame."""
    last_words: str = ""
    """Of its standard error; for the operator, not for clients."""


def diagnose(exit_code: int, *, was_starved: bool, silence: float | None, words: str) -> Death:
    """From the exit code, as `subprocess` has it.

    `was_starved`: the kernel has ended processes for want of memory meanwhile. `silence` is how
    long the process gave no sign of life, in seconds, if it was killed for that.
    """
    if silence is not None:
        return Death(f"gave no sign of life for {silence:.0f} s and was ended", last_words=words)
    how = describe_exit(exit_code)
    was_starved = was_starved and exit_code == -signal.SIGKILL
    if exit_code == OUT_OF_MEMORY_EXIT or was_starved or "out of memory" in words:
        return Death("ran out of memory", "out_of_memory", is_foreign=True, last_words=words)
    if exit_code == -signal.SIGBUS:  # what was mapped is not there any more
        return Death(f"{how} (the model file was cut or replaced)", is_foreign=True)
    return Death(how, is_foreign=-exit_code in OUTSIDE_SIGNALS, last_words=words)


def count_starved() -> int:
    """How many processes the kernel has ended for want of memory, in this control group."""
    return _read_count(_control_group() / "memory.events") or _read_count(Path("/proc/vmstat"))


def _control_group() -> Path:
    try:
        line = Path("/proc/self/cgroup").read_text().splitlines()[0]
    except (OSError, IndexError):
        return Path("/sys/fs/cgroup")
    return Path("/sys/fs/cgroup") / line.rpartition(":")[2].lstrip("/")


def _read_count(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    counts = dict(line.split(" ", 1) for line in lines if " " in line)
    return int(counts.get("oom_kill", 0))


def last_words(lines: list[str]) -> str:
    """The line of a dying process's standard error that says most, cut and without controls."""
    wanted = ("GGML_ASSERT", "GGML_ABORT", "what():", "terminate called", "CUDA error")
    telling = [line for line in lines if any(word in line for word in wanted)]
    telling = telling or [line for line in lines if "rror" in line] or lines
    words = telling[-1].strip() if telling else ""
    return "".join(c if c.isprintable() else "?" for c in words)[:MAX_LAST_WORDS]
