"""What must not be, in staging and production."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

# Characters of a secret that signs tokens: as many as its hash has bytes (RFC 7518, section 3.2).
SHORTEST_SECRET = 32

if TYPE_CHECKING:
    from app.config import Settings


def problems(settings: Settings) -> list[str]:
    """What the settings' environment must not be run with, a sentence each; empty when all is well."""
    if settings.environment not in {"staging", "production"}:
        return []
    found = []
    if settings.auth_disabled:
        found.append("DSA110_AUTH_DISABLED: authentication may be off in development and testing only")
    if settings.environment == "production":
        found += _in_production(settings)
    return found


def _in_production(settings: Settings) -> list[str]:
    found = []
    if not settings.api_keys:
        found.append("DSA110_API_KEYS: production needs at least one key")
    if settings.jwt_secret and len(settings.jwt_secret) < SHORTEST_SECRET:
        found.append(f"DSA110_JWT_SECRET: needs at least {SHORTEST_SECRET} characters")
    if settings.debug:
        found.append("DSA110_DEBUG: must be off in production")
    if settings.profiling:
        found.append("DSA110_ENABLE_PROFILING: must be off in production")
    for name in ("products_db", "cal_registry_db", "hdf5_db", "ingest_db", "data_registry_db"):
        path: Path = getattr(settings, name)
        if not path.parent.is_dir():
            variable = type(settings).__dataclass_fields__[name].metadata["variable"]
            found.append(f"{variable}: its directory {path.parent} does not exist")
    return found
