"""Model files with fewer bits a weight, made by llama.cpp in a process of its own.

1. The source is checked before llama.cpp sees it; if that ends the process all the same, the error
   is a sentence.
2. The target appears under its name only when it is whole.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from cria.drafts import drafted
from cria.errors import ModelFileError
from cria.model_file import Header, check_model_files
from cria.model_file.description import describe_file
from cria.model_file.file_types import FILE_TYPES
from cria.model_file.tensor_types import TYPES
from cria.native.quantizing import Wishes

__all__ = ["NUMBERS", "Job", "Wishes", "quantize", "size_of"]

Report = Callable[[int, int], None]

POLL_SECONDS = 0.2
NEED_IMPORTANCE = frozenset(
    {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "Q2_K_S"}
)
"""What llama.cpp makes of good quality, or at all, only with an importance matrix."""
NOT_MADE = frozenset({"MXFP4_MOE", "NVFP4", "Q1_0", "Q2_0"})
NUMBERS = {
    name: number
    for number, name in FILE_TYPES.items()
    if name not in NEED_IMPORTANCE and name not in NOT_MADE
}
"""Of `enum llama_ftype`, by the names of what can be made here."""


class Job(msgspec.Struct, frozen=True):
    """What the child process is to do."""

    source: str
    target: str
    wishes: Wishes


def quantize(job: Job, report: Report) -> None:
    """Make the file; ModelFileError says why that is impossible.

    `report` takes the bytes that are written, and about how many there will be.
    """
    source, target = Path(job.source), Path(job.target)
    headers = _checked(source)
    total = size_of(headers, job.wishes.file_type)
    try:
        if target.exists() and target.samefile(source):
            raise ModelFileError(f"{target} is the source itself; give another name.")
        _check_space(target.parent, total)
        with drafted(target) as draft:
            _run(msgspec.structs.replace(job, target=str(draft)), draft, total, report)
    except OSError as error:
        raise ModelFileError(f"Cannot write {target}: {error.strerror}.") from error
    report(total, total)


def size_of(headers: Sequence[Header], file_type: int) -> int:
    """About how many bytes the file will have."""
    name = FILE_TYPES[file_type]
    exact = [each for each in TYPES.values() if name.startswith(each.name)]
    like = [each for each in TYPES.values() if each.name.startswith(name.partition("_")[0])]
    kind = max(exact or like, key=lambda each: len(each.name))
    return sum(header.num_weights for header in headers) * kind.block_bytes // kind.block_length


def _checked(source: Path) -> list[Header]:
    headers = check_model_files(source)
    kind = describe_file(headers).kind
    if kind != "model":
        raise ModelFileError(f"{source} is no model (its type is {kind}).")
    return headers


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelFileError(
            f"The model will have about {needed // 10**6} MB, and in {folder} "
            f"{free // 10**6} MB are free."
        )


def _run(job: Job, draft: Path, total: int, report: Report) -> None:
    command = [sys.executable, "-m", "cria.quantize.child", msgspec.json.encode(job).decode()]
    log = draft.with_name("log")
    with log.open("wb") as errors, subprocess.Popen(command, stderr=errors) as child:
        try:
            while _is_running(child):
                written = draft.stat().st_size if draft.exists() else 0
                report(min(written, total - 1), total)
        finally:
            child.kill()
    if child.returncode:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise ModelFileError(lines[-1] if lines else f"llama.cpp cannot read {job.source}.")


def _is_running(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False
