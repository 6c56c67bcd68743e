"""A `Source` over bytes, for the tests of what reads from one."""

from __future__ import annotations

import tempfile
import weakref

from cria.legacy.source import Source


def source_of(data: bytes) -> Source:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # it is closed with the source
    file.write(data)
    file.seek(0)
    source = Source(file)  # type: ignore[arg-type]  # a wrapper on some platforms
    weakref.finalize(source, file.close)
    return source
