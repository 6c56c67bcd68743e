"""A run becomes a response, and always ends with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cria.api.completions import CompletionChunks
from cria.api.events import (
    CallDelta,
    CallStarted,
    ChoiceDelta,
    ChoiceFinished,
    Heartbeat,
    ReasoningDelta,
)
from cria.api.head import Call, Choice
from cria.api.logprobs import ScoredToken
from cria.errors import ClientGone, EngineDied, QueueTimeout
from cria.server import answers
from tests.fakes import HELLO, SILENCE, FakeRun


class NeverBegins(FakeRun):
    def wait_begun(self) -> None:
        raise QueueTimeout("too long")


def test_a_stream_that_cannot_begin_has_no_head() -> None:
    run, watch = NeverBegins(HELLO, 1), Watch()
    chunks = CompletionChunks(answers.head_of(run), False)  # type: ignore[arg-type]
    with pytest.raises(QueueTimeout):
        answers.stream_response(run, chunks, False, {"cria.on_disconnect": watch})  # type: ignore[arg-type]
    assert not (run.open or watch.watching)


class Watch:
    """Stands for `environ["cria.on_disconnect"]`."""

    def __init__(self, gone: bool = False) -> None:
        self.gone = gone
        self.watching = False

    def __call__(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.watching = True
        if self.gone:
            callback()
        return self.stop

    def stop(self) -> None:
        self.watching = False


def test_collect_joins_the_text_of_each_choice() -> None:
    script = [
        ChoiceDelta(1, "x"),
        ChoiceDelta(0, "a"),
        Heartbeat(),
        ChoiceFinished(1, "length"),
        ChoiceDelta(0, "b"),
        ChoiceFinished(0, "stop"),
    ]
    assert answers.collect(FakeRun(script, 0), {}) == [
        Choice(0, "ab", "stop"),
        Choice(1, "x", "length"),
    ]


def test_collect_joins_the_token_ids_that_were_asked_for() -> None:
    script = [
        ChoiceDelta(0, "a", (), (5,)),
        ChoiceDelta(0, "b", (), (6, 7)),
        ChoiceFinished(0, "stop", (8,)),
    ]
    run = FakeRun(script, 0)
    run.returns_token_ids = True
    assert answers.collect(run, {}) == [
        Choice(0, "ab", "stop", token_ids=(5, 6, 7, 8), prompt_token_ids=[1, 2, 3])
    ]


THOUGHT, SAID = (ScoredToken(data, True, -0.5, [], 0) for data in (b"h", b"s"))
EVERYTHING = [
    ReasoningDelta(0, "h", (THOUGHT,), (1,)),
    ReasoningDelta(0, "m", (), (2,)),
    ChoiceDelta(0, "a", (SAID,), (3,)),
    CallStarted(0, 0, "call_1", "f", "function", (), (4,)),
    CallDelta(0, 0, "{", (), (5,)),
    CallDelta(0, 0, "}", (), None),
    CallStarted(0, 1, "call_2", "g", "custom"),
    CallDelta(0, 1, "text"),
    ChoiceFinished(0, "tool_calls", (6,), stop_string="x"),
]


@pytest.mark.parametrize("shows_thinking", [True, False])
def test_collect_tells_thinking_text_and_calls_apart(shows_thinking: bool) -> None:
    run = FakeRun(EVERYTHING, 0)
    run.returns_token_ids = run.shows_tokens = True
    assert answers.collect(run, {}, shows_thinking=shows_thinking) == [
        Choice(
            0,
            "a",
            "tool_calls",
            tokens=(THOUGHT, SAID) if shows_thinking else (SAID,),
            token_ids=(1, 2, 3, 4, 5, 6),
            prompt_token_ids=[1, 2, 3],
            reasoning="hm" if shows_thinking else "",
            calls=(Call("call_1", "f", "{}"), Call("call_2", "g", "text", "custom")),
            stop_string="x",
        )
    ]


def test_collect_watches_the_client_while_it_waits() -> None:
    watch = Watch()
    answers.collect(FakeRun(HELLO, 0), {"cria.on_disconnect": watch})
    assert not watch.watching


def test_collect_gives_up_when_the_client_does() -> None:
    run = FakeRun([SILENCE], 0)
    with pytest.raises(ClientGone):
        answers.collect(run, {"cria.on_disconnect": Watch(gone=True)})
    assert not run.open


def test_collect_ends_the_run_and_the_watch_when_it_fails() -> None:
    run, watch = FakeRun([EngineDied("x")], 0), Watch()
    with pytest.raises(EngineDied):
        answers.collect(run, {"cria.on_disconnect": watch})
    assert (run.open, watch.watching) == (False, False)


def test_the_head_names_the_tier_of_the_run() -> None:
    run = FakeRun(HELLO, 0)
    assert answers.head_of(run).service_tier is None
    run.service_tier = "priority"
    assert answers.head_of(run).service_tier == "priority"


def test_a_stream_ends_the_run_and_the_watch_when_it_is_closed() -> None:
    run, watch = FakeRun([SILENCE], 0), Watch()
    chunks = CompletionChunks(answers.head_of(run), False)
    response = answers.stream_response(run, chunks, False, {"cria.on_disconnect": watch})
    assert (run.open, watch.watching) == (True, True)
    response.response.close()  # type: ignore[union-attr]
    assert (run.open, watch.watching) == (False, False)


def test_a_stream_has_the_headers_that_proxies_need() -> None:
    run = FakeRun(HELLO, 0)
    chunks = CompletionChunks(answers.head_of(run), False)
    response = answers.stream_response(run, chunks, False, {})
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in response.headers
