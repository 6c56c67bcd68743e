"""A first decode with freshly built libraries, in a process that may die of it.

    python -m cria.native.self_check --lib DIR --model FILE

`build_native.py` runs this as a child before it installs what it built. A CPU that advertises
instructions which its hypervisor forbids kills the process here, not on the first user's request.
Needs the standard library only. Prints one line of JSON; exit code 0 is success, 1 a mismatch, and
3 means that another compiler has to build the libraries.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

from cria.errors import CriaError, NativeError
from cria.native.library import Library, open_library
from cria.native.structs import llama_batch

TEXT, NUM_TEXT_TOKENS = b"hello 2 it's", 10
"""`he` and `ll` are the only merges of the small vocabulary."""

NUM_PROMPT_TOKENS = 33
"""More than one SIMD tile in each direction, and no multiple of one."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lib", type=Path, required=True, help="folder with the libraries")
    parser.add_argument("--model", required=True, help="a small GGUF file")
    parser.add_argument("--vocab", required=True, help="a GGUF file with a byte-pair vocabulary")
    options = parser.parse_args(arguments)
    own = own_cxx(options.lib)
    if own:
        reason = f"{', '.join(own)}: the compiler links the C++ library statically, which crashes"
        sys.stdout.write(json.dumps({"ok": False, "reason": f"{reason} beside others"}) + "\n")
        return 3
    try:
        library = open_library(options.lib)
        split_text(library, options.vocab)
        logit = first_logit(library, options.model)
    except CriaError as error:
        sys.stdout.write(json.dumps({"ok": False, "reason": str(error)}) + "\n")
        return 1
    report = {"ok": True, "version": library.llama_version().decode(), "logit": logit}
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


class _Location(ctypes.Structure):
    """Dl_info of dlfcn.h."""

    _fields_ = [
        ("dli_fname", ctypes.c_char_p),
        ("dli_fbase", ctypes.c_void_p),
        ("dli_sname", ctypes.c_char_p),
        ("dli_saddr", ctypes.c_void_p),
    ]


def own_cxx(folder: Path) -> list[str]:
    """The libraries that carry a C++ standard library of their own.

    Beside the one that Python's other packages load, calls end up in the wrong copy. The process
    survives that until something uses std::regex or a locale.
    """
    return [path.name for path in sorted(folder.glob("lib*.so*")) if _defines_cxx(path)]


def _defines_cxx(path: Path) -> bool:
    handle, location = ctypes.CDLL(str(path)), _Location()
    try:
        symbol = ctypes.cast(handle["_ZNSt6localeC1Ev"], ctypes.c_void_p)  # std::locale::locale()
    except AttributeError:
        return False
    found = ctypes.CDLL(None).dladdr(symbol, ctypes.byref(location))
    return bool(found) and os.path.samefile(os.fsdecode(location.dli_fname), path)


def first_logit(library: Library, path: str) -> float:
    """Decode a prompt and then a single token; a finite number from the last row of logits."""
    params = library.llama_model_default_params()
    model = library.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise NativeError(f"the libraries cannot load the small test model {path}")
    context_params = library.llama_context_default_params()
    context_params.n_ctx = 256
    context_params.n_threads = context_params.n_threads_batch = 2
    context = library.llama_init_from_model(model, context_params)
    if not context:
        raise NativeError("the libraries cannot create a context for the small test model")
    _decode(library, context, [1] * NUM_PROMPT_TOKENS)
    logit = _decode(library, context, [1])
    library.llama_free(context)
    library.llama_model_free(model)
    return logit


def split_text(library: Library, path: str) -> None:
    """Load a vocabulary and tokenise: the part of libllama that uses std::regex."""
    params = library.llama_model_default_params()
    params.vocab_only = True
    model = library.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise NativeError(f"the libraries cannot load the small vocabulary {path}")
    tokens = (ctypes.c_int32 * 64)()
    vocab = library.llama_model_get_vocab(model)
    count = library.cria_tokenize(vocab, TEXT, len(TEXT), tokens, 64, False, False)
    library.llama_model_free(model)
    if count != NUM_TEXT_TOKENS:
        raise NativeError(f"tokenising {TEXT!r} gives {count} tokens, not {NUM_TEXT_TOKENS}")


def _decode(library: Library, context: Any, tokens: list[int]) -> float:
    array = (ctypes.c_int32 * len(tokens))(*tokens)
    batch = llama_batch(n_tokens=len(tokens), token=ctypes.addressof(array))
    limits = (max(tokens) + 1, 1, len(tokens), len(tokens))
    code = library.cria_decode(context, ctypes.byref(batch), *limits)
    if code:
        raise NativeError(f"decoding {len(tokens)} tokens failed with code {code}")
    logit = float(library.llama_get_logits_ith(context, -1)[0])
    if logit != logit or abs(logit) == float("inf"):
        raise NativeError(f"decoding gives a logit of {logit}: the computation is wrong")
    return logit


if __name__ == "__main__":
    sys.exit(main())
