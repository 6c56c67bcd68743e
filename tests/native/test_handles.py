from __future__ import annotations

import gc

import pytest

from cria.errors import NativeError
from cria.native.handles import NativeHandle


def test_close_frees_once() -> None:
    freed: list[str] = []
    handle = NativeHandle("pointer", freed.append)
    assert handle.pointer == "pointer" and not handle.closed
    handle.close()
    handle.close()
    assert freed == ["pointer"] and handle.closed


def test_use_after_close_is_a_python_error() -> None:
    handle = NativeHandle(1, lambda _: None)
    handle.close()
    with pytest.raises(NativeError, match="NativeHandle is closed"):
        handle.pointer  # noqa: B018


def test_garbage_collection_closes() -> None:
    freed: list[int] = []
    handle = NativeHandle(1, freed.append)
    del handle
    gc.collect()
    assert freed == [1]
