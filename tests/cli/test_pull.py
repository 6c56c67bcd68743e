from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cria.cli import cria as group
from cria.errors import ModelFileError
from tests.model_store.conftest import MODEL, cache, server
from tests.model_store.file_server import FileServer

__all__ = ["cache", "server"]


def test_the_path_is_all_that_is_printed(server: FileServer) -> None:
    done = CliRunner().invoke(group, ["pull", f"{server.url}/a/model.gguf"])
    path = Path(done.stdout.strip())
    assert path.read_bytes() == MODEL and "Fetching" in done.stderr


def test_what_cannot_be_fetched_is_a_sentence(server: FileServer) -> None:
    with pytest.raises(ModelFileError, match="There is no"):
        CliRunner().invoke(group, ["pull", f"{server.url}/none.gguf"], catch_exceptions=False)
