"""``contimg-api worker``: the process that does the background work."""

from __future__ import annotations

import click

from app.config import Settings


@click.command()
@click.option("--concurrency", type=click.IntRange(min=1, max=64), default=1, show_default=True, help="Jobs at a time.")
@click.option(
    "--drain",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds that jobs under way get on SIGTERM; then they go back into the queue.",
)
def worker(concurrency: int, drain: float) -> None:
    """Execute the jobs of the work queue until stopped by SIGTERM or Ctrl-C; a second signal stops at once."""
    from app.tasks.worker import work
    from app.web.observe import set_up_logging

    settings = Settings.from_environment()
    set_up_logging(settings)
    work(settings, concurrency=concurrency, drain_s=drain)
