"""Style, script and icon of the console, and the page for addresses that lead nowhere."""

from __future__ import annotations

from urllib.parse import quote

from flask import Response, abort, redirect, request, send_from_directory
from werkzeug.wrappers import Response as Answer

from app.console import links
from app.console.blueprint import blp
from app.console.render import STATIC, fingerprint

FILES = ("console.css", "console.js", "icon.svg", "live.js")
FOREVER = "public, max-age=31536000, immutable"


@blp.route(f"/static/<any({', '.join(map(repr, FILES))}):name>")
def asset(name: str) -> Response:
    """A file; kept for ever under the address that names its content, revalidated under any other."""
    response = send_from_directory(STATIC, name, conditional=True)
    known = request.args.get("v") == fingerprint(name)
    response.headers["Cache-Control"] = FOREVER if known else "no-cache"
    return response


@blp.route("/<filepath:path>")
def nowhere(path: str) -> Answer:
    """No page; but a slash behind the address of one leads to it."""
    if not path.endswith("/"):
        abort(404)
    return redirect(links.console(quote(path.rstrip("/")), list(request.args.items(multi=True))))
