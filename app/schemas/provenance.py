"""Provenance as published: the record, and links to each link of the chain."""

from __future__ import annotations

from collections.abc import Callable

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
    ms_url = fields.Computed(lambda record: _link(links.ms, record.ms_path))
    image_url = fields.Computed(lambda record: _link(links.image, record.image_id))
    created_at = fields.UnixTime(allow_none=True)


def _link(make: Callable[[str], str], value: object) -> str | None:
    return None if value is None else make(str(value))


def _qa_link(record: Provenance) -> str:
    return _QA_LINKS[record.kind](record.identifier)
