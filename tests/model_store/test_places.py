from __future__ import annotations

from pathlib import Path

import pytest

from cria import model_store


class TestFolder:
    def test_xdg(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "/c")
        assert model_store.models_folder() == Path("/c/cria/models")

    @pytest.mark.parametrize("value", ["", "relative"])
    def test_otherwise_home(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        monkeypatch.setenv("HOME", "/h")
        assert model_store.models_folder() == Path("/h/.cache/cria/models")
