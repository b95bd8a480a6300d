"""``contimg-api doctor``: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import json

import click

from app.config import ConfigurationError, Settings
from app.services.doctor import Check, examine

_SIGNS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def doctor(as_json: bool) -> None:
    """Look at settings, databases, directories and port; exit code 1 where something is wrong."""
    checks = _examine()
    if as_json:
        click.echo(json.dumps([check._asdict() for check in checks], indent=2))
    else:
        for check in checks:
            click.echo(f"{_SIGNS[check.verdict]}  {check.what}: {check.found}")
            if check.remedy:
                click.echo(f"       → {check.remedy}")
    wrong = sum(check.verdict == "wrong" for check in checks)
    if not as_json:
        click.echo(f"\n{wrong} of {len(checks)} things are wrong." if wrong else "\nThe service can start.")
    raise SystemExit(1 if wrong else 0)


def _examine() -> list[Check]:
    try:
        return examine(Settings.from_environment())
    except ConfigurationError as error:
        return [_misconfigured(line) for line in str(error).splitlines()]


def _misconfigured(line: str) -> Check:
    variable, _, reason = line.partition(": ")
    return Check(variable, "wrong", reason, "See docs/configuration.md for what it may be.")
