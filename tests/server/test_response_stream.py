"""One run is one response, kept before its last event is sent."""

from __future__ import annotations

import pytest

from cria.api.events import ChoiceDelta, ChoiceFinished, Heartbeat
from cria.api.responses.encoder import ResponseEncoder
from cria.api.responses.response_object import Response
from cria.errors import ClientGone, EngineDied, EngineError, RequestError
from cria.server.response_stream import collect_response, stream_frames
from cria.server.sse import PING
from tests.fakes import HELLO, FakeRun, Script
from tests.server.responding import sse


class Streamed:
    """A whole stream."""

    def __init__(self, script: Script, failure: Exception | None = None) -> None:
        self.kept: list[Response] = []
        self.failure = failure
        encoder = ResponseEncoder(Response(id="resp_1", created_at=1, model="m"))
        run = FakeRun(script, 0)
        self.frames = list(stream_frames(run, encoder, self.keep))  # type: ignore[arg-type]
        self.events = sse(b"".join(self.frames))

    def keep(self, response: Response) -> None:
        if self.failure is not None:
            raise self.failure
        self.kept.append(response)


def test_a_stream() -> None:
    streamed = Streamed([Heartbeat(), *HELLO])
    names = [event["type"].removeprefix("response.") for event in streamed.events]
    assert names == (
        "created in_progress output_item.added content_part.added output_text.delta "
        "output_text.delta output_text.done content_part.done output_item.done completed".split()
    )
    assert PING in streamed.frames
    assert [response.status for response in streamed.kept] == ["completed"]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (EngineDied("It died."), "server_error", "It died."),
        (EngineError("It failed."), "server_error", "It failed."),
        (
            RequestError("Invalid 'response_format': no.", param="response_format", code="bad"),
            "bad",
            "Invalid 'text.format': no.",
        ),
        (RequestError("No."), "invalid_prompt", "No."),
        (ValueError("secret"), "server_error", "The server had an error while processing your "
         "request."),
    ],
)  # fmt: skip
def test_a_failure_is_the_last_event(error: Exception, code: str, message: str) -> None:
    streamed = Streamed([ChoiceDelta(0, "a"), error])
    last = streamed.events[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {"code": code, "message": message}
    assert [response.status for response in streamed.kept] == ["failed"]
    assert [event["sequence_number"] for event in streamed.events] == list(
        range(len(streamed.events))
    )


def test_a_client_that_has_gone_gets_nothing_more() -> None:
    streamed = Streamed([ChoiceDelta(0, "a"), ClientGone("gone")])
    assert streamed.events[-1]["type"] == "response.output_text.delta"
    assert streamed.kept == []


def test_what_cannot_be_kept_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    streamed = Streamed(HELLO, OSError("disk full"))
    assert streamed.events[-1]["type"] == "response.failed"
    assert "could not be kept" in caplog.text


def test_a_whole_response() -> None:
    encoder = ResponseEncoder(Response(id="resp_1", created_at=1, model="m"))
    run = FakeRun([ChoiceDelta(0, "a"), ChoiceFinished(0, "length")], 0)
    response = collect_response(run, encoder)  # type: ignore[arg-type]
    assert (response.status, len(response.output)) == ("incomplete", 1)


def test_a_failure_of_a_whole_one_is_raised_in_its_own_words() -> None:
    encoder = ResponseEncoder(Response(id="resp_1", created_at=1, model="m"))
    run = FakeRun([RequestError("Invalid 'messages'.", param="messages")], 0)
    with pytest.raises(RequestError) as caught:
        collect_response(run, encoder)  # type: ignore[arg-type]
    assert (str(caught.value), caught.value.param) == ("Invalid 'input'.", "input")
