"""gunicorn's configuration: ``gunicorn -c python:app.gunicorn_conf wsgi:app``.

Every value comes from the settings (:mod:`app.config`), so that one set of variables describes the service; gunicorn's
own command line still overrides each. Names in lower case without an underscore in front are gunicorn's, see
https://docs.gunicorn.org/en/stable/settings.html.
"""

from __future__ import annotations

import errno
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

from app.config import ConfigurationError, Settings
from app.web import descriptors, runtime, sse


def _settings() -> Settings:
    try:
        settings = Settings.from_environment()
        problems = _tls_problems(settings)
    except ConfigurationError as error:
        problems = str(error).splitlines()
    if problems:
        sys.exit("The service cannot start:\n" + "\n".join(f"  {problem}" for problem in problems))
    return settings


def _tls_problems(settings: Settings) -> list[str]:
    if not settings.tls_enabled:
        return []
    wanted = {"DSA110_TLS_CERT": settings.tls_cert, "DSA110_TLS_KEY": settings.tls_key}
    wanted |= {"DSA110_TLS_CA": settings.tls_ca} if settings.tls_ca else {}
    return [
        f"{variable}: {f'{path} is not a readable file' if path else 'TLS needs this file'}"
        for variable, path in wanted.items()
        if not (Path(path).is_file() and os.access(path, os.R_OK))
    ]


def _log_configuration(settings: Settings) -> dict[str, Any]:
    """gunicorn's own records in the form of ours."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "app.web.observe.RequestIdFilter"}},
        "formatters": {"service": {"()": "app.web.observe.make_formatter", "settings": settings}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "service",
                "filters": ["request_id"],
            }
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {"level": settings.log_level, "handlers": ["stderr"], "propagate": False},
            "gunicorn.access": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
        },
    }


class _Log(Logger):
    """gunicorn's log without the access lines that nobody wants.

    Given a logging configuration, gunicorn prepares such a line for every request, written or not: as much work as
    the whole service does for an answer from its cache.
    """

    def setup(self, cfg: Any) -> None:
        """Give access lines back the place that the command line named, and that our configuration took from them."""
        super().setup(cfg)
        if cfg.accesslog:
            self.access_log.setLevel(logging.INFO)
            self.access_log.handlers.clear()
            self._set_handler(self.access_log, cfg.accesslog, fmt=logging.Formatter(self.access_fmt), stream=sys.stdout)

    def access(self, *request: Any) -> None:
        """Write an access line where ``--access-logfile`` asks for them."""
        if self.cfg.accesslog:
            super().access(*request)


# A light curve makes tens of thousands of objects, none of them garbage; to look through them every 700 took a fifth
# of the time.
_OBJECTS_BETWEEN_COLLECTIONS = 20_000

settings = _settings()
_runtime = runtime.make()

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
backlog = 2048

# Processes carry the load, since one process runs Python on one core; a few threads in each keep a short request from
# waiting behind a long download. gthread also holds idle keep-alive connections without a thread.
workers = settings.workers
worker_class = "app.web.worker.PatientWorker"
threads = settings.threads
# Longer than the 60 s for which nginx and most load balancers keep an idle connection: the side that reuses a
# connection must be the one that gives it up, or a request meets a closing socket.
keepalive = 75

# The application is imported once and shared by fork: quicker starts, less memory, and a mistake in it stops the
# start. Nothing opens a database or starts a thread at import, so nothing that a fork would break exists yet.
preload_app = True

# A worker is replaced after so many requests, each at its own time, so that a slow leak in a library stays small.
max_requests = 1_000_000
max_requests_jitter = 100_000
# It looks itself whether it has grown too large: app.web.worker.

# Under gthread this is the main loop's heartbeat, not a limit on requests; those have deadlines of their own.
timeout = 60
# A stop waits for the requests under way, each of which ends by its deadline.
graceful_timeout = int(settings.request_timeout_s) + 5

# Heartbeats touch a file: in memory, so that a busy disk never makes a worker look dead.
worker_tmp_dir = str(_runtime)

# A file path travels as one percent-encoded segment, three characters for each slash.
limit_request_line = 8190

# No request says under which prefix this service lies: whoever may send one from this machine, or through a proxy that
# passes on what it does not know, would lead others elsewhere. SCRIPT_NAME of the environment says it.
forwarder_headers = ""

# The control interface would serve any process of this user by a socket in the home directory; nothing here needs it.
control_socket_disable = True

# The service logs its own requests, with id, route and duration.
accesslog = None
errorlog = "-"
loglevel = settings.log_level.lower()
logger_class = _Log
logconfig_dict = _log_configuration(settings)

if settings.tls_enabled:
    certfile = settings.tls_cert
    keyfile = settings.tls_key
    if settings.tls_ca:
        ca_certs = settings.tls_ca
        cert_reqs = ssl.CERT_REQUIRED


def on_starting(server: Any) -> None:
    """Stop at once, and say so plainly, if another program holds the port. Nothing is ever done to that program."""
    _heed_stops_while_forking()
    _leave_room_for_files(server)
    inherited = "GUNICORN_FD" in os.environ or "LISTEN_FDS" in os.environ
    for address in () if inherited else server.cfg.address:
        if isinstance(address, tuple):
            _refuse_used_port(*address[:2])


def on_reload(server: Any) -> None:
    """See to it again: what the command line says was read anew."""
    _leave_room_for_files(server)


def post_worker_init(worker: Any) -> None:
    """Let streams of events end when their worker is told to stop, and look for garbage after more than one page."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    sse.serving = lambda: worker.alive


