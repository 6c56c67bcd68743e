"""Who may use the server: keys, names, web pages, TLS."""

from __future__ import annotations

import click

from cria.cli.options import decorated_with, option
from cria.cli.params import HOST_NAME, ORIGIN, Word

ACCESS = (
    option(
        "api_keys",
        "--api-key",
        type=Word("KEY"),
        multiple=True,
        help="Key that callers must send; may be given several times. Better set in the "
        "environment or a file, where other users of the machine do not see it.",
    ),
    option(
        "key_file",
        "--api-key-file",
        type=click.Path(),
        metavar="FILE",
        show_default="none",
        help="File with a key or its hash in each line, and what it may; read again on SIGHUP. "
        "`cria keys` makes lines for it.",
    ),
    option(
        "--no-auth",
        is_flag=True,
        show_default=False,
        help="Listen beyond this machine although anybody may ask.",
    ),
    option(
        "allowed_hosts",
        "--allowed-host",
        type=HOST_NAME,
        multiple=True,
        help="Name under which the server may be asked for, beside those of this machine; may be "
        "given several times.",
    ),
    option(
        "cors_origins",
        "--cors-origin",
        type=ORIGIN,
        multiple=True,
        help="Origin, such as https://example.com, whose web pages may use the server, or * for "
        "all; may be given several times.",
    ),
    option(
        "--tls-cert",
        type=click.Path(),
        metavar="FILE",
        show_default="none: plain HTTP",
        help="Certificate chain in PEM form: serve HTTPS. Read again on SIGHUP.",
    ),
    option(
        "--tls-key",
        type=click.Path(),
        metavar="FILE",
        show_default="in --tls-cert",
        help="Private key of the certificate, in PEM form.",
    ),
)

access_options = decorated_with(ACCESS)
