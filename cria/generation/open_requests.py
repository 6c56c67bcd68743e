"""`OpenRequest`: what an engine was asked and has not answered to the end, and who waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cria.errors import EngineDied
from cria.generation.death import Death
from cria.ipc.messages import Embed, Submit


class OpenRequest:
    """One request, over the lives of two engines at most."""

    __slots__ = ("is_running", "is_sent", "message", "sink", "was_heard", "was_resent")

    def __init__(self, message: Submit | Embed, sink: Callable[[Any], None]) -> None:
        self.message = message
        self.sink = sink
        self.is_running = isinstance(message, Embed)
        """The engine has begun to compute it, or nobody knows; else it waits there."""
        self.was_heard = False
        """Something of its answer has come, and may have been shown to the client."""
        self.is_sent = True
        """To the engine that is there; else it waits for the next one."""
        self.was_resent = False

    def may_go_on_after(self, death: Death) -> bool:
        """Whether the next engine can be asked, without anybody noticing and without danger."""
        if self.was_heard or self.was_resent:
            return False
        return death.is_foreign or not self.is_running

    def is_suspect_of(self, death: Death) -> bool:
        """Whether it may be what has ended the engine."""
        return self.is_running and self.is_sent and not death.is_foreign

    def wait_for_next(self) -> None:
        """The engine is gone."""
        self.is_sent, self.was_resent = False, True
        self.is_running = isinstance(self.message, Embed)

    def obituary(self, death: Death, retry_after: float) -> EngineDied:
        """What its reader is told."""
        return EngineDied(
            f"The engine process {death.how} while it worked on this request.",
            code=death.code,
            may_retry=not self.is_suspect_of(death),
            retry_after=retry_after,
        )
