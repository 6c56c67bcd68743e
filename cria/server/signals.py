"""What the signals of a server process do.

1. SIGTERM and SIGINT end a process that has not begun to serve at once, with code 0; one that
   serves they ask to drain, the second one to end now, the third one ends it as it stands.
2. SIGHUP calls those who asked with `on_hangup`: keys and certificates are read again.
3. SIGUSR1 writes the stacks of all greenlets and threads to the log.
4. SIGPIPE is ignored, as Python does from its start.

Python's own handlers run in the main thread between two instructions, also in the middle of work
that never waits. The third signal must work even where they cannot: a native thread counts.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import gevent
from gevent.monkey import get_original
from gevent.util import format_run_info

from cria.server.stopping import TOGETHER_SECONDS, Phase, Stopping

logger = logging.getLogger(__name__)

ENDING = (signal.SIGTERM, signal.SIGINT)
SIGNALS_TO_EXIT = 3

_hangup_callbacks: list[Callable[[], None]] = []


def install(stopping: Stopping) -> None:
    """Handle them from here on; called once, by the main greenlet of the main thread."""
    main = gevent.getcurrent()
    for number in ENDING:
        signal.signal(number, partial(_end, main, stopping))
    signal.signal(signal.SIGHUP, lambda _number, _frame: later(hang_up))
    signal.signal(signal.SIGUSR1, lambda _number, _frame: dump_stacks())
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    wake = partial(gevent.get_hub().loop.run_callback_threadsafe, int)
    get_original("_thread", "start_new_thread")(_watch, (reader, wake))


def on_hangup(callback: Callable[[], None]) -> Callable[[], None]:
    """Call it, in a greenlet of its own, at each SIGHUP; the result ends that."""
    _hangup_callbacks.append(callback)
    return partial(_hangup_callbacks.remove, callback)


def hang_up() -> None:
    """What SIGHUP does; one callback's failure is no other's."""
    logger.info("SIGHUP: reading again what can be read again")
    for callback in list(_hangup_callbacks):
        try:
            callback()
        except Exception:
            logger.exception("what SIGHUP asks for failed")


def dump_stacks() -> None:
    """Write where everything stands to the log."""
    lines: Any = format_run_info()  # type: ignore[func-returns-value]
    logger.warning("SIGUSR1: all stacks\n%s", "\n".join(lines))


def later(call: Callable[[], Any]) -> None:
    """In a greenlet: a handler may run in the hub, where nothing may wait."""
    gevent.spawn(call)


def _end(main: Any, stopping: Stopping, number: int, _frame: FrameType | None) -> None:
    if stopping.phase >= Phase.SERVING:
        later(partial(stopping.ask, is_interrupt=number == signal.SIGINT))
    elif gevent.getcurrent() is main:
        raise SystemExit(0)
    else:
        later(partial(gevent.kill, main, SystemExit(0)))


def _watch(reader: int, wake: Callable[[], object]) -> None:
    """In a native thread: wake the hub, so that Python's handlers run; count those that end."""
    count, last = 0, 0.0
    while numbers := os.read(reader, 1):
        if numbers[0] in ENDING and time.monotonic() - last >= TOGETHER_SECONDS:
            count, last = count + 1, time.monotonic()
        if count >= SIGNALS_TO_EXIT:
            os._exit(128 + numbers[0])
        wake()
