"""Files from web servers into a draft: broken off, gone on with, checked, and only then there.

1. What has come of a file stays in its draft's folder, with what the server said of it. The next
   try asks for the rest, on the condition (`If-Range`) that the file is still the same (RFC 9110,
   section 14).
2. A server's word about a size is taken once, and everything later is held against it.
3. The first file of a split set appears last, so that a set is there as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cria import __version__
from cria.drafts import drafted, flush
from cria.errors import ModelFileError, shown_name
from cria.model_file import check_model_file
from cria.model_store.places import Progress
from cria.model_store.specs import is_private_line

if TYPE_CHECKING:
    # Only for types: `cria serve` changes the standard library before it may be imported.
    import requests

COPY_BYTES = 1024 * 1024
RECEIVE_BYTES = 64 * 1024
"""What is lost at most when a connection ends."""
MAX_REDIRECTS = 10
TIMEOUTS = (10.0, 60.0)
"""Seconds to connect, and of silence."""
MAX_FAILURES = 4
"""Tries in a row that bring nothing."""
WAIT_SECONDS = 1.0
RETRIED = (408, 429, 500, 502, 503, 504)
MAGIC = b"GGUF"

_CONTENT_RANGE = re.compile(r"bytes (?P<start>\d{1,18})-(?P<end>\d{1,18})/(?P<total>\d{1,18})")
_LENGTH = re.compile(r"\d{1,18}")


class Remote(msgspec.Struct, frozen=True):
    """A file on a server; `headers` are for that server alone, not for where it points to."""

    url: str
    file_name: str
    num_bytes: int
    sha256: str | None = None
    headers: Mapping[str, str] = {}

    @property
    def shown(self) -> str:
        """For a sentence: without the query, which may hold a secret."""
        return shown_name(self.url.partition("?")[0])


class Told(msgspec.Struct, frozen=True):
    """What a server has said of a file, kept beside what has come of it."""

    url: str
    num_bytes: int
    validator: str


class NoModel(ModelFileError):
    """What came is not what was wanted; going on with it would not help."""


class Interrupted(Exception):
    """The server or the way to it failed; the next try may do better."""


def fetch_files(remotes: Sequence[Remote], target: Path, report: Progress) -> None:
    """Fetch a model's files, the first one as `target` and the others beside it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with drafted(target, resume=True) as draft:
            # Another process may have fetched it, while this one has waited for its turn.
            if not target.exists():
                try:
                    _fetch_all(remotes, draft.parent, report)
                    _check(draft, remotes)
                except NoModel:
                    shutil.rmtree(draft.parent)
                    raise
                for remote in remotes[1:]:
                    flush(draft.parent / remote.file_name)
                    os.replace(draft.parent / remote.file_name, target.parent / remote.file_name)
    except OSError as error:
        reason = error.strerror or error
        raise ModelFileError(f"Cannot store the model in {target.parent}: {reason}.") from error


def _fetch_all(remotes: Sequence[Remote], folder: Path, report: Progress) -> None:
    total = sum(remote.num_bytes for remote in remotes)
    _check_space(folder, total - sum(_size(folder / remote.file_name) for remote in remotes))
    before = 0
    for remote in remotes:
        start = before

        def report_all(done: int, _: int, start: int = start) -> None:
            report(min(start + done, total - 1), total)

        fetch_one(remote, folder / remote.file_name, report_all)
        before += remote.num_bytes
    report(total, total)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelFileError(
            f"Fetching the model needs {needed // 10**6} MB more in {folder}, "
            f"where {free // 10**6} MB are free."
        )


def _check(draft: Path, remotes: Sequence[Remote]) -> None:
    """What cannot be served is not kept, nor gone on with."""
    for remote in remotes:
        _check_sum(remote, draft.parent / remote.file_name)
    try:
        check_model_file(draft)
    except ModelFileError as error:
        raise NoModel(str(error)) from error


def _check_sum(remote: Remote, path: Path) -> None:
    if remote.sha256 is not None and checksum(path) != remote.sha256:
        raise NoModel(f"{remote.shown} has a wrong checksum; it was not kept.")


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(COPY_BYTES):
            digest.update(block)
    return digest.hexdigest()


def fetch_one(remote: Remote, path: Path, report: Progress) -> None:
    """Try until the file is whole, or several tries in a row have brought nothing."""
    failures = 0
    while _size(path) != remote.num_bytes or _told(path) is None:
        before = _size(path)
        try:
            _try_once(remote, path, report)
        except Interrupted as error:
            failures = 0 if _size(path) > before else failures + 1
            if failures >= MAX_FAILURES:
                raise ModelFileError(_broken_off(remote, path, error)) from error
            time.sleep(WAIT_SECONDS * failures)


def _broken_off(remote: Remote, path: Path, error: Interrupted) -> str:
    done, total = _size(path) // 10**6, remote.num_bytes // 10**6
    return (
        f"Fetching {remote.shown} broke off at {done} of {total} MB ({error}); "
        "the same command goes on from there."
    )


