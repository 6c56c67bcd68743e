"""The application over a fake generation and a store of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server.app import create_app
from cria.server.response_service import detach
from tests.fakes import FakeGeneration


@contextmanager
def responding(
    generation: FakeGeneration, path: Path | None, **settings: Any
) -> Iterator[FlaskClient]:
    """A client of an application with these settings."""
    config = ServerConfig(response_store=None if path is None else str(path), **settings)
    app = create_app(ModelPool.of(generation), config)  # type: ignore[arg-type]
    try:
        yield app.test_client()
    finally:
        detach(app)


def sse(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream, whose two names agree."""
    found = []
    for block in data.decode().split("\n\n"):
        if block and not block.startswith(":"):
            name, line = block.split("\n")
            event = json.loads(line.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            found.append(event)
    return found


def wait_for(ask: Callable[[], Any], is_good: Callable[[Any], object]) -> Any:
    """Ask again until the answer is good."""
    for _ in range(2000):
        answer = ask()
        if is_good(answer):
            return answer
        threading.Event().wait(0.01)
    raise AssertionError(f"waited for too long; last: {answer}")
