"""Settings of who may ask, and how often."""

from __future__ import annotations

from dataclasses import dataclass

from app.config import addresses, parse
from app.config.declaration import KNOWN_ORIGINS, LOCAL_NETWORKS, setting
from app.config.parse import Network, Rate


@dataclass(frozen=True, kw_only=True)
class AccessSettings:
    """The part of :class:`app.config.Settings` that decides who is let in."""

    allowed_networks: tuple[Network, ...] = setting(
        "DSA110_ALLOWED_IPS",
        parse.networks,
        parse.networks(LOCAL_NETWORKS),
        "Comma-separated addresses and networks that may connect.",
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "DSA110_TRUSTED_PROXIES",
        parse.networks,
        (),
        "Comma-separated proxies whose X-Forwarded-For is believed; 127.0.0.1 and ::1 always are.",
    )
    api_keys: tuple[str, ...] = setting(
        "DSA110_API_KEYS",
        parse.words,
        (),
        "Comma-separated keys that may do everything, beside those made by `contimg-api keys create`.",
        secret=True,
    )
    api_key_header: str = setting("DSA110_API_KEY_HEADER", parse.text, "X-API-Key", "Header that carries a key.")
    jwt_secret: str = setting(
        "DSA110_JWT_SECRET",
        parse.text,
        "",
        "Secret of HS256 bearer tokens, at least 32 characters; empty turns them off.",
        secret=True,
    )
    jwt_expiry_hours: float = setting(
        "DSA110_JWT_EXPIRY_HOURS", parse.positive, 24.0, "Life of a token made by `contimg-api token` [h]."
    )
    require_auth_for_reads: bool = setting(
        "DSA110_REQUIRE_AUTH_FOR_READS",
        parse.flag,
        False,
        "Reads need a key or token too, with scope read; all but /api/health, /metrics and the documentation page.",
    )
    auth_disabled: bool = setting(
        "DSA110_AUTH_DISABLED", parse.flag, False, "Everyone may write; refused in staging and production."
    )
    audit_retention_days: float = setting(
        "DSA110_AUDIT_RETENTION_DAYS", parse.positive, 365.0, "How long the audit log remembers a write [d]."
    )
    cors_origins: tuple[str, ...] = setting(
        "DSA110_CORS_ORIGINS",
        addresses.origins,
        addresses.origins(KNOWN_ORIGINS),
        "Comma-separated origins of browsers' front ends.",
    )
    cors_credentials: bool = setting("DSA110_CORS_CREDENTIALS", parse.flag, True, "Whether those may send credentials.")

    # -- how often
    rate_limit_disabled: bool = setting(
        "DSA110_RATE_LIMIT_DISABLED",
        parse.flag,
        False,
        "Limit no requests, whatever the variables below say; failed authentication stays throttled.",
    )
    rate_limit_storage_url: str = setting(
        "DSA110_RATE_LIMIT_STORAGE_URL",
        addresses.limiter_url,
        "",
        "Where requests are counted: redis:// or rediss://, for several machines; without one, a file in "
        "DSA110_API_STATE_DIR.",
        secret=True,
    )
    rate_limit_minute: Rate | None = setting(
        "DSA110_RATE_LIMIT_MINUTE",
        parse.rate_of(60),
        None,
        "Most requests of one caller in a minute, or another rate such as `50 per second`; 0 for any number.",
    )
    rate_limit_hour: Rate | None = setting(
        "DSA110_RATE_LIMIT_HOUR", parse.rate_of(3600), None, "Most requests of one caller in an hour, in the same way."
    )
    rate_limit_burst: Rate | None = setting(
        "DSA110_RATE_LIMIT_BURST", parse.rate_of(1), None, "Most requests of one caller in a second, in the same way."
    )
    rate_limit_writes: Rate | None = setting(
        "DSA110_RATE_LIMIT_WRITES", parse.rate_of(60), Rate(30, 60), "Most writes of one caller; 0 for any number."
    )
    rate_limit_renderings: Rate | None = setting(
        "DSA110_RATE_LIMIT_RENDERINGS",
        parse.rate_of(60),
        Rate(300, 60),
        "Most pictures, plots and cut-outs of one caller; those it has already (304) are free.",
    )
    rate_limit_exports: Rate | None = setting(
        "DSA110_RATE_LIMIT_EXPORTS", parse.rate_of(60), Rate(30, 60), "Most archives and tables of one caller."
    )
    rate_limit_auth: Rate | None = setting(
        "DSA110_RATE_LIMIT_AUTH",
        parse.rate_of(60),
        Rate(20, 60),
        "Most invalid keys and tokens from one address; past it no credential from there is looked at.",
    )
