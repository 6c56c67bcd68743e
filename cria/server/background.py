"""`BackgroundRuns`: responses that are made whether their client waits or not.

1. A run is a thread of the process that took the request; its state and its events are in the
   store, where every server process finds them.
2. Any process may ask that a run ends: a watcher looks for such wishes and cancels the run.
3. What a process was working on when it died is failed by the next one that starts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from cria.answer_store.store import UNFINISHED, Answer, AnswerStore, Item
from cria.api.events import Heartbeat
from cria.api.responses.encoder import ResponseEncoder
from cria.api.responses.kept_items import stored_output
from cria.api.responses.response_object import Response, ResponseError
from cria.api.responses.stream_events import ResponseFailed, ResponseIncomplete, StreamEvent, frame
from cria.errors import ClientGone, StoreUnwritable
from cria.generation.run import Offload, Run
from cria.server.response_stream import failed
from cria.server.stored_answers import answer_of, encode

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.2
"""How long until a wish that a run ends is seen."""
FLUSH_SECONDS = 0.05
"""Events wait so long at most for others, while there are others."""
END_SECONDS = 5.0
"""How long a wish that a run ends may take; then it is as if it had."""
CLOSE_SECONDS = 1.0
AGAIN_SECONDS = 1.0
"""Between two tries to store an end for which there is no room."""
DIED = "The server ended before the answer was complete."


class Job:
    """One run, and what of it is in the store."""

    def __init__(
        self, store: AnswerStore, offload: Offload, encoder: ResponseEncoder, *, is_streamed: bool
    ) -> None:
        self._store, self._offload = store, offload
        self.encoder = encoder
        self._is_streamed = is_streamed
        self._waiting: list[bytes] = []
        self._ending: tuple[Any, ...] = ()
        self._num_stored = 0
        self._flushed = time.monotonic()

    @property
    def id(self) -> str:
        return self.encoder.response.id

    def begin(self) -> None:
        """It is in progress."""
        self._wait_for(self.encoder.start())
        self._write(begun=encode(self.encoder.response))

    def add(self, events: Sequence[StreamEvent]) -> None:
        """More events; those that wait are stored when the last time was long enough ago."""
        self._wait_for(events)
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store what waits."""
        if self._waiting:
            self._write()

    def end(self, events: Sequence[StreamEvent]) -> None:
        """The response as it has ended, with its last events."""
        self._wait_for(events)
        response = self.encoder.response
        answer = answer_of(response, encode(response), "")
        self._ending = (answer, _items(response), self._waiting, self._num_stored)
        self.end_again()

    def end_again(self) -> None:
        """Store the end that could not be stored."""
        self._offload(self._store.finish, *self._ending)

    def _wait_for(self, events: Sequence[StreamEvent]) -> None:
        if self._is_streamed:
            self._waiting += map(frame, events)

    def _write(self, begun: bytes | None = None) -> None:
        frames = self._waiting
        self._offload(self._store.progress, self.id, frames, self._num_stored, begun)
        self._waiting = []
        self._num_stored += len(frames)
        self._flushed = time.monotonic()


