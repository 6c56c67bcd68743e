"""What a caller is told while there is no engine to ask."""

from __future__ import annotations

from cria.errors import EngineUnavailable
from cria.generation.engine_status import EngineStatus


def unavailable(status: EngineStatus) -> EngineUnavailable:
    """In the words and with the code of the state; when to try again is as measured."""
    wait = status.restart_seconds
    if status.state == "loading":
        message = f"The model is loading ({status.progress:.0%}); try again in a moment."
        return EngineUnavailable(message, retry_after=wait)
    if status.state == "unresponsive":
        message = "The engine gives no sign of life; try again in a moment."
        return EngineUnavailable(message, code="engine_unresponsive", retry_after=wait)
    if status.gave_up:
        message = "The engine has ended too often; it is not started again for some minutes."
        return EngineUnavailable(message, code="engine_unavailable", retry_after=wait)
    reason = "" if status.reason is None else f"{status.reason} "
    message = f"{reason}The engine is being started again; try again in a moment."
    return EngineUnavailable(message, retry_after=wait)
