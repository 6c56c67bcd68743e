"""What an operator writes for a model: `hf:org/repo`, `ollama:name`, an address, a name, a path.

Names that come from outside become names of files only after `safe_part` has seen them.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from cria.errors import ModelFileError, shown_name

HUB, OLLAMA, WEB = "hf:", "ollama:", ("https://", "http://")
MAX_PART_BYTES = 200
"""Of one name in a path: file systems take 255, and a draft's folder has a longer one."""

_HUB_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?!\.)){0,95}")
_OLLAMA_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?!\.)){0,127}")
_SHA256 = re.compile(r"sha256=(?P<digest>[0-9a-fA-F]{64})")


class HubSpec(msgspec.Struct, frozen=True):
    """`hf:org/repo[:choice]`; the choice is a quantisation, the path of a file, or empty."""

    org: str
    repo: str
    choice: str = ""

    @property
    def repository(self) -> str:
        return f"{self.org}/{self.repo}"


class UrlSpec(msgspec.Struct, frozen=True):
    """`https://host/path/file.gguf[#sha256=...]`; the address is without the fragment."""

    url: str
    host: str
    file_name: str
    sha256: str | None = None


class OllamaSpec(msgspec.Struct, frozen=True):
    """`ollama:[[host/]namespace/]name[:tag]`."""

    host: str
    namespace: str
    name: str
    tag: str


Spec = HubSpec | UrlSpec | OllamaSpec


def parse(spec: str) -> Spec | None:
    """None: it is a known name or a path. ModelFileError if it makes no sense."""
    if spec.startswith(HUB):
        return parse_hub(spec)
    if spec.startswith(OLLAMA):
        return parse_ollama(spec)
    if spec.lower().startswith(WEB):
        return parse_url(spec)
    return None


def parse_hub(spec: str) -> HubSpec:
    name, _, choice = spec.removeprefix(HUB).partition(":")
    org, slash, repo = name.partition("/")
    if not (slash and _HUB_NAME.fullmatch(org) and _HUB_NAME.fullmatch(repo)):
        raise _senseless(spec, "hf:ORG/REPOSITORY, then perhaps :QUANTISATION or :FILE.gguf")
    if choice and not is_safe_path(choice):
        raise _senseless(spec, "hf:ORG/REPOSITORY:FILE.gguf with the path of a file in there")
    return HubSpec(org, repo, choice)


def parse_ollama(spec: str) -> OllamaSpec:
    path, _, tag = spec.removeprefix(OLLAMA).partition(":")
    parts = path.split("/")
    if len(parts) > 3 or not all(map(_OLLAMA_NAME.fullmatch, [*parts, tag or "latest"])):
        raise _senseless(spec, "ollama:NAME or ollama:NAME:TAG, as `ollama list` shows it")
    host, namespace, name = [*("registry.ollama.ai", "library")[: 3 - len(parts)], *parts]
    return OllamaSpec(host, namespace, name, tag or "latest")


def parse_url(spec: str) -> UrlSpec:
    parts = _split(spec)
    if parts.username is not None or parts.password is not None:
        raise ModelFileError(
            "Give no password in the address of a model, where others can see it; "
            "a line in ~/.netrc is used."
        )
    name = unquote(parts.path.rpartition("/")[2])
    if not safe_part(name) or not name.lower().endswith(".gguf"):
        raise _senseless(spec, "the address of a file whose name ends in .gguf")
    sha256 = _SHA256.fullmatch(parts.fragment)
    if parts.fragment and sha256 is None:
        raise _senseless(spec, "no other fragment than #sha256= and 64 hexadecimal digits")
    digest = sha256["digest"].lower() if sha256 else None
    return UrlSpec(parts._replace(fragment="").geturl(), parts.hostname or "", name, digest)


def _split(spec: str) -> SplitResult:
    # urlsplit leaves out line breaks and the like in silence.
    if not spec.isprintable() or " " in spec or "\\" in spec:
        raise _senseless(spec, "an address without blanks")
    try:
        parts = urlsplit(spec)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise _senseless(spec, "a right address") from error
    if not is_whole:
        raise _senseless(spec, "the name of a server")
    return parts


def is_private_line(url: str) -> bool:
    """Whether nobody on the way can read or change what comes from there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_safe_path(path: str) -> bool:
    """Whether a path from outside leads down from a folder, by names that harm nobody."""
    return all(map(safe_part, path.split("/"))) and str(PurePosixPath(path)) == path


def safe_part(name: str) -> bool:
    """Whether it may be the name of a file or folder; hidden ones are for Cria's own."""
    return (
        bool(name)
        and name.isprintable()
        and not name.startswith((".", "-", "~"))
        and not set(name) & set("/\\:")
        and len(name.encode("utf-8", "surrogatepass")) <= MAX_PART_BYTES
    )


def _senseless(spec: str, wanted: str) -> ModelFileError:
    return ModelFileError(f"`{shown_name(spec)}` names no model; it takes {wanted}.")
