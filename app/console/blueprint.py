"""What every page of the console has in common: its headers, its errors, and one URL for each state."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Any, TypeVar

from flask import Blueprint, Response, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from app.console import render
from app.console.advice import advice_on
from app.console.links import here
from app.domain.errors import ContimgError
from app.web import errors
from app.web.api import CACHEABLE

F = TypeVar("F", bound=Callable[..., Any])

# Powers of ten of a flux that are written out.
_MOST_DIGITS = 30
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
    """Lead from what a form sends to the URL that the API would understand: no empty values, fluxes in Jy."""
    given = list(request.args.items(multi=True))
    meant = [in_jansky(name, value) for name, value in given if value.strip()]
    if given == meant:
        return None
    return redirect(here(meant))


def in_jansky(name: str, value: str) -> tuple[str, str]:
    """A parameter that a form asks for in mJy, as the API knows it in Jy; any other as it is."""
    if not name.endswith("_mjy"):
        return name, value
    meant = name.removesuffix("_mjy") + "_jy"
    try:
        number = Decimal(value)
    except InvalidOperation:
        return meant, value
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        return meant, value  # no flux of any source; the API says what it thinks of it
    return meant, f"{(number / 1000).normalize():f}"


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
    page = render.page("error.html", problem=problem, advice=advice_on(problem))
    page.status_code = answer.status_code
    for name, value in answer.headers:
        if name not in {"Content-Type", "Content-Length"}:
            page.headers[name] = value
    return page
