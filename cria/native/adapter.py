"""`LoraAdapter` and how a context computes with some: `set_adapters`, `set_control_vector`.

What llama.cpp leaves to its caller:

1. A model keeps a list of its adapters, unlocked: none may be made or freed while a context of the
   model computes.
2. A context keeps the pointers of the adapters that act, and compares the next ones with them: an
   adapter that is freed must not be among them, or a later one at the same address would pass for
   it.
3. Equal sets change nothing; another one makes the next batch plan its graph and memory anew.
4. The model frees what is left of its adapters: here each one keeps its model alive instead.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cria.errors import ModelFileError
from cria.native import log
from cria.native.handles import NativeHandle
from cria.native.library import Library
from cria.native.model import Model
from cria.native.signatures import AdapterPointer


class LoraAdapter(NativeHandle):
    """A `struct llama_adapter_lora` of one model."""

    def __init__(self, model: Model, path: str) -> None:
        """Load a checked file; ModelFileError says what llama.cpp found wrong with it."""
        self.model = model
        library = model.library
        pointer = library.llama_adapter_lora_init(model.pointer, os.fsencode(path))
        errors = log.drain(library, expected=not pointer)
        if not pointer:
            reason = (
                errors[0].rstrip(".").rpartition("lora adapter: ")[2] if errors else "no memory"
            )
            raise ModelFileError(f"The adapter {path} cannot be loaded: {reason}.")
        super().__init__(pointer, library.llama_adapter_lora_free)


def set_adapters(
    library: Library, context: NativeHandle, chosen: Sequence[tuple[LoraAdapter, float]]
) -> None:
    """Let these act from the context's next batch on, with their scales, and no others."""
    pointers = (AdapterPointer * len(chosen))(*(adapter.pointer for adapter, _ in chosen))
    scales = (ctypes.c_float * len(chosen))(*(scale for _, scale in chosen))
    library.llama_set_adapters_lora(context.pointer, pointers, len(chosen), scales)


def set_control_vector(
    library: Library,
    context: NativeHandle,
    directions: npt.NDArray[np.float32],
    layers: tuple[int, int],
) -> None:
    """Add `directions` [num_layers, width], the first of layer 1, from one layer to another one.

    Both ends of `layers` count.
    """
    data = np.ascontiguousarray(directions, np.float32)
    library.llama_set_adapter_cvec(
        context.pointer, data.ctypes.data, data.size, data.shape[1], *layers
    )
