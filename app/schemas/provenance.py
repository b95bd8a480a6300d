"""Provenance as published: the record, and links to each link of the chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import marshmallow as ma

from app.domain.provenance import Provenance
from app.schemas import fields, links
from app.schemas.base import Schema

_QA_LINKS: dict[str, Callable[[str], str]] = {"image": links.image_qa, "ms": links.ms_qa, "job": links.job_qa}


class ProvenanceSchema(Schema):
    """Where a product came from. A link is null where there is nothing to link to."""

    run_id = ma.fields.String(allow_none=True)
    ms_path = ma.fields.String(allow_none=True)
    cal_table = ma.fields.String(allow_none=True)
    pointing_ra_deg = fields.RightAscension(allow_none=True)
    pointing_dec_deg = fields.Declination(allow_none=True)
    qa_grade = fields.Grade()
    qa_summary = ma.fields.String(allow_none=True)
    logs_url = fields.Computed(lambda record: _link(links.log, record.run_id))
    qa_url = fields.Computed(lambda record: _qa_link(record))
    ms_url = fields.Computed(lambda record: _link(links.ms, _indexed(record)))
    image_url = fields.Computed(lambda record: _link(links.image, record.image_id))
    created_at = fields.UnixTime(allow_none=True)


class JobProvenanceSchema(ProvenanceSchema):
    """Where a run came from, once more in the camelCase that the dashboard's job page reads.

    There ``msUrl`` and ``imageUrl`` are pages of the dashboard, the other links the API's; a pointing that is not
    known is left out, since the page would fail on null.
    """

    class Meta:
        dump_only = (
            "runId",
            "msPath",
            "calTable",
            "pointingRaDeg",
            "pointingDecDeg",
            "qaGrade",
            "qaSummary",
            "createdAt",
        )

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"pointingRaDeg", "pointingDecDeg"})

    runId = ma.fields.String(attribute="run_id", allow_none=True)  # noqa: N815
    msPath = ma.fields.String(attribute="ms_path", allow_none=True)  # noqa: N815
    calTable = ma.fields.String(attribute="cal_table", allow_none=True)  # noqa: N815
    calUrl = fields.Computed(lambda record: _link(links.cal, record.cal_table))  # noqa: N815
    pointingRaDeg = fields.RightAscension(attribute="pointing_ra_deg")  # noqa: N815
    pointingDecDeg = fields.Declination(attribute="pointing_dec_deg")  # noqa: N815
    qaGrade = fields.Grade(attribute="qa_grade")  # noqa: N815
    qaSummary = ma.fields.String(attribute="qa_summary", allow_none=True)  # noqa: N815
    logsUrl = fields.Computed(lambda record: _link(links.log, record.run_id))  # noqa: N815
    qaUrl = fields.Computed(lambda record: _qa_link(record))  # noqa: N815
    msUrl = fields.Computed(lambda record: _link(links.ms_page, _indexed(record)))  # noqa: N815
    imageUrl = fields.Computed(lambda record: _link(links.image_page, record.image_id))  # noqa: N815
    createdAt = fields.UnixTime(attribute="created_at", allow_none=True)  # noqa: N815


def _link(make: Callable[[str], str], value: object) -> str | None:
    return None if value is None else make(str(value))


def _indexed(record: Provenance) -> str | None:
    return record.ms_path if record.ms_indexed else None


def _qa_link(record: Provenance) -> str:
    return _QA_LINKS[record.kind](record.identifier)
