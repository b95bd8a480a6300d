"""What every page of the console has in common: its headers, its errors, and one URL for each state."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Blueprint, Response, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from app.console import forms, render
from app.console.advice import advice_on
from app.console.links import here
from app.console.watch import Watch, look_around
from app.domain.errors import ContimgError
from app.web import errors
from app.web.api import CACHEABLE

F = TypeVar("F", bound=Callable[..., Any])

# No style attribute, no inline script, nothing from elsewhere: what a page shows cannot run.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

blp = Blueprint("console", __name__, url_prefix="/console")


def cacheable(view: F) -> F:
    """Decorator: the page depends on its URL and the databases alone, so it may be kept while they stand."""

    @wraps(view)
    def marked(*args: Any, **kwargs: Any) -> Any:
        request.environ[CACHEABLE] = True
        return view(*args, **kwargs)

    return marked  # type: ignore[return-value]


@blp.before_request
def canonical() -> Answer | None:
    """Lead from what a form sends to the URL that the API would understand: no empty values, its own words."""
    given = list(request.args.items(multi=True))
    wanted = [forms.meant(name, value) for name, value in given if value.strip()]
    if given == wanted:
        return None
    return redirect(here(wanted))


@blp.after_request
def complete(response: Response) -> Response:
    """Let a page load its own style, script and pictures, and nothing else."""
    response.headers["Content-Security-Policy"] = POLICY
    return response


@blp.errorhandler(ContimgError)
def show_domain_error(error: ContimgError) -> Response:
    """An error of the domain as a page."""
    return _as_page(errors.answer_domain_error(error))


@blp.errorhandler(HTTPException)
def show_http_error(error: HTTPException) -> Response:
    """An error of HTTP as a page."""
    answer = errors.answer_http_error(error)
    return answer if answer.status_code < 400 else _as_page(answer)


@blp.errorhandler(Exception)
def show_unexpected(error: Exception) -> Response:
    """A defect of this service as a page."""
    return _as_page(errors.answer_unexpected(error))


def _as_page(answer: Response) -> Response:
    """The page of a problem: same status, same headers, what it says, and what to do."""
    problem = answer.get_json()
    faults = [(fault["field"], fault["message"]) for fault in problem["errors"]]
    if not faults and "field" in problem["details"]:
        faults = [(problem["details"]["field"], problem["detail"])]
    page = render.page("error.html", problem=problem, faults=faults, advice=advice_on(problem), watched=_around(answer))
    page.status_code = answer.status_code
    for name, value in answer.headers:
        if name not in {"Content-Type", "Content-Length"}:
            page.headers[name] = value
    return page


def _around(answer: Response) -> Watch | None:
    """How everything is that this service leans on, where that may be what is the matter."""
    if answer.status_code != 503:
        return None
    try:
        return look_around([])
    except ContimgError:
        return None
