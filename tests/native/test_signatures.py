"""The tables against the libraries, and against the C headers where those are at hand."""

from __future__ import annotations

import ctypes
import inspect
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cria.native import library, signatures
from cria.native.library import LIBRARY_DIR
from cria.native.signatures import Row

TABLES = {"ggml": signatures.GGML, "llama": signatures.LLAMA, "cria_native": signatures.CRIA}
ROWS = [row for table in TABLES.values() for row in table]


@pytest.mark.parametrize("name", TABLES)
def test_every_function_exists_in_its_library(name: str) -> None:
    handle = ctypes.CDLL(str(library.find(LIBRARY_DIR, name)))
    missing = [row.name for row in TABLES[name] if not hasattr(handle, row.name)]
    assert missing == []


def prototypes() -> dict[str, str]:
    """Function name to the C prototype in the comment above its row."""
    source = inspect.getsource(signatures)
    comments = re.findall(r"((?:^    # .*\n)+)    Row\(\s*\"(\w+)\"", source, re.MULTILINE)
    return {
        name: " ".join(
            line.strip(" #") for line in text.splitlines() if not line.startswith("    # ---")
        )
        for text, name in comments
    }


def test_every_row_shows_its_prototype() -> None:
    found = prototypes()
    for row in ROWS:
        prototype = found[row.name]
        assert re.search(rf"\b{row.name}\(.*\);$", prototype), prototype
        parameters = re.findall(r"\((.*)\)", prototype)[0]
        count = 0 if parameters == "void" else parameters.count(",") + 1
        assert count == len(row.arguments), prototype


def headers() -> Path | None:
    """The source tree that the libraries were built from, if it is still there."""
    info = json.loads((LIBRARY_DIR / "BUILD_INFO.json").read_text())
    tree = Path(info.get("flags", {}).get("LLAMA_CPP_DIR", "/nonexistent"))
    found = [tree, tree / "vendor" / "llama.cpp"]
    return next((p for p in found if (p / "include" / "llama.h").is_file()), None)


def test_the_compiler_agrees_with_the_prototypes(tmp_path: Path) -> None:
    """Each prototype, declared again beside the headers: a difference does not compile."""
    tree, compiler = headers(), shutil.which("cc")
    if tree is None or compiler is None:
        pytest.skip("needs the source tree of the build and a C compiler")
    lines = ['#include "llama.h"', '#include "ggml-backend.h"']
    lines += [prototypes()[row.name] for row in (*signatures.GGML, *signatures.LLAMA)]
    source = tmp_path / "prototypes.c"
    source.write_text("\n".join(lines) + "\n")
    result = subprocess.run(
        [
            compiler,
            "-fsyntax-only",
            f"-I{tree / 'include'}",
            f"-I{tree / 'ggml' / 'include'}",
            str(source),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def c_size(text: str) -> int | None:
    """Bytes of a parameter's type as the C text has it; None for structs by value."""
    text = text.strip()
    if "*" in text or re.search(r"_t\b", text) and re.search(r"memory_t|dev_t|callback", text):
        return ctypes.sizeof(ctypes.c_void_p)
    sizes = {"size_t": 8, "uint64_t": 8, "float": 4, "bool": 1, "void": 0}
    for word, size in sizes.items():
        if re.search(rf"\b{word}\b", text):
            return size
    if re.search(r"\b(u?int32_t|int|llama_token|llama_pos|llama_seq_id|enum)\b", text):
        return 4
    return None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_ctypes_of_a_row_have_the_sizes_of_its_prototype(row: Row) -> None:
    result, parameters = re.match(rf"(.*?)\b{row.name}\((.*)\);", prototypes()[row.name]).groups()  # type: ignore[union-attr]  # the test above proves that it matches
    pairs = [(result, row.result), *zip(parameters.split(","), row.arguments, strict=False)]
    for text, kind in pairs:
        expected = c_size(text)
        if expected is not None:
            assert (0 if kind is None else ctypes.sizeof(kind)) == expected, (text, kind)
