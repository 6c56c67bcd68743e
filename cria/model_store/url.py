"""Models at an address of their own: `https://host/path/file.gguf`."""

from __future__ import annotations

import hashlib
import logging
import os
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from cria.errors import ModelFileError, shown_name
from cria.model_store.download import (
    Interrupted,
    Remote,
    checksum,
    content_range,
    fetch_files,
    length_of,
    open_remote,
    patiently,
)
from cria.model_store.places import Progress, models_folder
from cria.model_store.specs import UrlSpec, is_private_line
from cria.model_store.split import set_of

FOLDER, RECORD = "url", "source.json"
logger = logging.getLogger(__name__)


class Record(msgspec.Struct, frozen=True):
    """Lies beside a fetched file, and says where it is from; `sha256` is that of the first file."""

    source: str
    sha256: str


def place_of(spec: UrlSpec) -> Path:
    """Each address has a folder of its own: files of the same name do not meet."""
    digest = hashlib.sha256(spec.url.encode()).hexdigest()[:16]
    return models_folder() / FOLDER / digest / spec.file_name


def find_url(spec: UrlSpec) -> Path | None:
    """The fetched file; ModelFileError if it is here with another checksum than wanted."""
    path = place_of(spec)
    if not all(path.with_name(name).is_file() for name in set_of(path.name)):
        return None
    record = read_record(path.parent)
    if spec.sha256 and (record is None or record.sha256 != spec.sha256):
        raise ModelFileError(
            f"{path} was fetched from there and has another checksum; remove it with `cria rm`."
        )
    return path


def read_record(folder: Path) -> Record | None:
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def fetch_url(spec: UrlSpec, report: Progress) -> Path:
    """Fetch the file, of a split set all files."""
    target, names = place_of(spec), set_of(spec.file_name)
    _check_names(spec, names)
    if not is_private_line(spec.url) and spec.sha256 is None:
        logger.warning(
            "%s is fetched without TLS: anybody on the way can change it; #sha256=... protects it.",
            shown_name(spec.url.partition("?")[0]),
        )
    fetch_files([_measured(spec, name) for name in names], target, report)
    _write_record(target.parent, Record(spec.url, checksum(target)))
    return target


def _check_names(spec: UrlSpec, names: list[str]) -> None:
    if names[0] != spec.file_name:
        raise ModelFileError(f"{spec.file_name} is a part of several; give the first: {names[0]}.")
    if len(names) > 1 and spec.sha256:
        raise ModelFileError(
            f"A checksum is of one file, and {spec.file_name} is the first of {len(names)}."
        )


def _measured(spec: UrlSpec, name: str) -> Remote:
    """Ask for one byte of a file, to know that it is there and how long it is."""
    parts = urlsplit(spec.url)
    folder = parts.path.rpartition("/")[0]
    is_given = name == spec.file_name
    url = spec.url if is_given else parts._replace(path=f"{folder}/{quote(name)}").geturl()
    try:
        with patiently(partial(open_remote, url, {"Range": "bytes=0-0"})) as response:
            span = content_range(response.headers)
            is_part = response.status_code == 206 and span is not None
            num_bytes = span[2] if is_part and span else length_of(response.headers)
    except Interrupted as error:
        shown = shown_name(url.partition("?")[0])
        raise ModelFileError(f"Cannot fetch {shown}: {error}.") from error
    if not num_bytes or (response.status_code == 206 and not is_part):
        raise ModelFileError(f"The server of {shown_name(name)} does not say how long it is.")
    return Remote(url, name, num_bytes, spec.sha256)


def _write_record(folder: Path, record: Record) -> None:
    """For its owner alone: an address may hold a key."""
    draft = folder / f".{RECORD}"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.encode(record))
    os.replace(draft, folder / RECORD)
