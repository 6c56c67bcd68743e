"""`ChunkStream`: the bytes of an answer, in whatever pieces they come, to the chunks in it.

Every event is decoded, with msgspec, which takes about a microsecond: less than the call that reads
it from the socket.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cria.client.event_stream import EventStream, StreamError, error_message, shown


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


class ChunkStream:
    """One answer."""

    def __init__(self) -> None:
        self._events = EventStream()

    @property
    def done(self) -> bool:
        """The answer is whole."""
        return self._events.done

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete."""
        return [parse_chunk(payload) for payload in self._events.feed(data)]


def parse_chunk(payload: bytes) -> Chunk:
    """StreamError if it reports an error, or is not what a stream consists of."""
    try:
        chunk = _decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise StreamError(f"an event cannot be read ({error}): {shown(payload)}") from None
    if chunk.error is not None:
        raise StreamError(error_message(payload))
    return chunk
