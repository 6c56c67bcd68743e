"""The server process from the first line to the last: patch, bind, load, serve, stop.

1. This module is imported before anything opens a socket, starts a thread or a child: importing it
   makes the standard library cooperative. No other module patches.
2. The address is taken before the model is fetched or loaded, so that a wrong port shows at once;
   connections are accepted as soon as the engine starts, and answered with 503 until it is ready.
3. Further processes may share the port (`workers`): the kernel gives each of them its part of the
   connections. macOS does not spread them: there, one process gets nearly all.
4. Before the model is ready, SIGTERM and SIGINT raise SystemExit in the main greenlet, whatever it
   does (`signals`). From then on they ask for a drain (`stopping`, `draining`): further processes
   drain at the same time, and the engine ends last.
"""

# ruff: noqa: E402 - the patch comes before the imports that it changes.
from gevent import monkey

monkey.patch_all()

import errno
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar

import gevent
from gevent.threadpool import ThreadPool

from cria.answer_store.database import NUM_CONNECTIONS
from cria.config import ModelEntry, ServerConfig
from cria.errors import SetupError
from cria.generation.ledger import Ledgers
from cria.generation.model_pool import ModelPool
from cria.generation.pipeline import Generation
from cria.server import draining, logs, signals
from cria.server.app import create_app
from cria.server.banner import ready_banner
from cria.server.descriptors import connections_that_fit
from cria.server.draining import drain
from cria.server.hosts import is_loopback
from cria.server.http import BoundedServer, Limits
from cria.server.key_ring import KeyRing, needs_key
from cria.server.response_file import kept_responses
from cria.server.response_service import detach, num_in_background
from cria.server.sd_notify import notify, start_watchdog
from cria.server.stopping import Stopping
from cria.server.tls import Certificate
from cria.server.workers import WorkerJob, Workers

Result = TypeVar("Result")

BACKLOG = 1024
STOP_SECONDS = 0.3
"""For streams to write their last event; idle connections would otherwise hold the stop."""
ENGINE_SECONDS = 0.5
"""For the engine, which has nothing left to do, to end by itself."""
STACK_BYTES = 256 * 1024 * 1024
"""Of native threads."""

logger = logging.getLogger(__name__)

stopping = Stopping()
"""This process's end, which signals ask for."""

_BIND_REASONS = {
    errno.EADDRINUSE: "another program uses it; choose another with --port",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "ports below 1024 need privileges; choose another with --port",
}


class Server(BoundedServer):
    """One whose keys and certificate may change while it serves."""

    certificate: Certificate | None = None

    def reload(self) -> None:
        """Read keys and certificate again."""
        app: Any = self.application
        app.extensions["cria_keys"].reload()
        if self.certificate is not None:
            self.certificate.reload()

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> None:
        """With TLS: a client that fails to shake hands costs its own connection, no more."""
        try:
            assert self.certificate is not None
            with gevent.Timeout(self.limits.header_timeout, OSError("too slow")):
                secured = self.certificate.context.wrap_socket(client_socket, server_side=True)
        except OSError as error:
            logger.info("no TLS with %s: %s", address, error)
            client_socket.close()
            return
        with closing(secured):
            self.handle(secured, address)


def prepare(log_level: str) -> None:
    """Logging on standard error, and signals; the first thing that a server process does."""
    logs.start(log_level)
    # Tokenising takes it for long words, see `check_runs`; what is never touched is no memory.
    threading.stack_size(STACK_BYTES)
    signals.install(stopping)


def check_setup() -> None:
    """SetupError if the native libraries are missing: better said before a model is fetched."""
    Generation.check_setup()


def check_access(config: ServerConfig) -> None:
    """SetupError if keys or certificate cannot be used, or if a stranger could use the server."""
    KeyRing(config)
    Certificate.of(config)
    if not (needs_key(config) or config.no_auth or is_loopback(config.host)):
        raise SetupError(
            f"Whoever reaches {config.host} could use the server: ask callers for a key with "
            "--api-key or --api-key-file, or say --no-auth."
        )
    if config.tls_key is not None and config.tls_cert is None:
        raise SetupError("--tls-key needs the certificate too: --tls-cert.")


