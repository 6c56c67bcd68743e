"""From a run of the generation to an answer of the Messages API, streamed or whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import msgspec
from flask import Response

from cria.api.anthropic.answer_blocks import BlockList
from cria.api.anthropic.chat_request import Origins
from cria.api.anthropic.message import MessageHead
from cria.api.anthropic.stream import MessageStream, framed
from cria.api.events import ChoiceFinished
from cria.errors import ClientGone
from cria.generation.run import Run
from cria.server.answers import json_response, send_events, watched
from cria.server.anthropic_errors import anthropic_error
from cria.server.errors import is_expected
from cria.server.headers import current_id

logger = logging.getLogger(__name__)


def message_response(
    run: Run, head: MessageHead, origins: Origins, environ: Mapping[str, Any]
) -> Response:
    """The whole message; ClientGone if nobody waits for it any more."""
    blocks = BlockList(hides_thinking=head.hides_thinking)
    finished: ChoiceFinished | None = None
    with watched(run, environ), origins.translating():
        for event in run.events():
            blocks.add(event)
            if isinstance(event, ChoiceFinished):
                finished = event
    message = head.message(run.usage, blocks.finish(), finished)
    return json_response(msgspec.json.encode(message))


def message_stream(
    run: Run, head: MessageHead, origins: Origins, environ: Mapping[str, Any]
) -> Response:
    """The message as it is made."""
    return send_events(message_events(run, head, origins, current_id()), run, environ)


def message_events(
    run: Run, head: MessageHead, origins: Origins, request_id: str
) -> Generator[bytes, None, None]:
    """All events of a run; a failure becomes the last one."""
    try:
        with origins.translating():
            yield from _events(run, MessageStream(head))
    except ClientGone:
        return
    except Exception as error:
        if not is_expected(error):
            logger.exception("stream %s failed", run.id)
        yield failure_event(request_id)(error)


def failure_event(request_id: str) -> Callable[[Exception], bytes]:
    """The last event of a stream that fails."""
    return lambda error: framed("error", anthropic_error(error, request_id)[1])


def _events(run: Run, stream: MessageStream) -> Iterator[bytes]:
    yield stream.start(run.usage)
    for event in run.events():
        # One event of a run is one write, so that none of them waits for another.
        if isinstance(event, ChoiceFinished):
            yield b"".join(stream.finish(event, run.usage))
        elif data := b"".join(stream.feed(event)):
            yield data
