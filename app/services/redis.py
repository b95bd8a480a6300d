"""Redis, looked at from outside: is it there, and which version? The protocol is plain text, so no client is needed."""

from __future__ import annotations

import socket
import ssl
from io import BufferedReader
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from app.domain.health import LONGEST_REASON, RedisState

_PORT = 6379


class _Target(NamedTuple):
    """Where to connect; ``credentials`` are a password, or a user and a password, or nothing."""

    scheme: str
    host: str
    port: int
    credentials: tuple[str, ...]


class _Conversation(NamedTuple):
    connection: socket.socket
    answers: BufferedReader


def look(url: str, *, timeout_s: float) -> RedisState:
    """Ask a Redis for its version.

    Parameters
    ----------
    url
        ``redis://[user:password@]host[:port]/…``, or ``rediss://…``. Never shown in what is returned.
    timeout_s
        Time for each step [s].
    """
    try:
        target = _target(url)
    except ValueError:
        # Its own words would name what it stumbled over, which may be a part of the password.
        return RedisState("error", message="The URL of Redis cannot be understood")
    try:
        with _connect(target, timeout_s) as connection, connection.makefile("rb") as answers:
            conversation = _Conversation(connection, answers)
            _authenticate(conversation, target)
            return RedisState("ok", version=_version(_ask(conversation, "INFO", "server")))
    except TimeoutError:
        return RedisState("error", message="No answer in time")
    except OSError as error:
        return RedisState("unavailable", message=(error.strerror or "No connection")[:LONGEST_REASON])
    except LookupError:
        return RedisState("unknown", message="No Redis is configured")
    except ValueError as error:
        return RedisState("error", message=str(error)[:LONGEST_REASON])


def _target(url: str) -> _Target:
    """Where a URL leads; raises ValueError for one that nobody can understand."""
    parts = urlsplit(url)
    credentials = tuple(unquote(word) for word in (parts.username, parts.password) if word) if parts.password else ()
    return _Target(parts.scheme, parts.hostname or "localhost", parts.port or _PORT, credentials)


def _connect(target: _Target, timeout_s: float) -> socket.socket:
    if target.scheme not in {"redis", "rediss"}:
        raise LookupError(target.scheme)
    connection = socket.create_connection((target.host, target.port), timeout=timeout_s)
    if target.scheme == "redis":
        return connection
    return ssl.create_default_context().wrap_socket(connection, server_hostname=target.host)


def _authenticate(conversation: _Conversation, target: _Target) -> None:
    if target.credentials:
        _ask(conversation, "AUTH", *target.credentials)


def _ask(conversation: _Conversation, *words: str) -> bytes:
    """One command and its answer (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    encoded = [word.encode() for word in words]
    command = b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
    conversation.connection.sendall(command)
    line = conversation.answers.readline(1024).rstrip(b"\r\n")
    if line.startswith(b"$") and line[1:].isdigit():
        return conversation.answers.read(min(int(line[1:]), 65536))
    if line.startswith(b"+"):
        return line[1:]
    raise ValueError(line[1:].decode("utf-8", "replace") if line.startswith(b"-") else "Not a Redis answer")


def _version(info: bytes) -> str | None:
    for line in info.decode("utf-8", "replace").splitlines():
        if line.startswith("redis_version:"):
            return line.partition(":")[2]
    return None
