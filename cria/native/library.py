"""Find, check and load the shared libraries: once, on first use, never at import.

1. Never RTLD_GLOBAL: another libstdc++ or libggml in the process must not mix with ours.
2. No call is made before the layout of the structs is known to be the one in `structs.py`.
3. `CRIA_LIBLLAMA` names another libllama; it is used if its layout fits, and refused if not.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cria.errors import NativeError, NativeLibraryError
from cria.native import signatures, structs
from cria.native.signatures import Row

LIBRARY_DIR = Path(__file__).parent / "lib"
SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"
BUILD_HINT = "Run `python build_native.py` in Cria's source folder."


class Library:
    """The native functions, as attributes, each with its ctypes signature and error check."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name} is not in cria/native/signatures.py")

    def bind(self, handle: ctypes.CDLL, rows: Iterable[Row]) -> None:
        """Make the functions of `rows` attributes; a missing one is a NativeLibraryError."""
        for row in rows:
            try:
                function = getattr(handle, row.name)
            except AttributeError:
                raise NativeLibraryError(
                    f"{handle._name} has no function {row.name}: it is not the llama.cpp version "
                    f"that these bindings describe. {BUILD_HINT}"
                ) from None
            function.restype, function.argtypes = row.result, row.arguments
            if row.fails is not None:
                function.errcheck = self._checker(row.name, row.fails)
            setattr(self, row.name, function)

    def _checker(self, name: str, fails: Callable[[Any], bool]) -> Callable[..., Any]:
        def check(result: Any, _function: object, _arguments: object) -> Any:
            if fails(result):
                raise NativeError(self._reason(name, result))
            return result

        return check

    def _reason(self, name: str, result: Any) -> str:
        if name.startswith("cria_"):
            return f"{name} failed: {self.cria_last_error().decode('utf-8', 'replace')}"
        return f"{name} failed (returned {result})"


@functools.cache
def load() -> Library:
    """The libraries of this installation; NativeLibraryError if there are none that fit.

    Call `hide_gpus()` first where no GPU is wanted: this enumerates the devices.
    """
    return open_library(_directory(), os.environ.get("CRIA_LIBLLAMA"))


def check_installed() -> None:
    """NativeLibraryError if there is nothing to load; cheap, and loads nothing."""
    _directory()


def hide_gpus() -> None:
    """Keep this process off the GPUs: only the engine process computes.

    Has no effect on child processes that get an environment of their own.
    """
    os.environ.update(CUDA_VISIBLE_DEVICES="", HIP_VISIBLE_DEVICES="", GGML_VK_VISIBLE_DEVICES="")


def open_library(directory: Path, libllama: str | None = None) -> Library:
    """Load from `directory`, or libllama from the file `libllama` and the rest beside it."""
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # an abort would fork a debugger, for seconds
    llama_path = Path(libllama) if libllama else find(directory, "llama")
    library = Library(llama_path.parent)
    llama = _open(llama_path)
    library.bind(_open(_beside(llama_path, directory, "ggml")), signatures.GGML)
    library.bind(llama, signatures.LLAMA)
    check_layout(library)
    library.bind(_open(_beside(llama_path, directory, "cria_native")), signatures.CRIA)
    _check_identity(library, llama)
    library.cria_log_start(structs.ENUMS["GGML_LOG_LEVEL_INFO"])
    if library.ggml_backend_dev_count() == 0:  # the backends are plug-ins, not linked in
        library.ggml_backend_load_all_from_path(os.fsencode(library.directory))
    library.llama_backend_init()
    return library


def find(directory: Path, name: str) -> Path:
    """The file of library `name`, with or without a version in its file name."""
    found = find_all(directory, name)
    if not found:
        raise NativeLibraryError(
            f"The native library lib{name}{SUFFIX} is not in {directory}. {BUILD_HINT}"
        )
    return found[0]


def find_all(directory: Path, name: str) -> list[Path]:
    """All files of library `name`, the shortest file name first."""
    return sorted(p for p in directory.glob(f"lib{name}.*") if SUFFIX in p.name)


def check_layout(library: Library) -> None:
    """Compare the layout file beside the library, or else its defaults, with `structs.py`."""
    file = library.directory / "layout.json"
    differences = (
        layout_differences(json.loads(file.read_text()))
        if file.is_file()
        else canary_differences(library)
    )
    if differences:
        raise NativeLibraryError(
            f"The libllama in {library.directory} does not match these bindings: "
            f"{'; '.join(differences[:3])}. {BUILD_HINT}"
        )


def layout_differences(layout: dict[str, Any]) -> list[str]:
    """What `layout` (as printed by native/abi_probe.c) and the mirrors disagree on."""
    differences = []
    for mirror in structs.MIRRORS:
        real = layout["structs"].get(mirror.__name__)
        if real is None:
            differences.append(f"{mirror.__name__} is missing")
        elif real["size"] != ctypes.sizeof(mirror):
            differences.append(
                f"{mirror.__name__} has {real['size']} bytes, not {ctypes.sizeof(mirror)}"
            )
        elif real["fields"] != structs.fields_of(mirror):
            differences.append(f"the fields of {mirror.__name__} differ")
    enums = layout.get("enums", {})
    for name, value in structs.ENUMS.items():
        if enums.get(name, value) != value:
            differences.append(f"{name} is {enums[name]}, not {value}")
    return differences


def canary_differences(library: Library) -> list[str]:
    """Default parameters that are not what this layout should show."""
    pairs = (
        (library.llama_model_default_params(), signatures.MODEL_CANARY),
        (library.llama_context_default_params(), signatures.CONTEXT_CANARY),
    )
    return [
        f"the default of {name} reads {getattr(params, name)!r}, not {expected!r}"
        for params, canary in pairs
        for name, expected in canary.items()
        if getattr(params, name) != expected
    ]


def _directory() -> Path:
    if not LIBRARY_DIR.is_dir() and "CRIA_LIBLLAMA" not in os.environ:
        raise NativeLibraryError(f"The native libraries are not built yet. {BUILD_HINT}")
    return LIBRARY_DIR


def _beside(llama_path: Path, directory: Path, name: str) -> Path:
    return (find_all(llama_path.parent, name) or [find(directory, name)])[0]


def _open(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NativeLibraryError(f"{path} cannot be loaded: {error}. {BUILD_HINT}") from None


def _check_identity(library: Library, llama: ctypes.CDLL) -> None:
    """Two copies of libllama in one process would corrupt each other's state."""
    called = ctypes.cast(llama.llama_decode, ctypes.c_void_p).value
    if library.cria_llama_identity() != called:
        raise NativeLibraryError(
            f"libcria_native was built for another libllama than {llama._name}. {BUILD_HINT}"
        )
