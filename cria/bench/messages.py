"""What goes between `cria bench` and its load processes, one JSON object a line."""

from __future__ import annotations

import msgspec


class Job(msgspec.Struct, frozen=True):
    """The part of a run that one process does."""

    url: str
    """Of the API's root, without `/v1`."""
    headers: dict[str, str]
    bodies: list[str]
    """One request each, in the order of sending."""
    num_clients: int = 0
    arrivals: list[float] | None = None
    """Seconds after the start at which each request is sent; None: `num_clients` in a loop."""
    long_body: str | None = None
    """Sent once, when every client has its first token."""
    timeout: float = 600.0


class Trace(msgspec.Struct):
    """What one request lived through, in seconds since the start of the run."""

    start: float
    """When its connection was opened."""
    end: float = 0.0
    arrivals: list[float] = []
    """Of each piece of text."""
    prompt_tokens: int = 0
    generated_tokens: int = 0
    counted: bool = False
    """The server said how many tokens; else each piece of text counts as one."""
    error: str | None = None


class Outcome(msgspec.Struct):
    """What a process answers to a Job."""

    traces: list[Trace]
    long: Trace | None = None
