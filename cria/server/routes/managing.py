"""POST /models/load and /models/unload, GET /models/sse: llama-server's router's routes.

Orders are answered at once; what becomes of them is told by the events, and by /v1/models. A key
may order what it may use.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import msgspec
from flask import Blueprint, Response, current_app, request

from cria.api.managing import ModelOrder, ModelStatus, OrderTaken, encode_event
from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server.answers import json_response, send_events
from cria.server.auth import current_key
from cria.server.body import read_request
from cria.server.draining import drains
from cria.server.operations import Operation, describe
from cria.server.routes.models import status_of
from cria.server.sse import PING, frame

LOOK_SECONDS = 0.25
EVENTS = "Events of one JSON object each, first one for each model; it ends when the server stops."


def make_blueprint(models: ModelPool, config: ServerConfig) -> Blueprint:
    blueprint = Blueprint("managing", __name__)

    @blueprint.post("/models/load", strict_slashes=False)
    @describe(Operation("Load a model.", ModelOrder, OrderTaken))
    def load_model() -> Response:
        models.load(read_request(request, ModelOrder, config).model)
        return json_response(msgspec.json.encode(OrderTaken()))

    @blueprint.post("/models/unload", strict_slashes=False)
    @describe(Operation("Unload a model when nothing runs on it.", ModelOrder, OrderTaken))
    def unload_model() -> Response:
        models.unload(read_request(request, ModelOrder, config).model)
        return json_response(msgspec.json.encode(OrderTaken()))

    @blueprint.get("/models/sse", strict_slashes=False)
    @describe(Operation("Tell how models come and go.", streams=True, events=EVENTS))
    def watch_models() -> Response:
        watcher = ModelWatcher(models, config.heartbeat_seconds, drains(current_app))
        key = current_key()
        names = [n for n in models.names() if key is None or key.may_use(n)]
        return send_events(watcher.frames(names), watcher, request.environ)

    return blueprint


class ModelWatcher:
    """One client's; what it has not been told is found by comparing, so that nothing piles up."""

    def __init__(self, models: ModelPool, silence: float, is_over: Callable[[], bool]) -> None:
        self._models, self._silence, self._is_over = models, silence, is_over
        self._is_gone = False

    def wait_begun(self) -> None:
        """Not here: there is something to tell at once."""

    def cancel(self) -> None:
        """Nobody reads any more."""
        self._is_gone = True
        with self._models.changed:
            self._models.changed.notify_all()

    def frames(self, names: list[str]) -> Generator[bytes, None, None]:
        """What changes, as it changes."""
        told: dict[str, ModelStatus] = {}
        silent = 0.0
        while not (self._is_gone or self._models.is_closed or self._is_over()):
            news = self._news(names, told)
            if news:
                silent = 0.0
                yield b"".join(news)
                continue
            with self._models.changed:
                if not self._models.changed.wait(LOOK_SECONDS):
                    silent += LOOK_SECONDS
            if silent >= self._silence:
                silent = 0.0
                yield PING

    def _news(self, names: list[str], told: dict[str, ModelStatus]) -> list[bytes]:
        news = []
        for model in self._models.models:
            name, status = model.names[0], status_of(model)
            if not set(model.names).isdisjoint(names) and told.get(name) != status:
                told[name] = status
                news.append(frame(encode_event(name, status)))
        return news
