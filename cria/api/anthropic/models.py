"""`GET /v1/models` and `GET /v1/models/{id}` in Anthropic's shape."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import msgspec

from cria.api.models import ModelCard


class ModelInfo(msgspec.Struct, tag_field="type", tag="model"):
    """A model that can be asked for by its id."""

    id: str
    display_name: str
    created_at: str
    """ISO 8601."""
    lifecycle: str
    max_input_tokens: int | str | list[str] | None
    max_tokens: int | str | list[str] | None


class ModelPage(msgspec.Struct):
    """All models: there is one page."""

    data: list[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None


def encode_model_page(cards: Sequence[ModelCard]) -> bytes:
    """All models."""
    infos = [_info(card) for card in cards]
    first, last = (infos[0].id, infos[-1].id) if infos else (None, None)
    return msgspec.json.encode(ModelPage(infos, False, first, last))


def encode_model_info(card: ModelCard) -> bytes:
    """One model."""
    return msgspec.json.encode(_info(card))


def _info(card: ModelCard) -> ModelInfo:
    created = datetime.fromtimestamp(card.created, timezone.utc)
    context_size = card.meta.get("n_ctx")
    return ModelInfo(
        id=card.id,
        display_name=card.id,
        created_at=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        lifecycle="active",
        max_input_tokens=context_size,
        max_tokens=context_size,
    )
