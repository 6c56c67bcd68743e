"""Server-sent events: what a stream writes, and in which order.

1. One event is one `bytes` object, which the server sends as one HTTP chunk.
2. Role deltas first, then thinking, text and calls, one finish per choice, usage if asked,
   `[DONE]`.
3. The status line is long gone when something fails: the failure becomes an event with an `error`
   object, and no `[DONE]` follows, because clients take that for success.
4. Plain arguments only; no flask, no gevent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

from cria.api.events import (
    CallDelta,
    CallStarted,
    ChoiceDelta,
    ChoiceFinished,
    Event,
    ReasoningDelta,
)
from cria.api.extras import Extras
from cria.api.logprobs import ScoredToken
from cria.api.usage import Usage
from cria.errors import ClientGone
from cria.generation.run import Run
from cria.server.errors import error_body, is_expected

logger = logging.getLogger(__name__)

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}
PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"


class ChunkEncoder(Protocol):
    """The chunk objects of one route (`cria.api`): JSON bytes without framing."""

    def start(self, index: int, prompt_token_ids: Sequence[int] | None = None) -> bytes | None: ...
    def delta(
        self,
        index: int,
        text: str,
        tokens: Sequence[ScoredToken] = (),
        token_ids: Sequence[int] | None = None,
    ) -> bytes: ...
    def reasoning(self, event: ReasoningDelta) -> bytes | None: ...
    def call_started(self, event: CallStarted) -> bytes | None: ...
    def call_delta(self, event: CallDelta) -> bytes | None: ...
    def finish(
        self,
        index: int,
        finish_reason: str,
        token_ids: Sequence[int] | None = None,
        extras: Extras = ...,
    ) -> bytes: ...
    def usage(self, usage: Usage, extras: Extras = ...) -> bytes: ...


class EventStream:
    """A WSGI answer: the events, and what has to happen when the connection lets go of them.

    `close` runs also for a stream of which nothing was ever read; a generator's own `finally` would
    not.
    """

    def __init__(self, events: Generator[bytes, None, None], on_close: Callable[[], None]) -> None:
        self._events = events
        self._on_close = on_close

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def close(self) -> None:
        self._events.close()
        self._on_close()


def frame(payload: bytes) -> bytes:
    """One event; the payload is JSON, which holds no raw line break."""
    return b"data: " + payload + b"\n\n"


def stream_events(
    run: Run, chunks: ChunkEncoder, include_usage: bool
) -> Generator[bytes, None, None]:
    """All events of a run; a failure becomes the last one."""
    try:
        yield from _events(run, chunks, include_usage)
    except ClientGone:
        return
    except Exception as error:
        if not is_expected(error):
            logger.exception("stream %s failed", run.id)
        yield frame(error_body(error))


def _events(run: Run, chunks: ChunkEncoder, include_usage: bool) -> Iterator[bytes]:
    for index in range(run.num_choices):
        if (opening := chunks.start(index, run.prompt_token_ids(index))) is not None:
            yield frame(opening)
    for event in run.events():
        yield _encode(event, chunks)
    if include_usage:
        yield frame(chunks.usage(run.usage, run.extras))
    yield DONE


def _encode(event: Event, chunks: ChunkEncoder) -> bytes:
    if isinstance(event, ChoiceDelta):
        return frame(chunks.delta(event.index, event.text, event.tokens, event.token_ids))
    if isinstance(event, ChoiceFinished):
        finish = chunks.finish(event.index, event.finish_reason, event.token_ids, event.extras)
        return frame(finish)
    payload = _beside_text(event, chunks)
    # What is not told, as thinking that nobody wants to see, still keeps the connection awake.
    return PING if payload is None else frame(payload)


def _beside_text(event: Event, chunks: ChunkEncoder) -> bytes | None:
    if isinstance(event, ReasoningDelta):
        return chunks.reasoning(event)
    if isinstance(event, CallStarted):
        return chunks.call_started(event)
    if isinstance(event, CallDelta):
        return chunks.call_delta(event)
    return None