class BackgroundRuns:
    """Those of this process."""

    def __init__(self, store: AnswerStore, offload: Offload) -> None:
        self._store, self._offload = store, offload
        self._runs: dict[str, Run] = {}
        self._workers: dict[str, threading.Thread] = {}
        self._watcher: threading.Thread | None = None
        self._closing = threading.Event()
        self._num_without_room = 0

    def start(self, run: Run, encoder: ResponseEncoder, *, is_streamed: bool) -> None:
        """Go on with a run whose response is in the store."""
        job = Job(self._store, self._offload, encoder, is_streamed=is_streamed)
        self._runs[job.id] = run
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="cancels", daemon=True)
            self._watcher.start()
        worker = threading.Thread(
            target=self._work, args=(run, job), name="background", daemon=True
        )
        self._workers[job.id] = worker
        worker.start()

    def num_running(self) -> int:
        """How many have not ended; not those whose end waits for room."""
        return len(self._workers) - self._num_without_room

    def close(self) -> None:
        """Let runs that have just failed, since the server stops, say so in the store."""
        self._closing.set()
        deadline = time.monotonic() + CLOSE_SECONDS
        for worker in list(self._workers.values()):
            worker.join(max(0.0, deadline - time.monotonic()))

    def end(self, answer: Answer) -> None:
        """Ask that a run of any process ends, and wait until it has."""
        if answer.status not in UNFINISHED:
            return
        self._offload(self._store.ask_to_end, answer.id, answer.owner)
        deadline = time.monotonic() + END_SECONDS
        pause = threading.Event()
        while time.monotonic() < deadline:
            now = self._offload(self._store.read, answer.id, answer.owner)
            if now is None or now.status not in UNFINISHED:
                return
            pause.wait(FLUSH_SECONDS)
        self._offload(end_forsaken, self._store, answer, "cancelled")

    def _work(self, run: Run, job: Job) -> None:
        try:
            self._end(job, self._events(run, job))
        except Exception:
            logger.exception("response %s could not be kept", job.id)
        finally:
            run.cancel()
            del self._runs[job.id]
            del self._workers[job.id]

    def _end(self, job: Job, events: Sequence[StreamEvent]) -> None:
        """Store the end, as soon as there is room for it: somebody asks for it again and again."""
        try:
            job.end(events)
            return
        except StoreUnwritable as error:
            logger.error("response %s: %s Trying again.", job.id, error)
        self._num_without_room += 1
        try:
            self._end_later(job)
        finally:
            self._num_without_room -= 1

    def _end_later(self, job: Job) -> None:
        while not self._closing.wait(AGAIN_SECONDS):
            try:
                job.end_again()
                return
            except StoreUnwritable as error:
                logger.debug("response %s: %s", job.id, error)
        logger.error("response %s could not be kept", job.id)

    def _events(self, run: Run, job: Job) -> list[StreamEvent]:
        """Store what happens; the last events, with which the response is complete."""
        encoder = job.encoder
        try:
            job.begin()
            for event in run.events():
                if isinstance(event, Heartbeat):
                    job.flush()
                else:
                    job.add(encoder.feed(event))
            return encoder.finish(run.usage)
        except ClientGone:
            return encoder.cancel(run.usage)
        except Exception as error:
            return failed(encoder, error, run)

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(WATCH_SECONDS):
            if not self._runs:
                continue
            try:
                unwanted = self._offload(self._store.unwanted)
            except StoreUnwritable as error:
                logger.debug("%s", error)
                continue
            except Exception:
                logger.exception("the store of responses cannot be read")
                continue
            for answer_id in unwanted:
                if run := self._runs.get(answer_id):
                    run.cancel()


def fail_forsaken(store: AnswerStore) -> None:
    """End the responses of processes that have ended themselves."""
    for answer in store.forsaken():
        end_forsaken(store, answer, "failed")


def end_forsaken(store: AnswerStore, answer: Answer, status: str) -> None:
    """End a response that nobody works on any more; one that cannot be read is deleted."""
    try:
        response = msgspec.json.decode(answer.body, type=Response)
    except (msgspec.DecodeError, UnicodeDecodeError) as damage:
        logger.error("response %s is damaged and deleted: %s", answer.id, damage)
        store.delete(answer.id, answer.owner)
        return
    number = store.num_frames(answer.id)
    if status == "failed":
        error = ResponseError("server_error", DIED)
        response = msgspec.structs.replace(response, status="failed", error=error)
        last: StreamEvent = ResponseFailed(number, response)
    else:
        response = msgspec.structs.replace(response, status="cancelled")
        last = ResponseIncomplete(number, response)
    ended = answer._replace(status=status, body=encode(response))
    store.finish(ended, (), [frame(last)] if answer.is_streamed else (), number)


def _items(response: Response) -> list[Item]:
    return [Item(item.id, item.body) for item in stored_output(response.output)]
