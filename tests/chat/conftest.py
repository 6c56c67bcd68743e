"""The fake server, for whoever asks one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client import fake_openai
from tests.client.fake_openai import FakeOpenAI


@pytest.fixture
def fake_api() -> Iterator[FakeOpenAI]:
    with fake_openai.running() as running:
        yield running
