"""What the process that asks the hub tells the one that has started it."""

from __future__ import annotations

import msgspec


class HubFile(msgspec.Struct, frozen=True):
    """A file of a repository; the checksum is known of large ones."""

    path: str
    num_bytes: int
    sha256: str | None
    url: str


class Listing(msgspec.Struct, frozen=True, tag="listing"):
    """All files of a repository, as of one commit."""

    files: list[HubFile]


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """`kind` is one of `gated`, `missing`, `offline`, `refused` and `unreachable`."""

    kind: str
    detail: str = ""


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Listing | Failure).decode
