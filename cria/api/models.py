"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cria.api.managing import ModelStatus

Meta = dict[str, int | str | list[str]]


class ModelCard(msgspec.Struct, frozen=True, tag_field="object", tag="model"):
    """A model that can be asked for by its id."""

    id: str
    created: int
    """Unix seconds."""
    owned_by: str = "cria"
    meta: Meta = {}
    """What else is known: sizes, the file."""
    status: ModelStatus | msgspec.UnsetType = msgspec.UNSET
    """Whether it is loaded."""
    parent: str | msgspec.UnsetType = msgspec.UNSET
    """The model that an adapter belongs to."""
    root: str | msgspec.UnsetType = msgspec.UNSET
    """An adapter's file."""
    scale: float | msgspec.UnsetType = msgspec.UNSET
    """How strongly it acts under this name."""


class ModelList(msgspec.Struct, tag_field="object", tag="list"):
    """All models, on one page."""

    data: list[ModelCard]


def encode_models(cards: Sequence[ModelCard]) -> bytes:
    """All models, on one page."""
    return msgspec.json.encode(ModelList(list(cards)))


def encode_model(card: ModelCard) -> bytes:
    """One model."""
    return msgspec.json.encode(card)
