"""The input of a response as it is stored and listed: every item has an id and all its members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cria.api.responses.ids import new_id
from cria.api.responses.input_items import (
    CustomCallInput,
    CustomOutput,
    FunctionCallInput,
    FunctionOutput,
    InputItem,
    Kept,
    MessageInput,
    ReasoningInput,
)
from cria.errors import RequestError

PREFIXES: dict[type[msgspec.Struct], str] = {
    MessageInput: "msg",
    FunctionCallInput: "fc",
    FunctionOutput: "fco",
    CustomCallInput: "ctc",
    CustomOutput: "ctco",
    ReasoningInput: "rs",
}


class StoredItem(msgspec.Struct, frozen=True):
    """One item, encoded, and the id under which it is found."""

    id: str
    body: bytes


def of_text(text: str) -> MessageInput:
    """The message that a text is."""
    return MessageInput(role="user", content=text)


def stored(items: Sequence[Kept]) -> list[StoredItem]:
    """Encoded; ids that the client has given are kept, once each."""
    taken: set[str] = set()
    made = []
    for item in items:
        found = _full(item)
        if found["id"] in taken or not found["id"]:
            found["id"] = new_id(PREFIXES[type(item)])
        taken.add(found["id"])
        made.append(StoredItem(found["id"], msgspec.json.encode(found)))
    return made


def stored_output(items: Sequence[msgspec.Struct]) -> list[StoredItem]:
    """The items of an answer."""
    return [StoredItem(getattr(item, "id"), msgspec.json.encode(item)) for item in items]  # noqa: B009


_decoder = msgspec.json.Decoder(InputItem)


def read_stored(body: bytes) -> Kept:
    """A stored item again, whichever side it was on."""
    try:
        item: Kept = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"A stored item cannot be read: {error}.", param="input") from None
    return item


def _full(item: Kept) -> dict[str, Any]:
    made = {k: v for k, v in msgspec.to_builtins(item).items() if v is not None}
    made.setdefault("id", new_id(PREFIXES[type(item)]))
    if not isinstance(item, ReasoningInput):
        made.setdefault("status", "completed")
    if isinstance(item, MessageInput) and isinstance(item.content, str):
        kind = "output_text" if item.role == "assistant" else "input_text"
        made["content"] = [{"type": kind, "text": item.content}]
    return made
