from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cria.model_store import download
from tests.model_file.building import gguf
from tests.model_store.file_server import FileServer, file_server

MODEL = gguf({"general.architecture": "llama", "general.name": "x" * 5000})


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        running.files["/a/model.gguf"] = MODEL
        yield running


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fetched models go; nothing waits between two tries, and pieces are small."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(download, "RECEIVE_BYTES", 500)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "cria" / "models"
