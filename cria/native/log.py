"""llama.cpp's log, from the ring in `cria_native` to Python's logging."""

from __future__ import annotations

import ctypes
import logging

from cria.native.library import Library
from cria.native.structs import ENUMS

logger = logging.getLogger("cria.llama")

LEVELS = {
    ENUMS["GGML_LOG_LEVEL_DEBUG"]: logging.DEBUG,
    ENUMS["GGML_LOG_LEVEL_INFO"]: logging.DEBUG,  # a model load writes some hundred of these
    ENUMS["GGML_LOG_LEVEL_WARN"]: logging.DEBUG,  # mostly about choices that are ours on purpose
    ENUMS["GGML_LOG_LEVEL_ERROR"]: logging.ERROR,
}
MAX_RECORD_BYTES = 4096


def drain(library: Library, *, expected: bool = False) -> list[str]:
    """Log every record of the ring; returns the errors among them, oldest first.

    `expected` errors are logged as details only.
    """
    text = ctypes.create_string_buffer(MAX_RECORD_BYTES)
    errors = []
    while (level := library.cria_log_next(text, MAX_RECORD_BYTES)) >= 0:
        message = text.value.decode("utf-8", "replace").strip()
        shown = logging.DEBUG if expected else LEVELS.get(level, logging.DEBUG)
        logger.log(shown, "%s", message)
        if level == ENUMS["GGML_LOG_LEVEL_ERROR"] and message:
            errors.append(message)
    return errors
