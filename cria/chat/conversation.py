"""`Conversation`: the messages, as a request has them and as a file keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from cria.drafts import drafted
from cria.errors import SetupError

MAX_FILE_BYTES = 32 * 1024 * 1024


class Message(msgspec.Struct):
    role: Literal["system", "user", "assistant"]
    content: str


class Conversation:
    """Questions with their answers, under a system message if there is one."""

    def __init__(self, system: str | None = None) -> None:
        self.system = system
        self.messages: list[Message] = []

    def asking(self, question: str) -> list[dict[str, Any]]:
        """What a request has as `messages`; nothing is kept yet."""
        messages = [*self._head(), *self.messages, Message("user", question)]
        return [{"role": each.role, "content": each.content} for each in messages]

    def add(self, question: str, answer: str) -> None:
        """Keep a question with what came as its answer."""
        self.messages += [Message("user", question), Message("assistant", answer)]

    def undo(self) -> str | None:
        """Forget the last question and what follows it; the question, None if there is none."""
        while self.messages:
            message = self.messages.pop()
            if message.role == "user":
                return message.content
        return None

    def clear(self) -> None:
        """Forget all but the system message."""
        self.messages = []

    def save(self, path: Path) -> None:
        """As a JSON array of messages; SetupError if it cannot be written."""
        data = msgspec.json.format(msgspec.json.encode([*self._head(), *self.messages]), indent=2)
        try:
            with drafted(path) as draft:
                draft.write_bytes(data + b"\n")
        except OSError as error:
            raise SetupError(f"Cannot write {path}: {error.strerror or error}.") from None

    def load(self, path: Path) -> None:
        """The messages of a file instead of ours; SetupError, and ours stay, if it has none."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
            messages = msgspec.json.decode(data, type=list[Message])
        except OSError as error:
            raise SetupError(f"Cannot read {path}: {error.strerror or error}.") from None
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise SetupError(f"{path} is no JSON array of messages: {error}.") from None
        has_system = bool(messages) and messages[0].role == "system"
        self.system = messages[0].content if has_system else None
        self.messages = messages[1:] if has_system else messages

    def _head(self) -> list[Message]:
        return [] if self.system is None else [Message("system", self.system)]
