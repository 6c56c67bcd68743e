"""`encrypted_content`: thinking that a client keeps and gives back.

It hides nothing here, since whoever asks a server of their own may read what the model thinks; it
is base64, with a mark by which what another server has made is told from it.
"""

from __future__ import annotations

import base64
import binascii

_MARK = b"cria\0"


def sealed(text: str) -> str:
    """The text in a form that survives any client."""
    return base64.b64encode(_MARK + text.encode("utf-8", "replace")).decode()


def opened(text: str) -> str | None:
    """The text again; None for what was not made here."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data[len(_MARK) :].decode("utf-8", "replace") if data.startswith(_MARK) else None
