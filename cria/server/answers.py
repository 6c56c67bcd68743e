"""From a run of the generation to a Flask response, streamed or whole.

1. While a run is open, a client that hangs up cancels it; `watch_client` is where the two meet.
2. Every path out of here ends the watch and the run, also a stream that nobody ever read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol

from flask import Response

from cria import __version__
from cria.api.events import (
    CallDelta,
    CallStarted,
    ChoiceDelta,
    ChoiceFinished,
    Heartbeat,
    ReasoningDelta,
)
from cria.api.generation_request import GenerationRequest
from cria.api.head import Call, Choice, ResponseHead
from cria.api.logprobs import ScoredToken
from cria.generation.pipeline import Generation
from cria.generation.run import Run
from cria.server.body import add_warnings
from cria.server.sse import HEADERS, ChunkEncoder, EventStream, stream_events

JSON = "application/json"
SYSTEM_FINGERPRINT = f"cria-{__version__}"

StopWatching = Callable[[], None]


class Cancellable(Protocol):
    """A run of any kind."""

    def cancel(self) -> None: ...


class Streamed(Cancellable, Protocol):
    """One whose events are sent as they come."""

    def wait_begun(self) -> None: ...


def json_response(body: bytes, status: int = 200) -> Response:
    """An answer whose JSON is already encoded."""
    return Response(body, status=status, content_type=JSON)


def head_of(run: Run) -> ResponseHead:
    """The members that all objects of one answer share."""
    return ResponseHead(
        id=run.id,
        created=run.created,
        model=run.model,
        system_fingerprint=SYSTEM_FINGERPRINT,
        service_tier=run.service_tier,
    )


class Form(NamedTuple):
    """How the answers of a route look."""

    chunks: Callable[..., ChunkEncoder]
    """The encoder of a stream, of its head, whether it ends with usage, and what that is so far."""
    encode: Callable[..., bytes]
    """The body of a whole one, of its head, its choices, its usage and its extras."""
    shows_thinking: bool = True
    """If not, its tokens are not shown either."""


def respond(
    generation: Generation,
    run: Run,
    wanted: GenerationRequest,
    form: Form,
    environ: Mapping[str, Any],
) -> Response:
    """The answer of a run, as the request wants it: streamed or whole."""
    add_warnings(run.warnings)
    if wanted.streams:
        usage_so_far = (lambda: run.usage) if wanted.continuous_usage else None
        chunks = form.chunks(head_of(run), wanted.include_usage, usage_so_far)
        return stream_response(run, chunks, wanted.include_usage, environ)
    collected = collect(run, environ, shows_thinking=form.shows_thinking)
    choices = wanted.answered(collected)
    # What shows tokens takes so long to encode that others must not wait for it.
    encode = partial(generation.offload, form.encode) if run.shows_tokens else form.encode
    return json_response(encode(head_of(run), choices, run.usage, run.extras))


def stream_response(
    run: Run, chunks: ChunkEncoder, include_usage: bool, environ: Mapping[str, Any]
) -> Response:
    """An answer that sends what the run produces as it comes."""
    return send_events(stream_events(run, chunks, include_usage), run, environ)


def send_events(
    events: Generator[bytes, None, None], run: Streamed, environ: Mapping[str, Any]
) -> Response:
    """A stream of framed events, which ends the run when the client goes away.

    A run that fails before it has begun has a status of its own: the head waits for that.
    """
    stop_watching = watch_client(environ, run)
    try:
        run.wait_begun()
    except BaseException:
        _end(run, stop_watching)
        raise
    stream = EventStream(events, partial(_end, run, stop_watching))
    # Passed through as it is: Werkzeug's own wrappers would cost every event a type check.
    return Response(stream, headers=HEADERS, direct_passthrough=True)


def collect(run: Run, environ: Mapping[str, Any], *, shows_thinking: bool = True) -> list[Choice]:
    """Wait for the whole answer; ClientGone if nobody waits for it any more."""
    parts = [_Parts(shows_thinking) for _ in range(run.num_choices)]
    with watched(run, environ):
        for event in run.events():
            if not isinstance(event, Heartbeat):
                parts[event.index].add(event)
    return [part.choice(run, index) for index, part in enumerate(parts)]


class _Parts:
    """What has come of one choice."""

    def __init__(self, shows_thinking: bool) -> None:
        self._shows_thinking = shows_thinking
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[tuple[CallStarted, list[str]]] = []
        self._tokens: list[ScoredToken] = []
        self._token_ids: list[int] = []
        self._finished = ChoiceFinished(0, "")

    def add(
        self, event: ChoiceDelta | ReasoningDelta | CallStarted | CallDelta | ChoiceFinished
    ) -> None:
        self._token_ids += event.token_ids or ()
        if isinstance(event, ChoiceFinished):
            self._finished = event
            return
        if isinstance(event, ChoiceDelta):
            self._text.append(event.text)
        elif isinstance(event, CallStarted):
            self._calls.append((event, []))
        elif isinstance(event, CallDelta):
            self._calls[-1][1].append(event.text)
        elif self._shows_thinking:
            self._reasoning.append(event.text)
        else:
            return
        self._tokens += event.tokens

    def choice(self, run: Run, index: int) -> Choice:
        return Choice(
            index,
            "".join(self._text),
            self._finished.finish_reason,
            tokens=tuple(self._tokens) if run.shows_tokens else None,
            num_echoed=run.num_echoed_tokens(index),
            token_ids=tuple(self._token_ids) if run.returns_token_ids else None,
            prompt_token_ids=run.prompt_token_ids(index),
            reasoning="".join(self._reasoning),
            calls=tuple(
                Call(call.call_id, call.name, "".join(texts), call.kind)
                for call, texts in self._calls
            ),
            stop_string=self._finished.stop_string,
        )


@contextmanager
def watched(run: Cancellable, environ: Mapping[str, Any]) -> Generator[None, None, None]:
    """Cancel the run if the client goes away, and what is left of it when the block ends."""
    stop_watching = watch_client(environ, run)
    try:
        yield
    finally:
        _end(run, stop_watching)


def watch_client(environ: Mapping[str, Any], run: Cancellable) -> StopWatching:
    """Ask `server.http` to watch the connection; under another WSGI server nobody watches."""
    on_disconnect = environ.get("cria.on_disconnect")
    if on_disconnect is None:
        return lambda: None
    stop_watching: StopWatching = on_disconnect(run.cancel)
    return stop_watching


def _end(run: Cancellable, stop_watching: StopWatching) -> None:
    stop_watching()
    run.cancel()
