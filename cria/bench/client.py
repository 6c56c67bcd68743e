"""One streamed completion, with the time of everything that arrives.

Written for little work a token, because the server often runs on the same machine. A connection
is made for each request: none can then fail because the server has just closed an idle one.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable

from cria.bench.connection import connect, path_of
from cria.bench.events import ChunkStream
from cria.bench.messages import Job, Trace
from cria.client.event_stream import StreamError, error_message

READ_BYTES = 64 * 1024
MAX_ERROR_BYTES = 64 * 1024


def request(job: Job, body: str, zero: float, on_text: Callable[[], object] | None = None) -> Trace:
    """Send and read to the end; a failure is part of the trace, not an exception.

    `zero` is the start of the run (`time.monotonic`); `on_text` is called at the first text.
    """
    trace = Trace(start=time.monotonic() - zero, arrivals=[])
    try:
        _exchange(job, body, zero, trace, on_text)
    except (OSError, http.client.HTTPException, ValueError, StreamError) as error:
        trace.error = _reason(error, job)
    trace.end = time.monotonic() - zero
    if not trace.counted:
        trace.generated_tokens = len(trace.arrivals)
    return trace


def _exchange(
    job: Job, body: str, zero: float, trace: Trace, on_text: Callable[[], object] | None
) -> None:
    connection = connect(job.url, job.timeout)
    try:
        headers = {"Content-Type": "application/json", **job.headers}
        connection.request("POST", path_of(job.url, "/v1/completions"), body.encode(), headers)
        response = connection.getresponse()
        if response.status != 200:
            reason = error_message(response.read(MAX_ERROR_BYTES))
            raise StreamError(f"HTTP {response.status}: {reason}")
        _read(response, zero, trace, job.timeout, on_text)
    finally:
        connection.close()


def _read(
    response: http.client.HTTPResponse,
    zero: float,
    trace: Trace,
    timeout: float,
    on_text: Callable[[], object] | None,
) -> None:
    """Read until `[DONE]`; a stream that ends before is not whole."""
    stream = ChunkStream()
    while not stream.done:
        data = response.read1(READ_BYTES)
        now = time.monotonic() - zero
        if not data:
            raise StreamError("the stream ended without [DONE]")
        if now - trace.start > timeout:
            raise TimeoutError
        for chunk in stream.feed(data):
            if chunk.has_text:
                if on_text is not None and not trace.arrivals:
                    on_text()
                trace.arrivals.append(now)
            if chunk.usage is not None:
                trace.prompt_tokens = chunk.usage.prompt_tokens
                trace.generated_tokens = chunk.usage.completion_tokens
                trace.counted = True
    if not (trace.arrivals or trace.counted):
        raise StreamError("the stream ended without a token")


def _reason(error: Exception, job: Job) -> str:
    if isinstance(error, TimeoutError):
        return f"no end within {job.timeout:g} s"
    if isinstance(error, StreamError):
        return str(error)
    words = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
