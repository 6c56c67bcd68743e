"""Who asks, as the limits see it, and the headers that tell a caller what is left to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from flask import Flask, Response, g, request

from cria.config import ServerConfig
from cria.generation.caller import ANYBODY, Caller, caller_of, current_caller
from cria.server.auth import is_open

_PREFIX = "x-ratelimit-"


class Told(Protocol):
    """What `Admission` tells."""

    def headers(self, caller: Caller) -> Mapping[str, str]: ...


def tell_limits(app: Flask, admission: Told, config: ServerConfig) -> None:
    """Before each request, note its caller; after it, tell what is left.

    To be called after the key of a request is checked.
    """

    @app.before_request
    def note_caller() -> None:
        if not is_open(request.path):
            g.cria_caller = caller_of(g.get("cria_key"), config)
            current_caller.set(g.cria_caller)

    @app.teardown_request
    def forget_caller(_: BaseException | None) -> None:
        current_caller.set(ANYBODY)  # the connection's next request may be somebody else's

    @app.after_request
    def add_limits(response: Response) -> Response:
        if (caller := g.get("cria_caller")) is not None:  # else its key was not accepted
            response.headers.update(admission.headers(caller))
        return response
