"""``contimg-api serve``: a survey's databases upgraded, and gunicorn in front of them."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from pathlib import Path

import click

from app.cli.survey import survey_environment
from app.config import Settings

TRY = (
    ("the survey in a browser", "/console/"),
    ("the documentation page", "/api/docs"),
    ("the newest images", "/api/v1/images?limit=5"),
    ("what varies most", "/api/v1/sources?sort=-eta&limit=5"),
    ("how the service is", "/api/v1/health?detailed=true"),
)


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option(
    "--data",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A directory outside the survey whose files may be served; may be given again.",
)
@click.option("--upgrade/--no-upgrade", default=True, help="Run `db upgrade` first.")
def serve(directory: Path | None, data: tuple[Path, ...], upgrade: bool) -> None:
    """Serve DIRECTORY (made by `init` or `demo`) or, without it, what the environment names.

    Settings that the environment already holds win over those of the directory, which is served to this machine only.
    """
    if directory is not None:
        for name, value in survey_environment(directory, data).items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("DSA110_HOST", "127.0.0.1")
    settings = Settings.from_environment()
    _refuse_busy_port(settings.host, settings.port)
    settings.api_state_dir.mkdir(parents=True, exist_ok=True)
    if upgrade:
        from app.cli.db import upgrade_all

        upgrade_all(settings)
    _greet(settings, directory)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "-c", "python:app.gunicorn_conf", "wsgi:app"])


def _refuse_busy_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise click.ClickException(
                f"Cannot listen on {host}:{port}: {error.strerror}. Another program may be using the port; "
                "choose one with DSA110_PORT."
            ) from error


def _greet(settings: Settings, directory: Path | None) -> None:
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host
    base = f"http://{host}:{settings.port}"
    click.echo(f"\nServing {settings.products_db} at {base} with {settings.workers} workers. Worth trying:\n")
    for what, path in TRY:
        click.echo(f"  {base + path:<55} {what}")
    click.echo("\nWith curl:\n")
    for line in (
        f"curl '{base}/api/v1/images?limit=2'",
        f"curl -i '{base}/api/v1/images/1'",
        f"curl -OJ '{base}/api/v1/images/1/fits'",
        f"curl --compressed '{base}/api/v1/sources?limit=3&count=exact' -D -",
        f"curl '{base}/metrics'",
    ):
        click.echo(f"  {line}")
    if directory is not None:
        command = shlex.join([os.path.relpath(sys.argv[0]), "--survey", str(directory)])
        click.echo("\nFrom another terminal, for this survey:\n")
        for arguments, what in (
            ("keys create --name me --scope write", "a key, to write with"),
            ("worker", "does what is ordered, such as reruns"),
            ("doctor", "what is wrong, if anything"),
        ):
            click.echo(f"  {command + ' ' + arguments:<68}  # {what}")
    click.echo("\nStop with Ctrl-C.\n")
