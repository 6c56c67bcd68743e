"""The llama.cpp that is built: the pinned one, a folder of the user's, or a git ref.

1. The pinned archive is verified against native/llama.lock before anything of it is unpacked.
2. A tree appears in the cache complete or not at all.
3. Source.state changes whenever the tree's content does; it goes into the key.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cria_build import paths
from cria_build.build_tools import require_pip
from cria_build.cache import cache_dir
from cria_build.commands import output_of
from cria_build.console import Console
from cria_build.errors import BuildError, missing
from cria_build.options import Options
from cria_build.toolchain import plain_environment

UPSTREAM = "https://github.com/ggml-org/llama.cpp"

NETWORK_TROUBLE = re.compile(
    r"NewConnection|name resolution|Max retries|Connection(Error|Refused|Reset)|Proxy ?Error|"
    r"[Tt]imed out|SSLError|Connection (refused|broken|reset)|No route to host"
)


@dataclass(frozen=True)
class Lock:
    package: str
    version: str
    sdist: str
    bytes: int
    sha256: str
    source: str
    commit: str


def read_lock(path: Path) -> Lock:
    rows = (row.partition("=") for row in path.read_text().splitlines() if row[:1] != "#")
    values: dict[str, Any] = {name.strip(): value.strip() for name, sign, value in rows if sign}
    try:
        return Lock(**{**values, "bytes": int(values["bytes"])})
    except (KeyError, TypeError, ValueError) as error:
        raise BuildError(f"{path} is damaged ({error}): restore it from git.") from error


@dataclass(frozen=True)
class Source:
    """A llama.cpp tree; `state` changes whenever its content does."""

    tree: Path
    origin: str
    commit: str
    state: str


def find_source(options: Options, console: Console) -> Source:
    if options.source:
        return tree_source(options.source)
    if options.git_ref:
        return git_source(options.git_ref, console)
    return locked_source(read_lock(paths.NATIVE / "llama.lock"))


def locked_source(lock: Lock) -> Source:
    """Where the pinned tree is, or will be once `fetch_locked` has run."""
    name = f"{lock.package}-{lock.version}-{lock.sha256[:12]}"
    origin = f"{lock.package} {lock.version}"
    return Source(cache_dir() / "source" / name, origin, lock.commit, lock.sha256)


def fetch_locked(lock: Lock, tree: Path, console: Console) -> None:
    if tree.is_dir():
        return
    archive = tree.parent / "download" / lock.sdist
    archive.parent.mkdir(parents=True, exist_ok=True)
    if not archive.is_file():
        download(lock, archive, console)
    verify(archive, lock)
    unpack(archive, lock, tree)


def download(lock: Lock, archive: Path, console: Console) -> None:
    require_pip()
    console.say(f"      downloading {lock.sdist} ({lock.bytes / 1e6:.0f} MB)")
    # Not "--no-binary :all:", which compiles even the package's build backend from source.
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", lock.package]
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        command = [*pip, f"{lock.package}=={lock.version}", "-d", folder]
        code, lines = console.run(command, plain_environment())
        fetched = Path(folder) / lock.sdist
        if code != 0 or not fetched.is_file():
            raise download_failure(lock, archive.parent, lines)
        verify(fetched, lock)
        fetched.replace(archive)


def download_failure(lock: Lock, folder: Path, lines: Sequence[str]) -> BuildError:
    what = f"pip could not fetch {lock.package} {lock.version}"
    if NETWORK_TROUBLE.search("\n".join(lines)):
        what = f"pip could not reach the package index to fetch {lock.package} {lock.version}"
    ways = f"put {lock.sdist} into {folder}, or name a llama.cpp tree with --source"
    return BuildError(f"{what}: check the network and pip's settings, {ways}.", lines[-8:])


def verify(archive: Path, lock: Lock) -> None:
    """A wrong file is removed, so that the next run fetches it anew."""
    actual = sha256_of(archive)
    if actual == lock.sha256:
        return
    archive.unlink()
    raise BuildError(
        f"{archive.name} has the sha256 {actual}, but native/llama.lock pins {lock.sha256}: it "
        "was damaged or replaced on its way and has been removed; try again, or check the index."
    )


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def unpack(archive: Path, lock: Lock, tree: Path) -> None:
    """Only llama.cpp itself, and moved to its place when it is complete."""
    prefix = f"{lock.sdist.removesuffix('.tar.gz')}/{lock.source}"
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder, tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        # Not the file .git: it points to a repository that does not exist here.
        inside = (m for m in tar if m.name.startswith(f"{prefix}/") and m.name != f"{prefix}/.git")
        tar.extractall(folder, inside)
        unpacked = Path(folder) / prefix
        if not (unpacked / "include" / "llama.h").is_file():
            raise BuildError(f"{archive.name} has no {lock.source}: native/llama.lock is wrong.")
        unpacked.rename(tree)


def tree_source(folder: Path) -> Source:
    tops = (folder.expanduser().resolve(), folder.expanduser().resolve() / "vendor" / "llama.cpp")
    for tree in tops:
        if (tree / "include" / "llama.h").is_file():
            return Source(tree, str(tree), git_commit(tree), tree_state(tree))
    raise BuildError(f"--source {folder} is no llama.cpp tree: it has no include/llama.h.")


def git_commit(tree: Path) -> str:
    return output_of("git", "-C", tree, "rev-parse", "--short=9", "HEAD").strip() or "unknown"


def tree_state(tree: Path) -> str:
    """Names, sizes and times of what is compiled: cheap, and changed by every edit."""
    parts = ("CMakeLists.txt", "cmake", "include", "src", "ggml", "tools/mtmd", "common", "vendor")
    digest = hashlib.sha256()
    for top in (tree / part for part in parts):
        for path in sorted([top, *top.rglob("*")]):
            if path.is_file():
                status = path.stat()
                row = f"{path.relative_to(tree)} {status.st_size} {status.st_mtime_ns}\n"
                digest.update(row.encode())
    return digest.hexdigest()


def git_source(ref: str, console: Console) -> Source:
    """A clone per ref. Tags and commits never move; only a branch asks the network again."""
    if not shutil.which("git"):
        raise missing("git")
    tree = cache_dir() / "source" / ("git-" + re.sub(r"[^\w.-]", "_", ref))
    fixed = re.fullmatch(r"[0-9a-f]{7,40}|[bv]\d[\w.]*", ref)
    if not tree.is_dir():
        clone(ref, tree, console)
    elif not fixed:
        git(console, "-C", str(tree), "fetch", "--quiet", "origin", ref)
        git(console, "-C", str(tree), "checkout", "--quiet", "--detach", "FETCH_HEAD")
    state = output_of("git", "-C", tree, "rev-parse", "HEAD").strip()
    return Source(tree, f"git {ref}", git_commit(tree), state)


def clone(ref: str, tree: Path, console: Console) -> None:
    console.say(f"      cloning {UPSTREAM} at {ref}")
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
        new = f"{folder}/clone"
        git(console, "clone", "--quiet", "--filter=blob:none", "--no-checkout", UPSTREAM, new)
        branch = f"origin/{ref}"
        is_branch = output_of("git", "-C", new, "rev-parse", "--verify", "--quiet", branch)
        git(console, "-C", new, "checkout", "--quiet", "--detach", branch if is_branch else ref)
        Path(new).rename(tree)


def git(console: Console, *arguments: str) -> None:
    code, lines = console.run(["git", *arguments], {**os.environ, "GIT_TERMINAL_PROMPT": "0"})
    if code != 0:
        what = f"git could not get what --git-ref names from {UPSTREAM}"
        raise BuildError(f"{what}: check the name and the network.", lines[-5:])
