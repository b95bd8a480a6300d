"""Answers that are there already: given by the worker's main loop, without a thread.

To hand a request to a thread and the connection back takes several times as long as an answer from the cache. So the
main loop asks the application first, in a way that it may refuse (``AT_HAND`` in the WSGI environment): whoever would
have to compute or to wait raises :class:`~app.web.environ.NotAtHand`, and the request goes to a thread as ever.
"""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from typing import Any, NamedTuple

from gunicorn.http import wsgi

from app.web.environ import AT_HAND


class Answer(NamedTuple):
    """What is to be sent, and whether the connection stays open."""

    data: bytes
    keep: bool


class Reread:
    """A parser that gives the request it has given once more, to whoever asks for the next; then it goes on."""

    def __init__(self, parser: Any, request: Any) -> None:
        self.parser = parser
        self._request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self.parser, name)

    def __next__(self) -> Any:
        request, self._request = self._request, None
        return request if request is not None else next(self.parser)


class _Pieces(list[bytes]):
    """Stands for the socket while an answer is put together, so that head and body go out as one."""

    sendall = list.append


def answer(worker: Any, conn: Any, request: Any, *, last: bool) -> Answer | None:
    """Answer a request, if that takes neither time nor waiting.

    Parameters
    ----------
    worker
        Counts the request, as gunicorn's ``handle_request`` does.
    conn
        Where it came from.
    request
        What gunicorn's parser made of it; it has no body.
    last
        Whether the connection is to be closed behind it.
    """
    pieces = _Pieces()
    began = time.monotonic() if worker.writes_access_lines else 0.0
    try:
        response, environ = wsgi.create(request, pieces, conn.client, conn.server, worker.cfg)
        environ["wsgi.multithread"] = environ[AT_HAND] = True
        if last:
            response.force_close()
        body = worker.wsgi(environ, response.start_response)
        with contextlib.closing(body) if hasattr(body, "close") else contextlib.nullcontext():
            for piece in body:
                response.write(piece)
            response.close()
    except Exception:
        # Not at hand; or a defect, which shows again in the thread, where there is time for it.
        return None
    if worker.writes_access_lines:
        worker.log.access(response, request, environ, timedelta(seconds=time.monotonic() - began))
    try:
        worker.cfg.post_request(worker, request, environ, response)
    except Exception:
        worker.log.exception("Exception in post_request hook")
    return Answer(b"".join(pieces), not response.should_close())
