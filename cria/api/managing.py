"""`POST /models/load`, `POST /models/unload`, `GET /models/sse`: llama-server's router's shapes."""

from __future__ import annotations

import msgspec

from cria.api.decoding import RequestBody


class ModelOrder(RequestBody):
    """Which model is meant, by one of its names."""

    model: str


class OrderTaken(msgspec.Struct, frozen=True):
    """It is being done; `/models/sse` and `/v1/models` tell how far it is."""

    success: bool = True


class LoadProgress(msgspec.Struct, frozen=True):
    """How far the load is, from 0 to 1."""

    value: float
    stages: list[str]
    """There is one here: `text_model`."""
    current: str


class ModelStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """`loaded`, `loading`, `unloaded`, `unloading` or `failed`."""

    value: str
    progress: LoadProgress | None = None
    failed: bool = False
    reason: str | None = None
    """Why it has failed."""


class StatusData(msgspec.Struct, frozen=True, omit_defaults=True):
    """The same, in an event."""

    status: str
    progress: LoadProgress | None = None
    reason: str | None = None


class ModelEvent(msgspec.Struct, frozen=True):
    """Something has changed about a model."""

    model: str
    data: StatusData
    event: str = "model_status"


def encode_event(name: str, status: ModelStatus) -> bytes:
    """The JSON of one event."""
    data = StatusData(status.value, status.progress, status.reason)
    return msgspec.json.encode(ModelEvent(name, data))
