"""A link to one engine after another, under any order of requests, cancels and deaths.

Every sink hears of exactly one end: the engine's last output, or an error. What was cancelled hears
no more. The engine's own death may leave a request waiting for the next engine, which then has to
be asked for it.
"""

from __future__ import annotations

import contextlib
import queue
import socket

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cria.errors import EngineError, EngineUnavailable
from cria.generation.death import Death
from cria.generation.engine_link import EngineLink
from cria.ipc.messages import (
    Cancel,
    Embed,
    Embedded,
    EngineStats,
    FinishReason,
    SequenceOutput,
    StepOutput,
    Submit,
)
from cria.ipc.transport import PeerGone, Transport
from cria.sampling_params import SamplingParams
from tests.generation.fake_engine import READY
from tests.generation.link_engine import LinkEngine
from tests.real_server import wait_for

News = SequenceOutput | Embedded | EngineError


class ManyConnections(EngineLink):
    """A link that is given one engine after another."""

    def __init__(self) -> None:
        super().__init__()
        self.next_engines: queue.Queue[Transport] = queue.Queue()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Empty):
                self._talk(self.next_engines.get(timeout=0.005))
                self._bury(Death("was ended by SIGKILL", is_foreign=True))


class Waiting:
    """One request, as whoever waits for it sees it."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.is_cancelled = False
        self.num_before_cancel = 0

    @property
    def num_ends(self) -> int:
        return sum(map(is_end, self.news))

    @property
    def is_over(self) -> bool:
        return self.is_cancelled or self.num_ends > 0


def is_end(news: News) -> bool:
    return not isinstance(news, SequenceOutput) or news.finish_reason is not None


class LinkMachine(RuleBasedStateMachine):
    """The test is the engine, and all who ask."""

    def __init__(self) -> None:
        super().__init__()
        self.link = ManyConnections()
        self.link.start()
        self.engine: LinkEngine | None = None
        self.heard: set[int] = set()
        """What this engine was asked for, and has not ended."""
        self.embeds: set[int] = set()
        self.waiting: dict[int, Waiting] = {}
        self.num_asked = self.told_token = 0
        self.an_engine_comes()

    @precondition(lambda self: self.engine is None)
    @rule()
    def an_engine_comes(self) -> None:
        ours, theirs = socket.socketpair()
        self.engine = LinkEngine(Transport(theirs))
        self.engine.tell(READY)
        self.link.next_engines.put(Transport(ours))
        wait_for(lambda: self.link.status.state, lambda state: state == "ready", "the engine")

    @precondition(lambda self: self.engine is not None)
    @rule(speaks_badly=st.booleans())
    def the_engine_dies(self, speaks_badly: bool) -> None:
        assert self.engine is not None
        if speaks_badly:
            self.engine.transport.send(b"\xff no message of ours")
            wait_for(lambda: self.link.status.state, lambda state: state != "ready", "the news")
        self.engine.transport.close()
        wait_for(lambda: self.link.status.state, lambda state: state != "ready", "the news")
        self.engine = None
        self.heard, self.embeds = set(), set()

    @rule(embeds=st.booleans())
    def ask(self, embeds: bool) -> None:
        waiting = Waiting()
        self.num_asked += 1  # all of them differ, so that none is suspected of another's deeds
        try:
            if embeds:
                number = self.link.embed([[self.num_asked]], waiting.news.append)
            else:
                number = self.link.submit([self.num_asked], SamplingParams(), waiting.news.append)
        except EngineUnavailable:
            assert self.engine is None, "refused although there is an engine"
            assert not waiting.news, "refused, and told something"
            return
        self.waiting[number] = waiting
        self.hear()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        waiting = self.waiting[number]
        self.link.cancel(number)
        if not waiting.is_over:
            waiting.is_cancelled, waiting.num_before_cancel = True, len(waiting.news)
        self.hear()

    @precondition(lambda self: self.heard)
    @rule(data=st.data(), is_last=st.booleans(), repeats=st.booleans())
    def the_engine_answers(self, data: st.DataObject, is_last: bool, repeats: bool) -> None:
        """With a token or with the end; an end that comes twice is heard once."""
        assert self.engine is not None
        number = data.draw(st.sampled_from(sorted(self.heard)))
        self.answer(number, is_last=is_last)
        if repeats and is_last and number not in self.heard:
            self.answer(number, is_last=True)
        self.catch_up()

    @invariant()
    def nobody_hears_of_two_ends(self) -> None:
        for number, waiting in self.waiting.items():
            assert waiting.num_ends <= 1, f"request {number}: {waiting.news}"
            assert not waiting.num_ends or is_end(waiting.news[-1]), "news after the end"
            if waiting.is_cancelled:
                assert len(waiting.news) == waiting.num_before_cancel, "news after the cancel"

    def teardown(self) -> None:
        """The last engine answers all that it hears: then nobody waits any more."""
        try:
            self.end()
        finally:
            self.link.close()
            if self.engine is not None:
                self.engine.transport.close()
        assert not self.link._thread.is_alive()

    def end(self) -> None:
        if self.engine is None:
            self.an_engine_comes()
        self.catch_up()
        for number in sorted(self.heard):
            self.answer(number, is_last=True)
        self.catch_up()
        left = [number for number, waiting in self.waiting.items() if not waiting.is_over]
        assert not left, f"nobody answers {left}"
        self.nobody_hears_of_two_ends()

    def answer(self, number: int, *, is_last: bool) -> None:
        assert self.engine is not None
        if number in self.embeds:
            self.engine.tell(Embedded(number))
        elif is_last:
            end = SequenceOutput(number, (), FinishReason.STOP, 1)
            self.engine.tell(StepOutput([end], EngineStats()))
        else:
            self.engine.tell(StepOutput([], EngineStats(), [number], [7]))
            return
        self.heard.discard(number)

    def catch_up(self) -> None:
        """The link has read all that the engine has told it, and the engine all that it was."""
        assert self.engine is not None
        self.told_token += 1
        self.engine.tell(StepOutput([], EngineStats(steps_total=self.told_token)))
        wait_for(
            lambda: self.link.status.stats.steps_total,
            lambda total: total == self.told_token,
            "the link to have read everything",
        )
        self.hear()

    def hear(self) -> None:
        """What the engine is told; a cancel ends what it is for."""
        if self.engine is None:
            return
        with contextlib.suppress(PeerGone):
            while messages := self.engine.take():
                for message in messages:
                    self.note(message)

    def note(self, message: object) -> None:
        if isinstance(message, Submit | Embed):
            assert message.request_id not in self.heard, "asked for twice"
            self.heard.add(message.request_id)
            if isinstance(message, Embed):
                self.embeds.add(message.request_id)
        elif isinstance(message, Cancel):
            self.heard.discard(message.request_id)


TestLinkMachine = LinkMachine.TestCase
TestLinkMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
