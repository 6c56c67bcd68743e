"""A source tree is verified, recognised and complete, whether pinned, given or cloned."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cria_build import paths
from cria_build.cache import cache_dir
from cria_build.console import Console
from cria_build.source import Lock, fetch_locked, git_source, locked_source, read_lock, tree_source
from tests.build_native.asking import refused


def make_sdist(folder: Path, name: str = "llama_cpp_python-1.0") -> tuple[Path, Any]:
    """A source distribution with one header, and a lock that pins it."""
    folder.mkdir(parents=True)
    archive = folder / f"{name}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in ("vendor/llama.cpp/include/llama.h", "vendor/llama.cpp/.git", "setup.py"):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = 3
            tar.addfile(member, io.BytesIO(b"// "))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    lock = Lock("llama_cpp_python", "1.0", archive.name, archive.stat().st_size, digest,
                "vendor/llama.cpp", "0123abcde")  # fmt: skip
    return archive, lock


def test_the_lock_of_this_repository() -> None:
    lock = read_lock(paths.NATIVE / "llama.lock")
    assert lock.sdist == f"{lock.package}-{lock.version}.tar.gz"
    assert len(lock.sha256) == 64 and lock.bytes > 10**7 and lock.source == "vendor/llama.cpp"


@pytest.mark.parametrize("text", ["", "package = x\n", "bytes = many\n"])
def test_a_damaged_lock_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "llama.lock").write_text(text)
    assert "damaged" in refused(read_lock, tmp_path / "llama.lock")


def test_only_llama_cpp_is_unpacked(console: Any) -> None:
    _, lock = make_sdist(cache_dir() / "source" / "download")
    tree = locked_source(lock).tree
    fetch_locked(lock, tree, console)
    assert [path.name for path in tree.rglob("*") if path.is_file()] == ["llama.h"]
    assert sorted(path.name for path in tree.parent.iterdir()) == sorted(["download", tree.name])


def test_a_wrong_sha256_is_refused_and_forgotten(console: Any) -> None:
    archive, lock = make_sdist(cache_dir() / "source" / "download")
    archive.write_bytes(archive.read_bytes() + b"x")
    tree = locked_source(lock).tree
    assert lock.sha256 in refused(fetch_locked, lock, tree, console)
    assert not archive.exists() and not tree.exists()


def test_no_network_is_one_sentence(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, lock = make_sdist(cache_dir() / "elsewhere")
    lines = ["WARNING: Retrying: NewConnectionError(...): Temporary failure in name resolution"]
    monkeypatch.setattr(Console, "run", lambda *arguments: (1, lines))
    sentence = refused(fetch_locked, lock, locked_source(lock).tree, console)
    assert "network" in sentence and "--source" in sentence and lock.sdist in sentence


def test_source_trees_are_recognised(tmp_path: Path) -> None:
    header = tmp_path / "sdist" / "vendor" / "llama.cpp" / "include" / "llama.h"
    header.parent.mkdir(parents=True)
    header.write_text("// one")
    source = tree_source(tmp_path / "sdist")
    assert source.tree == header.parents[1]
    assert tree_source(tmp_path / "sdist") == source
    header.write_text("// two!")
    assert tree_source(tmp_path / "sdist").state != source.state
    assert "llama.h" in refused(tree_source, tmp_path)


def test_a_git_ref_is_cloned_and_a_branch_followed(
    tmp_path: Path, console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = tmp_path / "upstream"
    monkeypatch.setattr("cria_build.source.UPSTREAM", str(upstream))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(upstream)]
    subprocess.run(["git", "init", "-q", "-b", "master", str(upstream)], check=True)
    commit = [*git, "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(commit, check=True)
    subprocess.run([*git, "tag", "b1"], check=True)
    first = git_source("master", console)
    tagged = git_source("b1", console)
    subprocess.run(commit, check=True)
    assert git_source("b1", console) == tagged
    assert git_source("master", console).state != first.state == tagged.state
    assert "--git-ref" in refused(git_source, "no-such-ref", console)
    assert not (cache_dir() / "source" / "git-no-such-ref").exists()
