"""`EngineCore`: the loop of the engine process.

Busy: never wait for messages, take what has arrived. Idle: wait for the next one. A step's
results leave in one frame, before the next step is computed.
"""

from __future__ import annotations

import logging
from typing import Protocol

from cria.engine.peers import Peers
from cria.engine.scheduler import ScheduledBatch, Scheduler
from cria.errors import NativeError
from cria.ipc.messages import StepOutput, Submit
from cria.ipc.transport import PeerGone

logger = logging.getLogger(__name__)


class Runner(Protocol):
    """What computes a batch: `ModelRunner`, or a fake in tests."""

    def run(self, batch: ScheduledBatch) -> list[int]:
        """Take the prefixes over, compute the work, return the chosen tokens in order.

        A `NativeError` means that nothing of the batch was computed; all cells of its sequences
        are lost, and the runner can go on with others.
        """


class EngineCore:
    """One scheduler, one runner, and the front processes that ask."""

    def __init__(self, scheduler: Scheduler, runner: Runner, peers: Peers) -> None:
        self._scheduler = scheduler
        self._runner = runner
        self._peers = peers

    def run_forever(self) -> None:
        """Until the server is gone."""
        try:
            while True:
                self.step()
        except PeerGone as news:
            logger.debug("the server is gone: %s", news)

    def step(self) -> None:
        """Receive, schedule, run, advance, send."""
        self._receive()
        batch = self._scheduler.schedule()
        self._compute(batch)
        self._send(bool(batch.work))

    def _receive(self) -> None:
        for message in self._peers.receive(block=self._scheduler.is_idle):
            if isinstance(message, Submit):
                self._scheduler.submit(message)
            else:
                self._scheduler.cancel(message)

    def _compute(self, batch: ScheduledBatch) -> None:
        if not batch.work:
            return
        try:
            tokens = self._runner.run(batch)
        except NativeError as error:
            logger.error("a step failed: %s", error)
            self._scheduler.fail([work.sequence for work in batch.work], str(error))
        else:
            self._scheduler.advance(batch, tokens)

    def _send(self, computed: bool) -> None:
        """Also for a step of prompts alone: its counters are news, and a sign of life."""
        outputs = self._scheduler.take_outputs()
        if outputs or computed:
            self._peers.send(StepOutput(outputs, self._scheduler.stats()))
