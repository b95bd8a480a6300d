"""``contimg-api audit``: who changed what."""

from __future__ import annotations

import json

import click

from app.cli.moments import Moment, shown
from app.cli.own import own_database
from app.domain.audit import Entry
from app.web.request_log import on_one_line


@click.command()
@click.option("--since", type=Moment(ago=True), default="7d", show_default=True, help="A date, or a span until now.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Of the newest, so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def audit(since: float, limit: int, as_json: bool) -> None:
    """List what was changed through the API, and keys that were made or revoked, oldest first."""
    from app.repositories.audit import AuditRepository
    from app.services.audit import AuditService

    with own_database() as own:
        kept = AuditService(AuditRepository(own.database), own.settings.audit_retention_days)
        found = kept.since(since, limit=limit)
    for entry in found:
        click.echo(_as_json(entry) if as_json else _as_line(entry))


def _as_json(entry: Entry) -> str:
    return json.dumps({"id": entry.id, **entry.act._asdict(), "at": shown(entry.act.at, "")})


def _as_line(entry: Entry) -> str:
    act = entry.act
    who = f"{act.actor} ({act.actor_kind}{f' {act.key_id}' if act.key_id is not None else ''})"
    line = f"{shown(act.at, '')}  {act.status or '-':>3}  {act.method:<6} {act.path}  {who}  {act.client}".rstrip()
    return on_one_line(line)
