"""What the user sees while the build runs, and the log of everything else.

Every long command runs here, in a process group of its own that ends when we end.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


def duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


@dataclass
class Console:
    """Steps, progress and the log. On a terminal, a step's line is rewritten in place."""

    log: Path
    verbose: bool = False
    started: float = field(default_factory=time.monotonic)
    title: str = ""
    shown: int = 0
    open_line: bool = False

    @property
    def elapsed(self) -> str:
        return duration(time.monotonic() - self.started)

    @property
    def in_place(self) -> bool:
        return sys.stdout.isatty() and not self.verbose

    def end_line(self) -> None:
        if self.open_line:
            print(flush=True)
        self.open_line = False

    def say(self, text: str) -> None:
        self.end_line()
        print(text, flush=True)

    def step(self, number: int, title: str) -> None:
        self.end_line()
        self.title, self.shown = f"[{number}/6] {title}", 0
        self.open_line = self.in_place
        print(self.title, end="" if self.in_place else "\n", flush=True)

    def percent(self, value: int) -> None:
        if value <= self.shown or (not self.in_place and value < min(100, self.shown + 20)):
            return
        self.shown = value
        line = f"{self.title} ... {value}% {self.elapsed}"
        print(f"\r\x1b[K{line}" if self.in_place else line, end="" if self.in_place else "\n")
        sys.stdout.flush()

    def run(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        on_line: Callable[[str], None] = lambda line: None,
    ) -> tuple[int, list[str]]:
        """Run a long command into the log; whatever ends us ends its whole process group."""
        lines = []
        with self.log.open("a", buffering=1, errors="replace") as log:
            log.write(f"\n$ {shlex.join(map(str, command))}\n")
            with subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            ) as child:  # fmt: skip
                try:
                    for line in child.stdout or ():
                        lines.append(line.rstrip("\n"))
                        log.write(line)
                        on_line(line)
                        if self.verbose:
                            print(line, end="", flush=True)
                    return child.wait(), lines
                finally:
                    end_group(child)


def end_group(child: subprocess.Popen[str]) -> None:
    """Ninja removes half-written objects when it is asked to end, so ask before killing."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(child.pid, number)
                child.wait(5)
