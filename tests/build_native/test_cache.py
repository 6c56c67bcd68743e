"""The cache folder: enough space, one build at a time, and nothing kept for ever."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from cria_build.cache import cache_dir, check_disk, clean, exclusive, prune
from cria_build.options import Options
from tests.build_native.asking import refused


def test_a_full_disk_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cria_build.cache.DISK_GIB", {"cpu": 1e9})
    assert "XDG_CACHE_HOME" in refused(check_disk, Options(), tmp_path)


def test_builds_wait_for_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def flock(file: object, mode: int) -> None:
        asked.append(mode)
        if mode & fcntl.LOCK_NB:
            raise BlockingIOError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        with exclusive(tmp_path):
            pass
    assert asked == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX]
    assert "another build" in capsys.readouterr().out


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_dir() == Path("/elsewhere/cria")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_dir() == Path.home() / ".cache" / "cria"


def test_clean_keeps_what_was_downloaded(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("build/one", "source/tree", "source/download", "tools/cmake"):
        (cache / name).mkdir(parents=True)
    clean(cache)
    left = sorted(str(path.relative_to(cache)) for path in cache.rglob("*"))
    assert left == ["source", "source/download", "tools", "tools/cmake"]


def test_prune_keeps_the_newest(tmp_path: Path) -> None:
    logs = tmp_path / "log"
    logs.mkdir()
    for age, name in enumerate(("new", "old", "older", "oldest")):
        entry = logs / name
        entry.mkdir() if age % 2 else entry.touch()
        os.utime(entry, (1000 - age, 1000 - age))
    prune(logs, 2)
    assert sorted(path.name for path in logs.iterdir()) == ["new", "old"]
