"""Responses that are kept: GET and DELETE /v1/responses/{id}, its input_items, POST its cancel."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from flask import Blueprint, Response, request

from cria.answer_store.store import Answer
from cria.api.responses.queries import (
    ItemPage,
    page_of,
    page_query,
    stream_query,
    unused_queries,
)
from cria.api.responses.response_object import DeletedResponse
from cria.api.responses.response_object import Response as ResponseObject
from cria.config import ServerConfig
from cria.errors import RequestError
from cria.generation.model_pool import ModelPool
from cria.server.answers import json_response
from cria.server.auth import current_owner
from cria.server.body import add_warnings
from cria.server.operations import Operation, describe
from cria.server.response_service import attach, service

STREAM_QUERY = {
    "stream": "true: tell the events again, and go on as they come.",
    "starting_after": "The number of the last event that the client has.",
}
PAGE_QUERY = {
    "order": "asc or desc.",
    "limit": "How many, from 1 to 100.",
    "after": "The id of the last item that the client has.",
}


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("stored_responses", __name__)
    blueprint.record(lambda state: attach(state.app, models, config))

    def owner() -> str:
        return current_owner()

    @blueprint.get("/responses/<response_id>", strict_slashes=False)
    @describe(
        Operation("Show a response.", answer=ResponseObject, streams=True, query=STREAM_QUERY)
    )
    def retrieve_response(response_id: str) -> Response:
        query = stream_query(request.args)
        answer = service().answers.read(response_id, owner())
        _note_queries(STREAM_QUERY)
        if query.stream:
            _check_streamed(answer)
            return service().follow(answer.id, query.first, request.environ)
        return json_response(answer.body)

    @blueprint.delete("/responses/<response_id>", strict_slashes=False)
    @describe(Operation("Delete a response.", answer=DeletedResponse))
    def delete_response(response_id: str) -> Response:
        answer = service().answers.read(response_id, owner())
        _end(answer)
        service().answers.delete(answer.id, owner())
        return json_response(msgspec.json.encode(DeletedResponse(answer.id)))

    @blueprint.post("/responses/<response_id>/cancel", strict_slashes=False)
    @describe(Operation("End a response that runs in the background.", answer=ResponseObject))
    def cancel_response(response_id: str) -> Response:
        answer = service().answers.read(response_id, owner())
        if not answer.is_background:
            raise RequestError("Cannot cancel a synchronous response.", param="response_id")
        _end(answer)
        return json_response(service().answers.read(response_id, owner()).body)

    @blueprint.get("/responses/<response_id>/input_items", strict_slashes=False)
    @describe(Operation("List what a response answers.", answer=ItemPage, query=PAGE_QUERY))
    def list_input_items(response_id: str) -> Response:
        query = page_query(request.args)
        items = service().answers.inputs(response_id, owner())
        _note_queries(PAGE_QUERY)
        return json_response(msgspec.json.encode(page_of(items, query)))

    return blueprint


def _end(answer: Answer) -> None:
    background = service().background
    if background is not None:
        background.end(answer)


def _check_streamed(answer: Answer) -> None:
    if not answer.is_streamed:
        raise RequestError(
            "Invalid 'stream': only a response that was created with 'background' and 'stream' can "
            "be streamed again.",
            param="stream",
            code="invalid_value",
        )


def _note_queries(known: Iterable[str]) -> None:
    add_warnings(unused_queries(request.args, known))
