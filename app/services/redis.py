"""Redis, looked at from outside: is it there, and which version? The protocol is plain text, so no client is needed."""

from __future__ import annotations

import socket
import ssl
from io import BufferedReader
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from app.domain.health import LONGEST_REASON, RedisState

_PORT = 6379


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
        with _connect(url, timeout_s) as connection, connection.makefile("rb") as answers:
            conversation = _Conversation(connection, answers)
            _authenticate(conversation, url)
            return RedisState("ok", version=_version(_ask(conversation, "INFO", "server")))
    except TimeoutError:
        return RedisState("error", message="No answer in time")
    except OSError as error:
        return RedisState("unavailable", message=(error.strerror or "No connection")[:LONGEST_REASON])
    except LookupError:
        return RedisState("unknown", message="No Redis is configured")
    except ValueError as error:
        return RedisState("error", message=str(error)[:LONGEST_REASON])


def _connect(url: str, timeout_s: float) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss"}:
        raise LookupError(parts.scheme)
    host = parts.hostname or "localhost"
    connection = socket.create_connection((host, parts.port or _PORT), timeout=timeout_s)
    if parts.scheme == "redis":
        return connection
    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)


def _authenticate(conversation: _Conversation, url: str) -> None:
    parts = urlsplit(url)
    if parts.password:
        user = [unquote(parts.username)] if parts.username else []
        _ask(conversation, "AUTH", *user, unquote(parts.password))


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
