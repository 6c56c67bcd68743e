"""`EventStream`: the bytes of an answer, in whatever pieces they come, to the events in it.

Server-sent events as the standard has them, with LF or CR LF; of their fields `data` alone counts.
What the events hold is for the caller to decode.
"""

from __future__ import annotations

import msgspec

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""More without the end of an event is no event stream."""
MAX_REASON = 300


class StreamError(Exception):
    """The answer is not a whole and good stream; the message says why."""


class EventStream:
    """One answer."""

    def __init__(self) -> None:
        self.done = False
        """`[DONE]` has come: the answer is whole."""
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that these bytes complete; what follows `[DONE]` is ignored."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT_BYTES:
            raise StreamError(f"an event has more than {MAX_EVENT_BYTES} bytes")
        return [payload for line in lines if (payload := self._take(line)) is not None]

    def _take(self, line: bytes) -> bytes | None:
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
        return payload


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
