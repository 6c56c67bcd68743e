"""`Reader`: messages from a terminal, or line by line from anywhere else.

1. A line that ends with a backslash goes on in the next one; so does a block between two triple
   double quotes. Lines that come together, as pasted ones do, are one message.
2. Lines are edited and remembered by readline, in a file that only the user can read.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

PROMPT, MORE = "> ", "... "
QUOTES = '"""'
MAX_HISTORY = 1000


def _load_readline() -> ModuleType | None:
    """Not every Python has it."""
    try:
        import readline
    except ImportError:
        return None
    return readline


def history_file() -> Path:
    """In the folder that the XDG specification has for it."""
    base = os.environ.get("XDG_STATE_HOME", "")
    state = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state"
    return state / "cria" / "chat_history"


class Reader:
    """Where questions come from."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self._readline = _load_readline() if self._is_terminal else None
        if self._readline is not None:
            with suppress(OSError):
                self._load_history(self._readline, history_file())

    def close(self) -> None:
        """Write the history."""
        if self._readline is not None:
            with suppress(OSError):
                self._readline.set_history_length(MAX_HISTORY)
                self._readline.write_history_file(history_file())

    def read(self) -> str:
        """The next message; EOFError at the end, KeyboardInterrupt for a Ctrl-C."""
        line = self._line(PROMPT)
        if line.lstrip().startswith(QUOTES):
            return self._block(line.lstrip().removeprefix(QUOTES))
        lines = [line]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1].removesuffix("\\")
            lines.append(self._line(MORE))
        while not line.startswith("/") and self._more_is_there():
            lines.append(self._line(MORE))
        return "\n".join(lines)

    def _block(self, first: str) -> str:
        lines = [first]
        while not lines[-1].rstrip().endswith(QUOTES):
            lines.append(self._line(MORE))
        lines[-1] = lines[-1].rstrip().removesuffix(QUOTES)
        return "\n".join(lines).strip("\n")

    def _line(self, prompt: str) -> str:
        return input(prompt if self._is_terminal else "")

    def _more_is_there(self) -> bool:
        """Typed or pasted already, and not yet read."""
        return self._is_terminal and bool(select.select([sys.stdin], [], [], 0)[0])

    @staticmethod
    def _load_history(readline: ModuleType, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        readline.read_history_file(path)
        if "libedit" not in (readline.__doc__ or ""):
            readline.parse_and_bind("set enable-bracketed-paste on")
