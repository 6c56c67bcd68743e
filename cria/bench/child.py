"""A Python child process that is spoken to in lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from cria.errors import SetupError

EXIT_SECONDS = 3.0


class Child:
    """`python -m MODULE ...`, started with pipes; never forked."""

    def __init__(self, module: str, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
        )

    def send(self, line: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has died, which `receive` tells

    def receive(self) -> bytes:
        """Its next line; SetupError if it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            code = self._process.wait()
            raise SetupError(f"The process {self._module} ended with code {code}.")
        return line

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        with suppress(OSError):  # of closing a pipe with what it has never read
            with self._process:
                pass  # closes the pipes, and waits
