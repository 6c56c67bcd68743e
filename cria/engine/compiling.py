"""`Compiling`: sequences whose grammar is being compiled, in a thread, before they are queued.

A hostile grammar takes a second, and the streams of others go on meanwhile: the compiler lets go of
the interpreter's lock.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from cria.constraint.sources import GrammarError
from cria.ipc.messages import Submit

if TYPE_CHECKING:
    from cria.constraint.compiler import GrammarCompiler
    from cria.constraint.matcher import Matcher

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.002
"""For a compilation, when there is nothing else to do."""


class Compiled(NamedTuple):
    """A sequence that can be queued, or has to be refused."""

    message: Submit
    arrival: float
    matcher: Matcher | None
    reason: str = ""
    """Why the grammar cannot be used."""


class Compiling:
    """At most one compilation at a time, in the order of arrival."""

    def __init__(self, make_compiler: Callable[[], GrammarCompiler]) -> None:
        """The compiler is made, by the thread, when it is first needed."""
        self._make_compiler = make_compiler
        self._compiler: GrammarCompiler | None = None
        self._open: dict[int, tuple[Submit, float]] = {}
        self._wanted: queue.SimpleQueue[Submit] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, Matcher | str]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def prepare(self) -> None:
        """Make the compiler now, which holds up all threads: for a second, if tokens are many."""
        try:
            self._compiler = self._make_compiler()
        except ValueError as error:  # whoever wants a grammar is told
            logger.debug("no grammars: %s", error)

    @property
    def is_idle(self) -> bool:
        """Nobody waits for a grammar."""
        return not self._open

    def submit(self, message: Submit, arrival: float) -> None:
        """Compile the grammar of a sequence; it comes out of `take`."""
        self._open[message.request_id] = (message, arrival)
        self._wanted.put(message)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="grammars", daemon=True)
            self._thread.start()

    def cancel(self, request_id: int) -> Submit | None:
        """Forget the sequence; None if it is not here."""
        message, _ = self._open.pop(request_id, (None, 0.0))
        return message

    def take(self, *, wait: bool) -> Iterator[Compiled]:
        """Those that are ready; with `wait`, a moment is spent on waiting for one."""
        while self._open:
            try:
                request_id, result = self._done.get(timeout=WAIT_SECONDS if wait else 0)
            except queue.Empty:
                return
            wait = False
            if request_id in self._open:  # else it was cancelled
                message, arrival = self._open.pop(request_id)
                if isinstance(result, str):
                    yield Compiled(message, arrival, None, result)
                else:
                    yield Compiled(message, arrival, result)

    def _run(self) -> None:
        while True:
            message = self._wanted.get()
            self._done.put((message.request_id, self._compile(message.sampling_params.grammar)))

    def _compile(self, source: str) -> Matcher | str:
        try:
            if self._compiler is None:
                self._compiler = self._make_compiler()
            return self._compiler.matcher(source)
        except GrammarError as error:
            return f"the grammar cannot be used: {error}"
        except Exception as error:  # whatever it is, it must not end this thread
            return f"the grammar cannot be compiled ({type(error).__name__})"
