"""`cria serve` with a server that only writes down what it was asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

import cria.server
from cria.cli import cria as group
from cria.config import EngineConfig, ModelEntry, ServerConfig
from tests.model_file.building import gguf

GGUF_HEADER = gguf({"general.architecture": "llama"})


class RecordingServer:
    """Stands for the module `cria.server.serve`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.environment: dict[str, str] = {}
        self.entries: Sequence[ModelEntry] = ()
        self.engine_config = EngineConfig("")
        self.config = ServerConfig()

    def prepare(self, log_level: str) -> None:
        self.calls.append("prepare")

    def check_access(self, config: ServerConfig) -> None:
        self.calls.append("check_access")

    def bind(self, host: str, port: int) -> str:
        self.calls.append(f"bind {host} {port}")
        return "listener"

    def check_setup(self) -> None:
        self.calls.append("check_setup")

    def read_template(self, path: str) -> str:
        self.calls.append("read_template")
        return f"the template in {path}"

    def serve(
        self,
        listener: str,
        entries: Sequence[ModelEntry],
        config: ServerConfig,
        say: Callable[[str], None],
    ) -> None:
        self.calls.append("serve")
        self.environment = dict(os.environ)
        self.entries = entries
        self.engine_config, self.config = entries[0].engine, config
        say("ready")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> RecordingServer:
    recorder = RecordingServer()
    monkeypatch.setitem(sys.modules, "cria.server.serve", recorder)  # type: ignore[arg-type]
    monkeypatch.setattr(cria.server, "serve", recorder, raising=False)
    return recorder


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.gguf"
    path.write_bytes(GGUF_HEADER)
    return str(path)


@pytest.fixture
def run(server: RecordingServer) -> Callable[..., Result]:
    """`run("serve", ..., CRIA_PORT="1")`: arguments, and the environment as keywords."""

    def invoke(*args: str, **environment: Any) -> Result:
        return CliRunner().invoke(group, args, env=environment)

    return invoke


@pytest.fixture
def settings(
    run: Callable[..., Result], server: RecordingServer, model: str
) -> Callable[..., dict[str, Any]]:
    """`settings("--port", "1", CRIA_HOST="h")`: what `cria serve MODEL ...` makes of it."""

    def serve(*args: str, **environment: str) -> dict[str, Any]:
        result = run("serve", model, *args, **environment)
        assert result.exit_code == 0, result.output
        return {**structs.asdict(server.config), **structs.asdict(server.engine_config)}

    return serve
