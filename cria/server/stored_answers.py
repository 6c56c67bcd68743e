"""`StoredAnswers`: responses and their items in the store, by the ids that requests name.

Everything that blocks is done in another thread. Without a store there is nothing to be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from cria.answer_store.retention import Limits
from cria.answer_store.store import UNFINISHED, Answer, AnswerStore, Item
from cria.api.responses.input_items import InputItem, ItemReference, Kept, Unread
from cria.api.responses.kept_items import of_text, read_stored, stored, stored_output
from cria.api.responses.request import ResponsesRequest
from cria.api.responses.response_object import Response
from cria.config import ServerConfig
from cria.errors import RequestError, StoredNotFound
from cria.generation.run import Offload


class Context(NamedTuple):
    """What a request goes on from, and what it adds."""

    before: list[Kept]
    new: list[Kept]


class StoredAnswers:
    """Of one server process."""

    def __init__(self, store: AnswerStore | None, offload: Offload) -> None:
        self.store = store
        self.offload = offload

    @classmethod
    def open(cls, config: ServerConfig, offload: Offload) -> StoredAnswers:
        """SetupError if the file is no store."""
        if not config.response_store:
            return cls(None, offload)
        limits = Limits(config.response_store_days, config.response_store_mb)
        return cls(AnswerStore(config.response_store, limits), offload)

    def is_stored(self, wanted: ResponsesRequest) -> bool:
        """Whether the answer will be kept; RequestError if it cannot be and has to."""
        if self.store is None and wanted.store:
            raise RequestError(
                "Unsupported value: 'store' cannot be true: this server keeps no responses.",
                param="store",
                code="unsupported_value",
            )
        is_stored = self.store is not None and wanted.store is not False
        if wanted.background and not is_stored:
            raise RequestError(
                "Unsupported value: 'background' cannot be true for a response that is not stored.",
                param="background",
                code="unsupported_value",
            )
        return is_stored

    def context(self, wanted: ResponsesRequest, owner: str) -> Context:
        """The whole conversation; RequestError for what is not there."""
        if isinstance(wanted.input, str):
            new: list[Kept] = [of_text(wanted.input)] if wanted.input else []
        else:
            new = self._resolved(wanted.input, owner)
        previous = wanted.previous_response_id
        before = [] if previous is None else self._said_before(previous, owner)
        return Context(before, new)

    def save(self, response: Response, body: bytes, new: Sequence[Kept], owner: str) -> None:
        """Keep a response with what it answers; `body` is its JSON."""
        if self.store is not None:
            answer = answer_of(response, body, owner)
            outputs = [Item(item.id, item.body) for item in stored_output(response.output)]
            self.offload(self.store.save, answer, input_items(new), outputs)

    def read(self, answer_id: str, owner: str) -> Answer:
        """StoredNotFound if there is no such response of theirs."""
        answer = self.offload(self.store.read, answer_id, owner) if self.store else None
        if not isinstance(answer, Answer):
            raise StoredNotFound("Response", answer_id)
        return answer

    def delete(self, answer_id: str, owner: str) -> None:
        """StoredNotFound if there is no such response of theirs."""
        if self.store is None or not self.offload(self.store.delete, answer_id, owner):
            raise StoredNotFound("Response", answer_id)

    def inputs(self, answer_id: str, owner: str) -> list[Item]:
        """What a response answers, in the order of time."""
        self.read(answer_id, owner)
        assert self.store is not None
        found: list[Item] = self.offload(self.store.inputs, answer_id)
        return found

    def _said_before(self, answer_id: str, owner: str) -> list[Kept]:
        if self.store is None:
            raise _previous_not_found(answer_id)
        found: list[Kept] = self.offload(_chain, self.store, answer_id, owner)
        return found

    def _resolved(self, items: Sequence[InputItem], owner: str) -> list[Kept]:
        found: list[Kept] = []
        for item in items:
            if isinstance(item, ItemReference):
                body = self.offload(self.store.find_item, item.id, owner) if self.store else None
                if body is None:
                    raise StoredNotFound("Item", item.id, param="input")
                found.append(read_stored(body))
            elif not isinstance(item, Unread):
                found.append(item)
        return found


def answer_of(response: Response, body: bytes, owner: str, *, is_streamed: bool = False) -> Answer:
    """As the store has it."""
    return Answer(
        response.id,
        owner,
        response.status,
        body,
        previous=response.previous_response_id,
        is_background=response.background,
        is_streamed=is_streamed,
    )


def input_items(new: Sequence[Kept]) -> list[Item]:
    """What a response answers, as the store has it."""
    return [Item(item.id, item.body) for item in stored(new)]


def encode(response: Response) -> bytes:
    """The JSON of a response."""
    return msgspec.json.encode(response)


def _chain(store: AnswerStore, answer_id: str, owner: str) -> list[Kept]:
    """What was said in a response and all before it, the oldest first."""
    links = []
    following: str | None = answer_id
    while following is not None:
        link = store.link(following, owner)
        if link is None:
            raise _previous_not_found(following)
        if link.status in UNFINISHED:
            raise RequestError(
                f"Previous response with id '{following}' is {link.status}. Wait until it is done.",
                param="previous_response_id",
                code="invalid_value",
            )
        links.append(link)
        following = link.previous
    return [read_stored(body) for link in reversed(links) for body in link.items]


def _previous_not_found(answer_id: str) -> RequestError:
    return RequestError(
        f"Previous response with id '{answer_id[:200]}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
