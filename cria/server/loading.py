"""Requests meet their models: at once if they are loaded, else after a wait.

1. A whole answer just waits. A stream waits for a second in silence, so that a failure has its
   status; then it is a 200 with comments that tell the progress, and a failure is an event.
2. A client that goes away frees its place in the line.
3. What such a late answer would have had in its headers as warnings is a comment too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import cast

from flask import Response, g, request, stream_with_context

from cria.errors import ClientGone
from cria.generation.hosted_model import Place
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation as Model
from cria.server.answers import watch_client
from cria.server.auth import check_model, current_key
from cria.server.body import warnings_header
from cria.server.errors import error_body, is_expected
from cria.server.sse import HEADERS, EventStream, frame

logger = logging.getLogger(__name__)

MODEL_QUERY = {"model": "Which model; without it, the first one."}
SILENT_SECONDS = 1.0
TELL_SECONDS = 1.0

Act = Callable[[Model], Response]
Failed = Callable[[Exception], bytes]


def failure_event(error: Exception) -> bytes:
    """OpenAI's last event of a stream that fails."""
    return frame(error_body(error))


def with_model(
    models: ModelPool,
    name: str | None,
    act: Act,
    *,
    streams: bool = False,
    failed: Failed = failure_event,
) -> Response:
    """What `act` makes of the request on the model of that name; without one, on `default_name`."""
    place = models.enter(default_name(models) if name is None else name)
    if not place.is_settled:
        with _watched(place):
            is_settled = place.wait(SILENT_SECONDS if streams else None)
        if not is_settled:
            return _told(place, act, failed)
    with _held(place):
        return act(place.take())


def asked_model() -> str | None:
    """The name in the query; ModelNotFound if the caller's key may not name it."""
    name = request.args.get("model")
    check_model(name)
    return name


def default_name(models: ModelPool) -> str:
    """The first one that the caller's key may name."""
    key = current_key()
    names = models.names()
    return next((name for name in names if key is None or key.may_use(name)), names[0])


@contextmanager
def _held(place: Place) -> Generator[None, None, None]:
    try:
        yield
    finally:
        place.leave()


@contextmanager
def _watched(place: Place) -> Generator[None, None, None]:
    """The place is freed if the client goes, or if the wait ends in another way."""
    stop_watching = watch_client(request.environ, place)
    try:
        yield
    except BaseException:
        place.leave()
        raise
    finally:
        stop_watching()


def _told(place: Place, act: Act, failed: Failed) -> Response:
    """A stream that begins before its model is loaded."""
    events = stream_with_context(_events(place, act, failed))
    stream = EventStream(cast("Generator[bytes, None, None]", events), place.leave)
    return Response(stream, headers=HEADERS, direct_passthrough=True)


def _events(place: Place, act: Act, failed: Failed) -> Generator[bytes, None, None]:
    try:
        with _watched(place):
            yield _comment(place.told())
            while not place.wait(TELL_SECONDS):
                yield _comment(place.told())
        with _held(place):
            response = act(place.take())
            if paths := g.get("cria_warnings", ()):
                yield _comment(f"x-cria-warnings: {warnings_header(paths)}")
            with closing(cast("EventStream", response.response)) as stream:
                yield from stream
    except ClientGone:
        return
    except Exception as error:
        if not is_expected(error):
            logger.exception("a stream that waited for its model failed")
        yield failed(error)


def _comment(text: str) -> bytes:
    return b": " + text.encode("ascii", "backslashreplace") + b"\n\n"
