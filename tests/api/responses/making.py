"""Requests for responses, made as a client makes them, and the events of an encoder as dicts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from cria.api.decoding import decode
from cria.api.responses.request import ResponsesRequest
from cria.api.responses.stream_events import StreamEvent, frame


def decoded(**fields: Any) -> tuple[ResponsesRequest, tuple[str, ...]]:
    """With the warnings."""
    body = {"model": "m", "input": "hi", **fields}
    return decode(msgspec.json.encode(body), ResponsesRequest)


def made(**fields: Any) -> ResponsesRequest:
    return decoded(**fields)[0]


def sent(events: Iterable[StreamEvent]) -> list[dict[str, Any]]:
    """As a client reads them."""
    return [msgspec.json.decode(frame(event).partition(b"\ndata: ")[2]) for event in events]