def read_template(path: str) -> str:
    """The operator's chat template; SetupError if it cannot be used."""
    return Generation.read_template(path)


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Take the address; nobody can connect before `serve`.

    A `shared` one may be another process's that shares its own.
    """
    listener = None
    try:
        family, address = _resolve(host, port)
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise _bind_failure(host, port, error) from error
    return listener


def serve(
    listener: socket.socket,
    entries: Sequence[ModelEntry],
    server_config: ServerConfig,
    say: Callable[[str], None],
) -> None:
    """Serve until a signal comes; SetupError if the model cannot be loaded."""
    with kept_responses(server_config) as config:
        is_private = config != server_config
        _serve(listener, entries, config, say, has_private_store=is_private)


def _serve(
    listener: socket.socket,
    entries: Sequence[ModelEntry],
    server_config: ServerConfig,
    say: Callable[[str], None],
    *,
    has_private_store: bool,
) -> None:
    models = make_pool(entries, server_config)
    models.start()
    address = listener.getsockname()[:2]
    job = WorkerJob(
        address,
        server_config,
        entries[0].engine.model_path,
        models.engine_address,
        models.first.created,
        has_private_store,
        models.ledger.fd,
    )
    workers = Workers(server_config.num_workers - 1, job)
    with serving(listener, models, server_config) as server, workers:
        models.wait_settled()
        stopping.begin(server_config.drain_delay_seconds, server_config.drain_timeout_seconds)
        logs.say_anyway(say, ready_banner(models, server_config, address[1]))
        signals.on_hangup(workers.hang_up)
        notify("READY=1")
        start_watchdog()
        if server_config.exit_on_crash_loop:
            gevent.spawn(_end_when_lost, models, gevent.getcurrent())
        stopping.wait()
        notify("STOPPING=1")
        workers.drain()
        app = server.application
        drain(server, stopping, lambda: workers.num_running() + num_in_background(app))


def make_pool(entries: Sequence[ModelEntry], config: ServerConfig) -> ModelPool:
    """The models of a server process that starts their engines."""

    def open_model(entry: ModelEntry) -> Generation:
        # With one model the further processes share its queue; with several there are none.
        queue = models.ledger if models.is_single else None
        ledgers = Ledgers(queue, models.ledger)
        generation = Generation.open(entry.engine, entry.server, offload=offload, ledgers=ledgers)
        generation.offload_storage = offload_storage
        return generation

    models = ModelPool(entries, config, open_model)
    models.offload, models.offload_storage = offload, offload_storage
    return models


def _end_when_lost(models: ModelPool, main: Any) -> None:
    models.wait_lost()
    reason = "The engine has ended too often; see the log for the reasons."
    gevent.kill(main, SetupError(reason))


def serve_until_stopped(server: Server, config: ServerConfig) -> None:
    """What a further process does: all but the engine."""
    stopping.begin(config.drain_delay_seconds, config.drain_timeout_seconds)
    stopping.wait()
    drain(server, stopping, partial(num_in_background, server.application))


@contextmanager
def serving(listener: socket.socket, models: ModelPool, config: ServerConfig) -> Iterator[Server]:
    """Accept connections and answer them; at the end, close the models too."""
    server = make_server(listener, models, config)
    forget = signals.on_hangup(server.reload)
    try:
        _start(server, config)
        yield server
    finally:
        forget()
        # First the listener, then the engine: open streams then end with an error event.
        server.close()
        server.connections.is_closing = True
        stopping.close()
        with _engines_ended_soon(models):
            models.close()
        server.stop(timeout=STOP_SECONDS)
        detach(server.application)


def make_server(listener: socket.socket, models: ModelPool, config: ServerConfig) -> Server:
    """The server of this process, with the limits of the config."""
    models.offload_storage = offload_storage
    app = create_app(models, config)
    draining.attach(app, stopping)
    certificate = Certificate.of(config)
    tls: dict[str, Any] = {} if certificate is None else {"ssl_context": certificate.context}
    server: Server = Server(
        listener,
        app,
        limits=Limits(
            config.header_timeout,
            config.body_timeout,
            config.idle_timeout,
            config.write_timeout,
            connections_that_fit(config.max_connections),
        ),
        # Given here, because gevent would ask the name service for it.
        environ={"SERVER_NAME": config.host},
        **tls,
    )
    server.certificate = certificate
    return server


@contextmanager
def _engines_ended_soon(models: ModelPool) -> Iterator[None]:
    """An engine in the middle of a long step hears of its end only afterwards: not waited for."""
    timer = threading.Timer(ENGINE_SECONDS, _kill_engines, (models,))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _kill_engines(models: ModelPool) -> None:
    for pid in models.pids():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def offload(function: Callable[..., Result], *args: Any) -> Result:
    """Run a call that does not yield, such as tokenising, in a native thread."""
    return _result(gevent.get_hub().threadpool, function, args)


def offload_storage(function: Callable[..., Result], *args: Any) -> Result:
    """The same for what waits for a disk, or for others who use it.

    In threads of its own: however long that takes, requests that need no disk go on.
    """
    return _result(_store_threads(), function, args)


@cache
def _store_threads() -> ThreadPool:
    return ThreadPool(NUM_CONNECTIONS)


def _result(threads: ThreadPool, function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    outcome = threads.apply(_outcome, (function, args))
    if isinstance(outcome, _Failed):
        raise outcome.error
    result: Result = outcome
    return result


class _Failed(NamedTuple):
    error: Exception


def _outcome(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """gevent prints what is raised in its pool, also a client's mistakes."""
    try:
        return function(*args)
    except Exception as error:
        return _Failed(error)


def _start(server: Server, config: ServerConfig) -> None:
    """Another program may have begun to listen between our bind and now."""
    try:
        server.socket.listen(BACKLOG)
    except OSError as error:
        raise _bind_failure(config.host, config.port, error) from error
    if config.num_workers > 1:
        # Not before: a socket that shares from the start would also share with another server's.
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.start()


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """IPv4 first: `localhost` often means ::1 too, where many clients never look."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    first = min(found, key=lambda info: info[0] != socket.AF_INET)
    return first[0], first[4]


def _bind_failure(host: str, port: int, error: OSError) -> SetupError:
    if isinstance(error, socket.gaierror):
        return SetupError(f"The host name {host} is not known on this machine.")
    reason = _BIND_REASONS.get(error.errno or 0, error.strerror or str(error))
    return SetupError(f"Cannot listen on {host} port {port}: {reason}.")
