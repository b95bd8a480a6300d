"""``contimg-api token``: a bearer token for a script or a person."""

from __future__ import annotations

import warnings

import click

from app.config import Settings
from app.config.safety import SHORTEST_SECRET


@click.command()
@click.argument("subject")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("read",),
    type=click.Choice(["read", "write", "admin"]),
    help="What the token allows; may be given again.",
    show_default=True,
)
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="Its life; DSA110_JWT_EXPIRY_HOURS if not.")
def token(subject: str, scopes: tuple[str, ...], hours: float | None) -> None:
    """Print a token for SUBJECT, signed with DSA110_JWT_SECRET. Send it as `Authorization: Bearer TOKEN`."""
    from jwt.warnings import InsecureKeyLengthWarning

    from app.web.auth import make_token

    settings = Settings.from_environment()
    if not settings.jwt_secret:
        raise click.ClickException("Set DSA110_JWT_SECRET first: without a secret tokens are turned off.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        made = make_token(settings.jwt_secret, subject, scopes, life_hours=hours or settings.jwt_expiry_hours)
    click.echo(made)
    if len(settings.jwt_secret) < SHORTEST_SECRET:
        note = f"Note: DSA110_JWT_SECRET has less than {SHORTEST_SECRET} characters, which production refuses."
        click.echo(note, err=True)
