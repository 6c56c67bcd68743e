"""From a name or a path to a file: what is taken and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cria import model_store
from cria.errors import ModelFileError
from tests.model_file.building import gguf

GGUF_HEADER = gguf({"general.architecture": "llama"})


def refuse(done: int, total: int) -> None:
    raise AssertionError("nothing was to be fetched")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(GGUF_HEADER)
    return path


class TestOwnFiles:
    def test_a_gguf_is_taken(self, model: Path) -> None:
        assert model_store.resolve(str(model), refuse) == model

    def test_a_relative_path_becomes_absolute(
        self, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(model.parent)
        assert model_store.resolve("model.gguf", refuse) == model

    def test_the_home_folder_may_be_meant(
        self, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(model.parent))
        assert model_store.resolve("~/model.gguf", refuse) == model

    def test_what_is_no_gguf_is_refused(self, model: Path) -> None:
        model.write_bytes(b"PK\x03\x04")
        with pytest.raises(ModelFileError, match="is not a GGUF file"):
            model_store.resolve(str(model), refuse)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="No such file"):
            model_store.resolve(str(tmp_path / "nope.gguf"), refuse)

    def test_an_unknown_name_lists_the_known_ones(self) -> None:
        with pytest.raises(
            ModelFileError, match="no model of that name; known: all-minilm-l6-v2, smollm2"
        ):
            model_store.resolve("gpt-4", refuse)


class TestFind:
    def test_a_file(self, model: Path) -> None:
        assert model_store.find(str(model)) == model

    def test_what_is_not_there_is_not_fetched(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert model_store.find("smollm2") is None
        assert model_store.find(str(tmp_path)) is None
        assert not (tmp_path / "cria").exists()
