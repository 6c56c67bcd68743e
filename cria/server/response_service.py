"""`ResponseService`: what the routes of responses share; one for each application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from flask import Response, current_app
from flask.sansio.app import App

from cria.api.responses.echo import new_response, shown_by
from cria.api.responses.encoder import ResponseEncoder
from cria.api.responses.input_items import Kept
from cria.api.responses.paths import own_path, own_words
from cria.api.responses.request import ResponsesRequest
from cria.api.responses.response_object import Response as ResponseObject
from cria.api.responses.to_chat import tell_settled, to_chat, tool_paths
from cria.api.responses.tool_fields import left_out
from cria.api.tokens import InputTokens
from cria.config import ServerConfig
from cria.generation.caller import patiently
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.generation.run import Run
from cria.server.answers import json_response, send_events, watched
from cria.server.background import BackgroundRuns, fail_forsaken
from cria.server.body import add_warnings
from cria.server.following import Follower
from cria.server.loading import with_model
from cria.server.response_stream import collect_response, failure_event, stream_frames
from cria.server.stored_answers import StoredAnswers, answer_of, encode, input_items

_NAME = "cria_responses"


class ResponseService:
    """Over the models and, if there is one, one store."""

    def __init__(self, models: ModelPool, config: ServerConfig) -> None:
        self._models = models
        self._config = config
        self.answers = StoredAnswers.open(config, models.offload_storage)
        store = self.answers.store
        self.background: BackgroundRuns | None = None
        if store is not None:
            fail_forsaken(store)
            self.background = BackgroundRuns(store, models.offload_storage)

    def create(self, wanted: ResponsesRequest, owner: str, environ: Mapping[str, Any]) -> Response:
        """Answer, as the request wants it: whole, streamed, or later."""
        self._leave_out_tools(wanted)
        is_stored = self.answers.is_stored(wanted)
        if not is_stored and wanted.store is None:
            add_warnings(("store",))
        context = self.answers.context(wanted, owner)

        def act(generation: Generation) -> Response:
            run = self._start(generation, wanted, [*context.before, *context.new])
            return self._respond(run, wanted, context.new, owner, environ)

        streams = bool(wanted.streams)
        return with_model(self._models, wanted.model, act, streams=streams, failed=failure_event)

    def _respond(
        self,
        run: Run,
        wanted: ResponsesRequest,
        new: Sequence[Kept],
        owner: str,
        environ: Mapping[str, Any],
    ) -> Response:
        is_stored = self.answers.is_stored(wanted)
        response = new_response(wanted, run.model, run.service_tier, is_stored=is_stored)
        encoder = ResponseEncoder(response, shown_by(wanted))
        if wanted.background:
            return self._go_on_later(run, encoder, wanted, new, owner, environ)
        keep = partial(self._keep, new, owner)
        if wanted.streams:
            return send_events(stream_frames(run, encoder, keep), run, environ)
        with watched(run, environ):
            response = collect_response(run, encoder)
        body: bytes = self._models.offload(encode, response)
        if is_stored:
            self.answers.save(response, body, new, owner)
        return json_response(body)

    def count(self, wanted: ResponsesRequest, owner: str) -> Response:
        """The tokens of the whole prompt."""
        self._leave_out_tools(wanted)
        context = self.answers.context(wanted, owner)

        def act(generation: Generation) -> Response:
            model = wanted.model or generation.model_ids[0]
            chat = to_chat(wanted, [*context.before, *context.new], model)
            with own_words(tool_paths(wanted)):
                count = generation.count_chat_tokens(chat)
            return json_response(msgspec.json.encode(InputTokens(count)))

        return with_model(self._models, wanted.model, act)

    def follow(self, answer_id: str, first: int, environ: Mapping[str, Any]) -> Response:
        """The events of a stored response, from number `first` on."""
        assert self.answers.store is not None
        silence = self._config.heartbeat_seconds
        follower = Follower(self.answers.store, self.answers.offload, answer_id, silence)
        return send_events(follower.frames(first), follower, environ)

    def close(self) -> None:
        """Close the store, once nobody writes to it any more."""
        if self.background is not None:
            self.background.close()
        if self.answers.store is not None:
            self.answers.store.close()

    def _leave_out_tools(self, wanted: ResponsesRequest) -> None:
        add_warnings(left_out(wanted.tools, is_allowed=self._config.ignore_built_in_tools))

    def _start(
        self, generation: Generation, wanted: ResponsesRequest, items: Sequence[Kept]
    ) -> Run:
        """RequestError names this route's fields; so do the warnings."""
        paths = tool_paths(wanted)
        chat = to_chat(wanted, items, wanted.model)
        with own_words(paths), patiently(is_patient=bool(wanted.background)):
            run = generation.start_chat(chat)
        tell_settled(wanted, chat)
        named = (own_path(path, paths) for path in run.warnings)
        is_auto = wanted.truncation == "auto"
        add_warnings(
            tuple("truncation" if is_auto and n == "context_overflow" else n for n in named)
        )
        return run

    def _go_on_later(
        self,
        run: Run,
        encoder: ResponseEncoder,
        wanted: ResponsesRequest,
        new: Sequence[Kept],
        owner: str,
        environ: Mapping[str, Any],
    ) -> Response:
        assert self.answers.store is not None and self.background is not None
        queued = encoder.response
        answer = answer_of(queued, encode(queued), owner, is_streamed=wanted.streams)
        try:
            self.answers.offload(self.answers.store.save, answer, input_items(new))
        except BaseException:
            run.cancel()
            raise
        self.background.start(run, encoder, is_streamed=wanted.streams)
        if wanted.streams:
            return self.follow(queued.id, 0, environ)
        return json_response(answer.body)

    def _keep(self, new: Sequence[Kept], owner: str, response: ResponseObject) -> None:
        if response.store:
            self.answers.save(response, encode(response), new, owner)


def attach(app: App, models: ModelPool, config: ServerConfig) -> None:
    """Make the service of an application, once."""
    if _NAME not in app.extensions:
        app.extensions[_NAME] = ResponseService(models, config)


def service() -> ResponseService:
    """That of the application that answers."""
    found: ResponseService = current_app.extensions[_NAME]
    return found


def num_in_background(app: object) -> int:
    """How many responses an application makes for which no connection waits."""
    assert isinstance(app, App)
    found: ResponseService | None = app.extensions.get(_NAME)
    return found.background.num_running() if found and found.background else 0


def detach(app: object) -> None:
    """End the service of an application that answers no more."""
    assert isinstance(app, App)
    found: ResponseService = app.extensions.pop(_NAME)
    found.close()
