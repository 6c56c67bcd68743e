"""llama.cpp's quantisation of a model file."""

from __future__ import annotations

import ctypes
import os

import msgspec

from cria.errors import ModelFileError
from cria.native import log
from cria.native.library import Library

MAX_BUFFER_BYTES = 1 << 30
"""Of a tensor's rows, at the same time; llama.cpp's own limit is eight times as much."""


class Wishes(msgspec.Struct, frozen=True):
    """What becomes of the weights."""

    file_type: int
    """Of `enum llama_ftype`."""
    num_threads: int = 0
    """0: one for each core."""
    allow_requantize: bool = False
    """Start from weights that have lost precision already."""
    leave_output_tensor: bool = False
    pure: bool = False
    """All tensors as one type, without the exceptions that llama.cpp makes for quality."""


def quantize(library: Library, source: str, target: str, wishes: Wishes) -> None:
    """Write `target` from `source`; ModelFileError with llama.cpp's reason.

    It aborts on some files: do this in a child process.
    """
    params = library.llama_model_quantize_default_params()
    params.ftype = wishes.file_type
    params.nthread = wishes.num_threads
    params.allow_requantize = wishes.allow_requantize
    params.quantize_output_tensor = not wishes.leave_output_tensor
    params.pure = wishes.pure
    params.max_buf_size = MAX_BUFFER_BYTES
    paths = os.fsencode(source), os.fsencode(target)
    status = library.llama_model_quantize(*paths, ctypes.byref(params))
    errors = log.drain(library, expected=True)
    if status:
        raise ModelFileError(f"Cannot quantise {source}: {_reason(errors)}.")


def _reason(errors: list[str]) -> str:
    reason = errors[-1].rpartition("failed to quantize: ")[2].rstrip(".") if errors else "unknown"
    if reason.startswith("requantizing"):
        return f"{reason}; start from a file with F16, or say --allow-requantize"
    return reason
