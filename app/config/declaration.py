"""How a setting is declared, and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.config import Settings

LOCAL_NETWORKS = "127.0.0.1,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"
KNOWN_ORIGINS = (
    "https://dsa110.github.io,http://code.deepsynoptic.org,https://code.deepsynoptic.org,"
    "http://localhost:3000,http://127.0.0.1:3000"
)

Default = Callable[["Settings"], Any]


def setting(
    variable: str, reader: Callable[[str], Any], default: Any, help: str, *, aliases: str = "", secret: bool = False
) -> Any:
    """A field read from ``variable``; a callable default is computed from the settings before it.

    What is secret, or may hold a password, is no part of the settings' ``repr()``.
    """
    return field(
        repr=not secret,
        metadata={
            "variable": variable, "aliases": aliases.split(), "parse": reader, "default": default, "help": help,
        }
    )  # fmt: skip


def secret_variables(settings: type[Settings]) -> frozenset[str]:
    """Variables, by every name, whose values are secret or may hold a password."""
    declared = [field.metadata for field in fields(settings) if not field.repr and "variable" in field.metadata]
    return frozenset(name for metadata in declared for name in (metadata["variable"], *metadata["aliases"]))


def in_state(name: str) -> Default:
    """Default: a file or directory in the state directory."""
    return lambda settings: settings.state_dir / name


def in_database(name: str) -> Default:
    """Default: the unified database, else a file in the state directory."""
    return lambda settings: settings.unified_db or settings.state_dir / name


def read(metadata: Mapping[str, Any], environ: Mapping[str, str], earlier: Settings) -> Any:
    """Value of one setting: by its name, by an older name, or its default; ValueError says what was expected."""
    for name in (metadata["variable"], *metadata["aliases"]):
        if name in environ:
            return metadata["parse"](environ[name])
    default = metadata["default"]
    return default(earlier) if callable(default) else default
