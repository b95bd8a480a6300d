"""``contimg-api keys``: who may use the API."""

from __future__ import annotations

import getpass
import json
import time
from typing import TYPE_CHECKING, Any

import click

from app.cli.moments import Moment, shown
from app.cli.own import Own, own_database
from app.domain.audit import Act, digest_of_arguments
from app.domain.keys import SCOPES, Key, Scope

if TYPE_CHECKING:
    from app.services.audit import AuditService
    from app.services.keys import KeyService


@click.group()
def keys() -> None:
    """Make, list and withdraw the keys that callers show (DSA110_API_KEY_HEADER).

    They are kept in api.sqlite3 in DSA110_API_STATE_DIR, by their SHA-256 only. The keys of DSA110_API_KEYS are valid
    beside them.
    """


@keys.command()
@click.option("--name", required=True, help="What it is for; the audit log calls it so.")
@click.option(
    "--scope",
    default="read",
    show_default=True,
    type=click.Choice(SCOPES),
    help="What it allows: admin includes write, write includes read.",
)
@click.option("--expires", type=Moment(), help="When it ends: a date, or a span from now such as 90d; never without.")
def create(name: str, scope: Scope, expires: float | None) -> None:
    """Make a key and print it. It cannot be shown again."""
    with own_database(make=True) as own:
        service, audit = _services(own)
        made = service.create(name, scope, expires)
        _record(audit, "keys create", made.key)
    click.echo(made.secret)
    until = f"until {shown(made.key.expires_at, 'it is revoked')}"
    where = f"{own.path}, a new file" if own.is_new else own.path
    click.echo(f"Key {made.key.id} ({made.key.prefix}…) may {scope} {until}. Keep it now: it is not stored.", err=True)
    click.echo(f"Its hash is in {where}.", err=True)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_keys(as_json: bool) -> None:
    """List all keys, those that ended as well."""
    with own_database() as own:
        found = _services(own)[0].all()
    if as_json:
        click.echo(json.dumps([_facts(key) for key in found], indent=2))
        return
    line = "{:>4}  {:<14} {:<6} {:<8} {:<21} {:<21} {}"
    click.echo(line.format("id", "begins", "scope", "state", "expires", "last used", "name"))
    for key in found:
        facts = [key.id, key.prefix, key.scope, key.state(time.time())]
        click.echo(line.format(*facts, shown(key.expires_at, "never"), shown(key.last_used_at, "never"), key.name))


@keys.command()
@click.argument("key")
def revoke(key: str) -> None:
    """Withdraw KEY, named by its number or its beginning. It opens nothing from the next request on."""
    with own_database() as own:
        service, audit = _services(own)
        gone = service.revoke(key)
        _record(audit, "keys revoke", gone)
    click.echo(f"Key {gone.id} ({gone.prefix}…, {gone.name}) is revoked.")


def _facts(key: Key) -> dict[str, Any]:
    facts = key._asdict()
    del facts["digest"]
    times = {name: shown(facts[name], "") or None for name in facts if name.endswith("_at")}
    return {**facts, **times, "state": key.state(time.time())}


def _services(own: Own) -> tuple[KeyService, AuditService]:
    from app.repositories.audit import AuditRepository
    from app.repositories.keys import KeyRepository
    from app.services.audit import AuditService
    from app.services.keys import KeyService

    audit = AuditService(AuditRepository(own.database), own.settings.audit_retention_days)
    return KeyService(KeyRepository(own.database)), audit


def _record(audit: AuditService, command: str, key: Key) -> None:
    """Who may write is itself worth a line in the audit log, which tells the key as ``keys list`` does."""
    until = f" until {shown(key.expires_at, '')}" if key.expires_at else ""
    # The name stands last, since it may hold anything that can be printed.
    told = f"{command} {key.id}: {key.scope}{until}, for {key.name}"
    digest = digest_of_arguments(b"", told.encode())
    audit.record(Act(time.time(), "CLI", command, told, digest, _user(), "operator", None, "", "", 0))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "unknown"
