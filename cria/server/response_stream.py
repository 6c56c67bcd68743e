"""One run as one response: what it sends while it goes on, and how it ends.

The order of a stream is `cria.api.responses.encoder`'s; a failure after its beginning is its last
event. What is kept is in the store before the last event is sent, so that a client that asks for
it at once finds it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable

from cria.api.events import Heartbeat
from cria.api.responses.encoder import ResponseEncoder
from cria.api.responses.paths import own_error
from cria.api.responses.response_object import Response
from cria.api.responses.stream_events import ErrorEvent, StreamEvent, frame
from cria.errors import ClientGone, RequestError
from cria.generation.run import Run
from cria.server.errors import UNEXPECTED, UNEXPECTED_MESSAGE, failure_of, is_expected
from cria.server.sse import PING

logger = logging.getLogger(__name__)

Keep = Callable[[Response], None]
"""Called once, with the response as it has ended."""


def stream_frames(run: Run, encoder: ResponseEncoder, keep: Keep) -> Generator[bytes, None, None]:
    """The frames of a stream; none after the client has gone."""
    yield frames(encoder.start())
    try:
        for event in run.events():
            if isinstance(event, Heartbeat):
                yield PING
            elif made := encoder.feed(event):
                yield frames(made)
        ending = encoder.finish(run.usage)
        keep(encoder.response)
    except ClientGone:
        return
    except Exception as error:
        ending = failed(encoder, error, run)
        keep_failed(keep, encoder.response)
    yield frames(ending)


def collect_response(run: Run, encoder: ResponseEncoder) -> Response:
    """Wait for the whole answer; raises what the run raises, in the words of the request."""
    encoder.start()
    try:
        for event in run.events():
            encoder.feed(event)
    except RequestError as error:
        own_error(error)
        raise
    encoder.finish(run.usage)
    return encoder.response


def failed(encoder: ResponseEncoder, error: Exception, run: Run) -> list[StreamEvent]:
    """The end of a run that could not go on."""
    if not is_expected(error):
        logger.error("response %s failed", encoder.response.id, exc_info=error)
    code = "server_error"
    if isinstance(error, RequestError):
        code = own_error(error).code or "invalid_prompt"
    message = UNEXPECTED_MESSAGE if failure_of(error) is UNEXPECTED else str(error)
    return encoder.fail(code, message, run.usage)


def keep_failed(keep: Keep, response: Response) -> None:
    """The client is told of its failure, also where the store is what has failed."""
    try:
        keep(response)
    except Exception:
        logger.exception("response %s could not be kept", response.id)


def frames(events: Iterable[StreamEvent]) -> bytes:
    """Some events as they are sent."""
    return b"".join(map(frame, events))


def failure_event(error: Exception) -> bytes:
    """The only event of a response that could not begin."""
    code = getattr(error, "code", None) or failure_of(error).code or "server_error"
    message = UNEXPECTED_MESSAGE if failure_of(error) is UNEXPECTED else str(error)
    return frame(ErrorEvent(0, code, message, getattr(error, "param", None)))
