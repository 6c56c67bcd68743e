"""TLS: a context for the listener, whose certificate can be read again while it is used."""

from __future__ import annotations

import logging
import ssl

from cria.config import ServerConfig
from cria.errors import SetupError

logger = logging.getLogger(__name__)


class Certificate:
    """The files, and the context that has what was in them."""

    def __init__(self, cert: str, key: str | None) -> None:
        """SetupError if they cannot be used."""
        self._files = cert, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        _load(self.context, *self._files)

    @classmethod
    def of(cls, config: ServerConfig) -> Certificate | None:
        """None without TLS."""
        return None if config.tls_cert is None else cls(config.tls_cert, config.tls_key)

    def reload(self) -> None:
        """New connections get what is in the files now; if it is of no use, what was before."""
        try:
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *self._files)  # a broken pair stays out
            _load(self.context, *self._files)
        except SetupError as error:
            logger.error("the certificate stays as it was: %s", error)


def _load(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    try:
        # Without a password, a key that needs one would ask the terminal for it.
        context.load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError) as error:
        name = cert if key is None else f"{cert}, --tls-key {key}"
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise SetupError(f"--tls-cert {name} cannot be used: {reason}.") from error