def when_ready(server: Any) -> None:
    """Tell the services monitor the port that is really listened on: ``--bind`` or port 0 may have chosen another."""
    addresses = [listener.sock.getsockname() for listener in server.LISTENERS]
    ports = [address[1] for address in addresses if isinstance(address, tuple)]
    if ports:
        server.app.wsgi().extensions["contimg.services"].monitor.own_port = ports[0]


def pre_fork(server: Any, worker: Any) -> None:
    """Let the workers' garbage collector leave alone what they share with the master.

    It has nothing to find there, and where it marks an object, the worker gets a copy of the memory around it.
    """
    gc.freeze()


def pre_exec(server: Any) -> None:
    """After USR2, start the next master the way this one was started; gunicorn knows no ``python -m gunicorn``."""
    server.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]


def child_exit(server: Any, worker: Any) -> None:
    """Tell the metrics that a worker is gone; what it counted stays in the sums."""
    from prometheus_client import multiprocess  # it looks for the runtime directory when it is imported

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def _heed_stops_while_forking() -> None:
    """Let no worker miss the order to stop that reaches it before it can listen.

    A new worker inherits the master's handlers and keeps them until it has set its own: an order in between would be
    queued in a queue that nobody reads, and the master would wait for that worker until ``graceful_timeout``. So the
    order is held back during the fork, and the worker begins with the system's own handler, which ends it.
    """
    orders = {signal.SIGTERM, signal.SIGQUIT}

    def begin_worker() -> None:
        for order in orders:
            signal.signal(order, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, orders)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, orders),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, orders),
        after_in_child=begin_worker,
    )


def _leave_room_for_files(server: Any) -> None:
    """Let no worker take in so many connections that nothing is left to answer them with."""
    wanted = server.cfg.worker_connections
    most = descriptors.connections(wanted, server.cfg.threads)
    if most < wanted:
        server.log.warning(
            "Each worker takes %d connections instead of %d: the limit of open files (ulimit -n) allows no more.",
            most,
            wanted,
        )
        server.cfg.set("worker_connections", most)


def _refuse_used_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "another program is using it" if error.errno == errno.EADDRINUSE else error.strerror
            sys.exit(f"Cannot listen on {host}:{port}: {reason}. Choose another address with DSA110_HOST, DSA110_PORT.")
