"""`Model`: weights and metadata of one GGUF file."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cached_property

import msgspec

from cria.errors import ModelFileError
from cria.native import log, structs
from cria.native.handles import NativeHandle
from cria.native.library import Library
from cria.native.signatures import ProgressCallback
from cria.native.vocab import Vocab

SPLIT_MODES = {
    name: structs.ENUMS[f"LLAMA_SPLIT_MODE_{name.upper()}"]
    for name in ("none", "layer", "row", "tensor")
}

NEVER_CAUSAL = frozenset({"gemma-embedding"})
"""Architectures whose files need not say that they only embed."""

POOLING_TYPES = {
    name: structs.ENUMS[f"LLAMA_POOLING_TYPE_{name.upper()}"]
    for name in ("none", "mean", "cls", "last", "rank")
}
_POOLING_NAMES = {str(value): name for name, value in POOLING_TYPES.items()}


class ModelOptions(msgspec.Struct, frozen=True):
    """How to load; the defaults load the weights into main memory by mmap."""

    vocab_only: bool = False
    num_gpu_layers: int = 0
    """-1 is all of them."""
    main_gpu: int = 0
    split_mode: str = "layer"
    tensor_split: tuple[float, ...] = ()
    use_mmap: bool = True


class Model(NativeHandle):
    """A loaded model (`struct llama_model`); read-only, and free to share between threads."""

    def __init__(
        self,
        library: Library,
        path: str,
        options: ModelOptions | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Load `path`; ModelFileError says what llama.cpp found wrong with it."""
        self.library = library
        self.path = path
        progress = _Progress(on_progress)
        params, keep_alive = _params(library, options or ModelOptions(), progress)
        pointer = library.llama_model_load_from_file(os.fsencode(path), params)
        errors = log.drain(library, expected=not pointer)
        del keep_alive
        progress.raise_error()
        if not pointer:
            raise ModelFileError(f"{path} cannot be loaded: {_reason(errors)}.")
        super().__init__(pointer, library.llama_model_free)

    @cached_property
    def vocab(self) -> Vocab:
        """The model's vocabulary; it lives as long as the model."""
        return Vocab(self.library, self)

    @property
    def num_layers(self) -> int:
        return int(self._number("block_count", 0))

    @property
    def num_parameters(self) -> int:
        return int(self.library.llama_model_n_params(self.pointer))

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors."""
        return int(self.library.llama_model_size(self.pointer))

    @property
    def has_decoder(self) -> bool:
        """False for models that only embed: every token sees those after it too."""
        return (
            bool(self.library.llama_model_has_decoder(self.pointer))
            and self.metadata(f"{self.architecture}.attention.causal") != "false"
            and self.architecture not in NEVER_CAUSAL
        )

    @property
    def can_embed(self) -> bool:
        """False for models with an encoder and a decoder: which one is to embed?"""
        library = self.library
        return not (
            library.llama_model_has_encoder(self.pointer)
            and library.llama_model_has_decoder(self.pointer)
        )

    @property
    def pooling(self) -> str:
        """A name of `config.POOLINGS`, as the file says; `none` if it says nothing."""
        value = self.metadata(f"{self.architecture}.pooling_type") or ""
        return _POOLING_NAMES.get(value, "none")

    @property
    def embedding_size(self) -> int:
        """Numbers in an embedding."""
        return int(self.library.llama_model_n_embd_out(self.pointer))

    @property
    def num_classes(self) -> int:
        """Numbers that the classification head gives; of a reranker 1 or 2."""
        return int(self.library.llama_model_n_cls_out(self.pointer))

    @property
    def has_plain_cache(self) -> bool:
        """Every layer keeps keys and values of every token, so that any of them can be removed.

        Recurrent layers keep one state instead, and sliding windows forget.
        """
        library = self.library
        return not (
            library.llama_model_is_recurrent(self.pointer)
            or library.llama_model_is_hybrid(self.pointer)
            or library.llama_model_n_swa(self.pointer)
        )

    @property
    def architecture(self) -> str:
        return self.metadata("general.architecture") or ""

    @property
    def training_context(self) -> int:
        """Tokens of context that the model was trained with; 0 if the file does not say."""
        return int(self._number("context_length", 0))

    def kv_bytes_per_token(self, type_k_bytes: float, type_v_bytes: float) -> float:
        """Bytes of KV cache that one token takes, estimated from the shape of the attention.

        An upper bound for models whose layers differ (sliding windows, recurrent layers). Read
        from the metadata: llama.cpp's own getters abort on a model without weights.
        """
        heads = self._number("attention.head_count", 1)
        head_size = self._number("embedding_length", 0) / heads
        key = self._number("attention.key_length", head_size)
        value = self._number("attention.value_length", head_size)
        per_head = key * type_k_bytes + value * type_v_bytes
        return self.num_layers * self._number("attention.head_count_kv", heads) * per_head

    def chat_template(self, name: str | None = None) -> str | None:
        """The Jinja source of `tokenizer.chat_template`, or of the one with a name of its own."""
        encoded = None if name is None else name.encode()
        source = self.library.llama_model_chat_template(self.pointer, encoded)
        return None if source is None else source.decode("utf-8", "replace")

    def metadata(self, key: str) -> str | None:
        """A scalar of the file's metadata as text; None if absent or an array."""
        name = key.encode()
        size = self.library.llama_model_meta_val_str(self.pointer, name, None, 0)
        if size < 0:
            return None
        text = ctypes.create_string_buffer(size + 1)
        self.library.llama_model_meta_val_str(self.pointer, name, text, size + 1)
        return text.value.decode("utf-8", "replace")

    def _number(self, name: str, default: float) -> float:
        """A positive number from the architecture's metadata."""
        value = self.metadata(f"{self.architecture}.{name}") or ""
        return float(value) if value.isdigit() and value != "0" else default


def _params(
    library: Library, options: ModelOptions, progress: _Progress
) -> tuple[structs.llama_model_params, list[object]]:
    """The C struct, and the Python objects that it points into."""
    params = library.llama_model_default_params()
    params.vocab_only = options.vocab_only
    params.n_gpu_layers = options.num_gpu_layers
    params.main_gpu = options.main_gpu
    params.split_mode = SPLIT_MODES[options.split_mode]
    if not options.use_mmap:
        params.load_mode = structs.ENUMS["LLAMA_LOAD_MODE_NONE"]
    callback = ProgressCallback(progress)
    params.progress_callback = ctypes.cast(callback, ctypes.c_void_p)
    keep_alive: list[object] = [callback]
    if options.tensor_split:
        shares = (ctypes.c_float * library.llama_max_devices())(*options.tensor_split)
        params.tensor_split = ctypes.cast(shares, ctypes.POINTER(ctypes.c_float))
        keep_alive.append(shares)
    return params, keep_alive


class _Progress:
    """C's callback: False stops the load. An exception waits until C has returned."""

    def __init__(self, on_progress: Callable[[float], None] | None) -> None:
        self._on_progress = on_progress
        self._error: BaseException | None = None

    def __call__(self, fraction: float, _user_data: object) -> bool:
        try:
            if self._on_progress is not None:
                self._on_progress(fraction)
        except BaseException as error:
            self._error = error
        return self._error is None

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _reason(errors: list[str]) -> str:
    """The most telling line: llama.cpp reports the cause first and its consequences after."""
    if not errors:
        return "llama.cpp gives no reason (see the log at level debug)"
    return errors[0].removeprefix("llama_model_load: ").rstrip(".")
