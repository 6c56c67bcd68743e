from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cria.errors import NativeError, NativeLibraryError
from cria.native import library, signatures, structs
from cria.native.library import LIBRARY_DIR, Library

LAYOUT: dict[str, Any] = json.loads((LIBRARY_DIR / "layout.json").read_text())
"""What the probe printed when the libraries were built."""


def altered(change: str) -> dict[str, Any]:
    layout: dict[str, Any] = json.loads(json.dumps(LAYOUT))
    batch = layout["structs"]["llama_batch"]
    if change == "moved":
        batch["fields"]["pos"][0] += 8
    elif change == "renamed":
        batch["fields"]["position"] = batch["fields"].pop("pos")
    elif change == "grown":
        batch["size"] += 8
    elif change == "gone":
        del layout["structs"]["llama_batch"]
    elif change == "enum":
        layout["enums"]["LLAMA_SPLIT_MODE_ROW"] = 7
    return layout


def test_the_mirrors_match_the_probe() -> None:
    assert library.layout_differences(LAYOUT) == []
    assert set(LAYOUT["structs"]) == {mirror.__name__ for mirror in structs.MIRRORS}


def test_every_field_name_is_the_real_one() -> None:
    for mirror in structs.MIRRORS:
        real = LAYOUT["structs"][mirror.__name__]["fields"]
        assert set(structs.fields_of(mirror)) == set(real), mirror.__name__


@pytest.mark.parametrize("change", ["moved", "renamed", "grown", "gone", "enum"])
def test_any_difference_is_found(change: str) -> None:
    (difference,) = library.layout_differences(altered(change))
    assert "llama_batch" in difference or "LLAMA_SPLIT_MODE_ROW is 7, not 2" in difference


def test_the_canary_agrees_with_the_probe(native: Library) -> None:
    assert library.canary_differences(native) == []


def test_a_shifted_field_kills_the_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shifted(ctypes.Structure):
        _fields_ = [("moved", ctypes.c_int64), *structs.llama_context_params._fields_]

    rows = [
        row._replace(result=Shifted) if row.name == "llama_context_default_params" else row
        for row in signatures.LLAMA
    ]
    shifted = Library(LIBRARY_DIR)
    shifted.bind(ctypes.CDLL(str(library.find(LIBRARY_DIR, "llama"))), rows)
    assert library.canary_differences(shifted)


def test_missing_libraries_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NativeLibraryError, match=r"libllama\.\w+ is not in .*build_native\.py"):
        library.open_library(tmp_path)


def in_child(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Loading is once per process, so each way of loading gets a process."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin:/bin", **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


LOAD = "from cria.native import library; print(library.load().llama_version().decode())"


def copy_of_libraries(folder: Path) -> Path:
    shutil.copytree(LIBRARY_DIR, folder / "lib")
    return library.find(folder / "lib", "llama")


def test_another_libllama_is_used_if_its_layout_fits(tmp_path: Path) -> None:
    other = copy_of_libraries(tmp_path)
    code = f"{LOAD}; print(library.load().directory)"
    result = in_child(code, CRIA_LIBLLAMA=str(other))
    assert result.stdout.splitlines()[1:] == [str(other.parent)], result.stderr


def test_another_libllama_without_a_layout_file_is_judged_by_its_defaults(
    tmp_path: Path,
) -> None:
    other = copy_of_libraries(tmp_path)
    (other.parent / "layout.json").unlink()
    assert in_child(LOAD, CRIA_LIBLLAMA=str(other)).returncode == 0


def test_another_libllama_is_refused_if_its_layout_differs(tmp_path: Path) -> None:
    other = copy_of_libraries(tmp_path)
    (other.parent / "layout.json").write_text(json.dumps(altered("moved")))
    result = in_child(LOAD, CRIA_LIBLLAMA=str(other))
    assert "does not match these bindings: the fields of llama_batch differ" in result.stderr


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    fake = tmp_path / f"libllama{library.SUFFIX}"
    fake.write_text("no library")
    result = in_child(LOAD, CRIA_LIBLLAMA=str(fake))
    assert "NativeLibraryError" in result.stderr and str(fake) in result.stderr


def test_a_library_without_a_function_is_refused() -> None:
    with pytest.raises(NativeLibraryError, match="has no function llama_nonsense"):
        Library(LIBRARY_DIR).bind(
            ctypes.CDLL(str(library.find(LIBRARY_DIR, "llama"))),
            [signatures.Row("llama_nonsense", None, ())],
        )


def test_failures_of_rows_become_native_errors(native: Library, tiny_model: Any) -> None:
    with pytest.raises(NativeError, match="cria_token_to_piece failed"):
        native.cria_token_to_piece(tiny_model.vocab.pointer, 10**6, None, 0, 0, False)
    with pytest.raises(AttributeError, match="signatures"):
        native.llama_nonsense  # noqa: B018


def test_importing_loads_nothing() -> None:
    code = (
        "import cria.native.library, cria.native.model;"
        "print('libllama' in open('/proc/self/maps').read())"
    )
    if sys.platform == "linux":
        assert in_child(code).stdout.strip() == "False"


def test_the_wrong_kind_of_pointer_fails_in_python(native: Library, tiny_model: Any) -> None:
    with pytest.raises(ctypes.ArgumentError):
        native.llama_n_ctx(tiny_model.pointer)
