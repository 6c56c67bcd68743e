"""A private file goes with the server; the operator's stays."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cria.config import ServerConfig
from cria.errors import SetupError
from cria.server.response_file import PREFIX, kept_responses, remove_private


def test_a_private_file_goes_with_the_server() -> None:
    with kept_responses(ServerConfig(strict=True)) as config:
        assert config.strict and config.response_store
        folder = Path(config.response_store).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        Path(config.response_store).touch()
    assert not folder.exists()


def test_what_a_killed_server_has_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, other = tmp_path / f"{PREFIX}left", tmp_path / "other"
    for folder in (left, other):
        folder.mkdir()
        (folder / "responses.sqlite").touch()
    with kept_responses(ServerConfig()) as first, kept_responses(ServerConfig()) as second:
        assert not left.exists() and other.exists()
        assert first.response_store != second.response_store
        assert first.response_store and Path(first.response_store).parent.exists()
        assert second.response_store is not None
        remove_private(second.response_store)
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [other]


def test_what_is_no_folder_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.open", partial(not_waiting, os.open))
    os.mkfifo(tmp_path / f"{PREFIX}pipe")
    with kept_responses(ServerConfig()):
        assert (tmp_path / f"{PREFIX}pipe").exists()


def not_waiting(opened: Callable[..., int], path: str, flags: int, *args: int) -> int:
    """A pipe that was opened without this flag would be waited for."""
    assert "pipe" not in path or flags & os.O_DIRECTORY
    return opened(path, flags, *args)


def test_the_operators_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "store"
    given = ServerConfig(response_store=str(path))
    with kept_responses(given) as config:
        assert config == given
    assert path.exists()


def test_without_a_store_there_is_no_file() -> None:
    with kept_responses(ServerConfig(response_store=None)) as config:
        assert config.response_store is None


def test_what_is_no_store_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no database" * 1000)
    with pytest.raises(SetupError), kept_responses(ServerConfig(response_store=str(path))):
        pytest.fail("it was used")
