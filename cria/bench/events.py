"""`EventStream`: the bytes of an answer, in whatever pieces they come, to the chunks in it.

Every event is decoded, with msgspec, which takes about a microsecond: less than the call that reads
it from the socket.
"""

from __future__ import annotations

from typing import Any

import msgspec

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""More without the end of an event is no event stream."""
MAX_REASON = 300


class StreamError(Exception):
    """The answer is not a whole and good stream; the message says why."""


class Choice(msgspec.Struct):
    text: str | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Chunk(msgspec.Struct):
    """One event; of everything else in it nothing is read."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None

    @property
    def has_text(self) -> bool:
        return any(choice.text for choice in self.choices)


_decode = msgspec.json.Decoder(Chunk).decode


class EventStream:
    """Server-sent events as the standard has them: lines end with LF or CR LF."""

    def __init__(self) -> None:
        self.done = False
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete; what follows `[DONE]` is ignored."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT_BYTES:
            raise StreamError(f"an event has more than {MAX_EVENT_BYTES} bytes")
        return [chunk for line in lines if (chunk := self._take(line)) is not None]

    def _take(self, line: bytes) -> Chunk | None:
        """A blank line ends an event; other fields than `data`, and comments, mean nothing here."""
        if line.startswith(b"data:"):
            self._data.append(line[5:].strip())
            return None
        if self.done or not self._data or line not in (b"", b"\r"):
            return None
        payload, self._data = b"\n".join(self._data), []
        if payload == b"[DONE]":
            self.done = True
            return None
        return parse_chunk(payload)


def parse_chunk(payload: bytes) -> Chunk:
    """StreamError if it reports an error, or is not what a stream consists of."""
    try:
        chunk = _decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise StreamError(f"an event cannot be read ({error}): {shown(payload)}") from None
    if chunk.error is not None:
        raise StreamError(error_message(payload))
    return chunk


def error_message(body: bytes) -> str:
    """The sentence in an error object, whichever of the usual forms it has; else the body."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return shown(body)
    if isinstance(found, dict):
        found = found.get("error") or found.get("detail") or found.get("message") or found
    if isinstance(found, dict):
        found = found.get("message") or found
    return shown(str(found).encode())


def shown(data: bytes) -> str:
    """For a message: one line of bounded length."""
    text = " ".join(data[: 4 * MAX_REASON].decode("utf-8", "replace").split())
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text[:MAX_REASON] + "..." if len(text) > MAX_REASON else text