def _try_once(remote: Remote, path: Path, report: Progress) -> None:
    told, start = _told(path), _size(path)
    if (
        told is None
        or not told.validator
        or (told.url, told.num_bytes)
        != (
            remote.url,
            remote.num_bytes,
        )
    ):
        start = 0
    headers = dict(remote.headers)
    if 0 < start < remote.num_bytes and told is not None:
        headers |= {"Range": f"bytes={start}-", "If-Range": told.validator}
    else:
        start = 0
    with open_remote(remote.url, headers) as response:
        start = _start_of(response, start, remote, path)
        _write_told(path, Told(remote.url, remote.num_bytes, validator_of(response.headers)))
        _receive(response, remote, path, start, report)


def _start_of(response: requests.Response, asked: int, remote: Remote, path: Path) -> int:
    """From which byte on the answer goes; everything it says of sizes has to agree."""
    if response.status_code == 206:
        span = content_range(response.headers)
        if span is None or span[0] != asked or span[2] != remote.num_bytes:
            path.unlink(missing_ok=True)
            raise Interrupted("it sent another part of the file than was asked for")
        return asked
    if length_of(response.headers) != remote.num_bytes:
        raise ModelFileError(
            f"{remote.shown} has another size than it had a moment ago; fetch it again."
        )
    return 0


def _receive(
    response: requests.Response, remote: Remote, path: Path, start: int, report: Progress
) -> None:
    import requests

    done = start
    with path.open("r+b" if start else "wb") as file:
        file.truncate(start)
        file.seek(start)
        try:
            for block in response.iter_content(RECEIVE_BYTES):
                if done == 0:
                    _check_magic(block, response, remote)
                file.write(block)
                done += len(block)
                report(done, remote.num_bytes)
        except requests.RequestException as error:
            raise Interrupted(reason_of(error)) from error
    if done != remote.num_bytes:
        raise Interrupted("it sent less than it had announced")


def _check_magic(block: bytes, response: requests.Response, remote: Remote) -> None:
    if not block.startswith(MAGIC):
        kind = shown_name(response.headers.get("Content-Type", "of no type"))
        raise NoModel(
            f"{remote.shown} is not a GGUF file ({kind}); a page for people may stand in its place."
        )


# What has come so far.


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _told(path: Path) -> Told | None:
    try:
        return msgspec.json.decode(_told_file(path).read_bytes(), type=Told)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write_told(path: Path, told: Told) -> None:
    draft = _told_file(path).with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(told))
    os.replace(draft, _told_file(path))


def _told_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.told")


# What servers say.


def patiently(ask: Callable[[], requests.Response]) -> requests.Response:
    """Ask again if that was interrupted, some times."""
    for failures in range(1, MAX_FAILURES):
        try:
            return ask()
        except Interrupted:
            time.sleep(WAIT_SECONDS * failures)
    return ask()


def open_remote(url: str, headers: Mapping[str, str]) -> requests.Response:
    """An answer whose body has not been read; Interrupted or ModelFileError if it is none."""
    import requests

    with requests.Session() as session:
        session.max_redirects = MAX_REDIRECTS
        # Sizes and ranges are those of the file, not of a compressed form of it.
        fixed = {"Accept-Encoding": "identity", "User-Agent": f"cria/{__version__}"}
        try:
            response = session.get(url, headers={**headers, **fixed}, timeout=TIMEOUTS, stream=True)
        except (requests.TooManyRedirects, requests.exceptions.SSLError) as error:
            raise ModelFileError(f"Cannot fetch {_host(url)}: {reason_of(error)}.") from error
        except requests.RequestException as error:
            raise Interrupted(reason_of(error)) from error
    try:
        check_answer(response, url)
    except BaseException:
        response.close()
        raise
    return response


def check_answer(response: requests.Response, url: str) -> None:
    """Whether this is a file, and came over a line as good as the one it was asked for over."""
    status, shown = response.status_code, shown_name(url.partition("?")[0])
    if is_private_line(url) and not is_private_line(response.url):
        raise ModelFileError(f"{shown} leads to an address without TLS, which is not followed.")
    if status in RETRIED or status == 416:
        raise Interrupted(f"status {status}")
    if status in (401, 403):
        raise ModelFileError(f"{shown} is not for everybody (status {status}).")
    if status in (404, 410):
        raise ModelFileError(f"There is no {shown} (status {status}).")
    if status not in (200, 206):
        raise ModelFileError(f"{shown} cannot be fetched: its server answers with {status}.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ModelFileError(f"The server of {shown} sends it compressed, although asked not to.")


def reason_of(error: Exception) -> str:
    """A few words of what the libraries below say; the address in it is left out."""
    import requests

    if isinstance(error, requests.Timeout):
        return "the server took too long"
    if isinstance(error, requests.TooManyRedirects):
        return "it leads from one address to the next"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate does not hold"
    return "the connection failed"


def length_of(headers: Mapping[str, str]) -> int | None:
    """`Content-Length`, if it makes sense."""
    text = headers.get("Content-Length", "")
    return int(text) if _LENGTH.fullmatch(text, endpos=20) and text.isascii() else None


def content_range(headers: Mapping[str, str]) -> tuple[int, int, int] | None:
    """First byte, last byte and size of all, if the header makes sense."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if match is None or not match.string.isascii():
        return None
    start, end, total = (int(match[name]) for name in ("start", "end", "total"))
    return (start, end, total) if start <= end < total else None


def validator_of(headers: Mapping[str, str]) -> str:
    """What tells this state of the file from others, byte for byte; empty if nothing does."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _host(url: str) -> str:
    return shown_name(url.partition("?")[0])
