"""Under which names this server may be asked for, and from which web pages.

A page of another site can have its own name point to the visitor's machine, and then speak to this
server as if it were the page's own (DNS rebinding): a server that only listens on the loopback
address is asked for under a loopback name, or one that the operator has allowed.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

from cria.config import ServerConfig
from cria.errors import AccessDenied

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_AGE_SECONDS = 600
ANY = "*"

_PORT = re.compile(r":[0-9]{0,5}$")
_FIELD_NAMES = re.compile(r"[A-Za-z0-9, _-]{1,1000}")


def is_loopback(host: str) -> bool:
    """Whether a name or address can only mean this machine."""
    name = host.strip("[]").lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """Of a Host header: without the port, in small letters."""
    return _PORT.sub("", host.strip()).lower().removesuffix(".")


def check_host(headers: Headers, config: ServerConfig) -> None:
    """AccessDenied if the name that the client asked for cannot be one of this server."""
    allowed = {name.lower() for name in config.allowed_hosts}
    if not allowed and not is_loopback(config.host):
        return
    if "Host" not in headers:
        return  # In HTTP/1.0, as health checks speak it, and no browser does.
    name = host_name(headers["Host"])
    if not is_loopback(name) and name not in allowed:
        shown = name[:100].encode("unicode_escape").decode()
        raise AccessDenied(
            f"This server is not to be asked for as {shown}; --allowed-host allows it.",
            code="host_not_allowed",
        )


def check_origin(method: str, headers: Headers, config: ServerConfig) -> None:
    """AccessDenied for a page of another site: it would use this server in its visitor's name."""
    origin = headers.get("Origin")
    if origin is None:
        is_foreign = headers.get("Sec-Fetch-Site") == "cross-site" and method not in SAFE_METHODS
    else:
        is_own = host_of(origin) == headers.get("Host", "")
        is_foreign = not (is_own or is_listed(origin, config))
    if is_foreign:
        raise AccessDenied(
            "Requests from web pages of another origin are not allowed; --cors-origin allows one.",
            code="origin_not_allowed",
        )


def is_listed(origin: str, config: ServerConfig) -> bool:
    """Whether the operator lets pages of this origin ask."""
    return ANY in config.cors_origins or origin in config.cors_origins


def host_of(origin: str) -> str | None:
    """Host and port; None for what is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def cors_headers(headers: Headers, config: ServerConfig) -> dict[str, str]:
    """What lets a page of a listed origin read the answer; never with cookies."""
    origin = headers.get("Origin")
    if origin is None or not config.cors_origins or not is_listed(origin, config):
        return {}
    allowed = ANY if ANY in config.cors_origins else origin
    return {"Access-Control-Allow-Origin": allowed, "Access-Control-Expose-Headers": ANY} | (
        {} if allowed == ANY else {"Vary": "Origin"}
    )


def preflight_headers(method: str, headers: Headers, config: ServerConfig) -> dict[str, str]:
    """The answer to a browser that asks before it sends; empty if this is no such question."""
    wanted = headers.get("Access-Control-Request-Method")
    if method != "OPTIONS" or wanted is None or not cors_headers(headers, config):
        return {}
    names = headers.get("Access-Control-Request-Headers", "")
    return {
        "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": names if _FIELD_NAMES.fullmatch(names) else "",
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
