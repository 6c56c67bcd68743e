"""Fixtures that tests of several packages share: the model files and a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from cria import model_store
from cria.convert import convert
from cria.native.tiny_model import write_tiny_model
from tests.bench import fake_server
from tests.bench.fake_server import FakeServer
from tests.convert import tiny_bert
from tests.faults.same_state import same_state
from tests.real_server import RealServer

# A machine that is busy with other things is no failure; and CI repeats itself exactly, while a
# developer's runs go on looking for new cases.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The default model's file, fetched on first use."""
    return model_store.resolve("smollm2", lambda _done, _total: None)


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that loads in no time; its text is noise, often not even UTF-8."""
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    write_tiny_model(path, chat_template=template)
    return path


@pytest.fixture(scope="session")
def tiny_bert_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that only embeds."""
    folder = tmp_path_factory.mktemp("bert")
    tiny_bert.write_model(folder / "model")
    convert(folder / "model", folder / "tiny-bert.gguf")
    return folder / "tiny-bert.gguf"


@pytest.fixture(scope="session")
def tiny_reranker_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that only ranks."""
    folder = tmp_path_factory.mktemp("reranker")
    tiny_bert.write_model(folder / "model", classes=1)
    convert(folder / "model", folder / "tiny-reranker.gguf")
    return folder / "tiny-reranker.gguf"


@pytest.fixture(scope="session")
def server(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """`cria serve` with the default model; tests share it, and have to leave it as it was."""
    log = tmp_path_factory.mktemp("server") / "log"
    options = ("--alias", "smollm2", "--alias", "org/name", "--context-size", "1024")
    with RealServer.start(default_model, *options, log=log) as running, same_state(running):
        yield running


@pytest.fixture(scope="session")
def server_url(server: RealServer) -> str:
    return server.url


@pytest.fixture
def tiny_server(tiny_gguf: Path, tmp_path: Path) -> Iterator[RealServer]:
    """A server of one test's own, ready in a second."""
    options = ("--alias", "tiny", "--parallel", "4", "--context-size", "512")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as running:
        yield running


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """A server of one test's own, which streams what the test tells it to."""
    with fake_server.running() as running:
        yield running
