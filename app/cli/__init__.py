"""The command line, ``contimg-api``: one module for each group of commands.

Commands read arguments, call one service and print; heavy imports wait inside them, so that ``--help`` is quick.
"""

from __future__ import annotations

from typing import Any

import click

from app.cli.audit import audit
from app.cli.backup import backup, restore
from app.cli.db import db
from app.cli.demo import demo
from app.cli.doctor import doctor
from app.cli.ingest import ingest
from app.cli.init import init
from app.cli.keys import keys
from app.cli.serve import serve
from app.cli.survey import survey_option
from app.cli.token import token
from app.cli.worker import worker
from app.config import ConfigurationError
from app.domain.errors import ContimgError
from app.version import VERSION


class Commands(click.Group):
    """A group that turns the service's own errors into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (ContimgError, ConfigurationError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="contimg-api")
@survey_option("Directory made by `init` or `demo` that the command is about, rather than what the environment names.")
def main() -> None:
    """The DSA-110 continuum imaging API: set up, fill, look after and serve its databases."""


for _command in (init, ingest, db, demo, serve, keys, token, audit, worker, backup, restore, doctor):
    main.add_command(_command)
