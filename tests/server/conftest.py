"""The application over a fake generation, without a socket."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from cria.config import ServerConfig
from cria.generation.model_pool import ModelPool
from cria.server.app import create_app
from tests.fakes import FakeGeneration


@pytest.fixture
def generation() -> FakeGeneration:
    return FakeGeneration()


@pytest.fixture
def client(generation: FakeGeneration) -> FlaskClient:
    return make_client(generation)


def make_client(generation: FakeGeneration, **settings: object) -> FlaskClient:
    """A client of an application with these settings."""
    return create_app(ModelPool.of(generation), ServerConfig(**settings)).test_client()  # type: ignore[arg-type]
