"""A survey in one directory, as ``init`` and ``demo`` lay it out, and the settings that point at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def survey_environment(directory: Path, data: tuple[Path, ...] = ()) -> dict[str, str]:
    """Settings for a survey directory.

    Parameters
    ----------
    directory
        Holds ``products.sqlite3`` and ``cal_registry.sqlite3``, itself or in ``state/``.
    data
        More directories whose files may be served.

    Raises
    ------
    click.BadParameter
        There is no products database.
    """
    directory = directory.absolute()
    state = next((place for place in (directory, directory / "state") if (place / "products.sqlite3").is_file()), None)
    if state is None:
        raise click.BadParameter(f"{directory} holds no products.sqlite3; make one with: contimg-api init {directory}")
    roots = [directory, *(path.absolute() for path in data)]
    return {
        "DSA110_STATE_DIR": str(state),
        "PIPELINE_PRODUCTS_DB": str(state / "products.sqlite3"),
        "PIPELINE_CAL_REGISTRY_DB": str(state / "cal_registry.sqlite3"),
        "DSA110_DATA_ROOTS": ":".join(map(str, roots)),
        "DSA110_LOG_DIRS": str(directory / "logs"),
        "DSA110_API_STATE_DIR": str(directory / "api"),
    }


def survey_option(help: str) -> Callable[[F], F]:
    """The option ``--survey``: what the command and those below it do is about that directory."""

    def point(context: click.Context, _option: click.Parameter, directory: Path | None) -> None:
        if directory is not None:
            context.with_resource(_pointed_at(directory))

    kind = click.Path(exists=True, file_okay=False, path_type=Path)
    return click.option("--survey", type=kind, expose_value=False, callback=point, help=help)


@contextmanager
def _pointed_at(directory: Path) -> Iterator[None]:
    """Let the environment name a survey directory, as somebody who serves it has it; raises click.BadParameter."""
    before = dict(os.environ)
    os.environ.update(survey_environment(directory))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
