"""What a person can do about an error, by its stable code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from flask import request

from app.console.links import here


class Step(NamedTuple):
    """Something to do; where it is a page, its URL; where it is a command, that."""

    text: str
    url: str = ""
    command: str = ""


_AGAIN = "Try again in a moment; the page will be as it was."
NAMES = Step(
    "A source goes by the name that this survey gave it, letter for letter; the list of sources finds it by how that "
    "begins. Fields are no sources: the filter Field finds what bears their name."
)
_DOCTOR = Step("See what is wrong with this installation, on the host of the service:", command="contimg-api doctor")

_BY_CODE: Mapping[str, tuple[Step, ...]] = {
    "DATABASE_CONNECTION_ERROR": (
        Step("Check that the pipeline's disk is mounted and that its database is where the settings say."),
        _DOCTOR,
        Step("Nothing is lost: the page works again as soon as the database does."),
    ),
    "STATE_DB_UNAVAILABLE": (
        Step("This concerns ratings, keys and the audit log. Images, sources and plots work without them."),
        _DOCTOR,
    ),
    "DATABASE_BUSY": (Step(f"The pipeline is writing. {_AGAIN}"),),
    "QUERY_TIMEOUT": (
        Step("Ask for less: fewer filters without an index, a shorter time, a smaller cone."),
        Step("Let the operator add the indexes, if that was never done:", command="contimg-api db upgrade"),
    ),
    "QUEUE_UNAVAILABLE": (
        Step("The work queue's store does not answer. Images, sources and plots work without it."),
        _DOCTOR,
    ),
    "SERVICE_OVERLOADED": (Step(f"Too much is being drawn at once. {_AGAIN}"),),
    "DATABASE_QUERY_ERROR": (_DOCTOR,),
    "INTERNAL_ERROR": (Step("This is a defect of the service; the request id below leads to its log line."),),
}


def advice_on(problem: Mapping[str, Any]) -> list[Step]:
    """Steps for a problem, the most useful first."""
    steps = list(_BY_CODE.get(problem["code"]) or _BY_CODE.get(problem["error"], ()))
    if problem["status"] == 404:
        steps.append(Step("It may have been removed, or the link may be incomplete. Look it up in the lists above."))
    if problem["status"] in {400, 422} and request.args:
        names = {fault["field"] for fault in problem["errors"]} | {problem["details"].get("field", "")}
        steps.extend(corrections(names))
    return steps


def corrections(names: Collection[str]) -> list[Step]:
    """The same page without the parameters that were not understood, and without any."""
    given = list(request.args.items(multi=True))
    kept = [(name, value) for name, value in given if name not in names]
    rest = [Step("Keep the rest and drop what was not understood", here(kept))] if kept and kept != given else []
    return [*rest, Step("Drop every filter", here([]))]
