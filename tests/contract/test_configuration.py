"""Every setting is documented, and everything documented is a setting."""

from __future__ import annotations

import re

from tests.contract.settings_tables import DOCUMENT, METADATA, brought_up_to_date

NAME = re.compile(r"`([A-Z][A-Z0-9_]+)`")

# What the asynchronous service read, in any of its versions.
FORMERLY_READ = """
    PIPELINE_DB PIPELINE_PRODUCTS_DB PIPELINE_CAL_REGISTRY_DB PIPELINE_HDF5_DB PIPELINE_INGEST_DB
    PIPELINE_DATA_REGISTRY_DB PIPELINE_CALIBRATORS_DB DSA110_STATE_DIR DB_CONNECTION_TIMEOUT DSA110_DB_TIMEOUT
    DSA110_TIMEOUT_DB_CONNECTION DSA110_TIMEOUT_DB_QUICK DSA110_TIMEOUT_DB_METRICS DSA110_TIMEOUT_WS_PING
    DSA110_TIMEOUT_WS_PONG DSA110_TIMEOUT_HEALTH_CHECK DSA110_TIMEOUT_HTTP DSA110_TIMEOUT_BACKGROUND_POLL
    DSA110_TIMEOUT_STARTUP_RETRY DSA110_ENV DSA110_DEBUG DSA110_HOST DSA110_PORT DSA110_WORKERS API_PORT
    DSA110_API_KEYS DSA110_API_KEY_HEADER DSA110_JWT_SECRET DSA110_JWT_ALGORITHM DSA110_JWT_EXPIRY_HOURS
    DSA110_AUTH_DISABLED DSA110_ALLOWED_IPS DSA110_TRUSTED_PROXIES DSA110_CORS_ORIGINS DSA110_CORS_CREDENTIALS
    DSA110_RATE_LIMIT_DISABLED DSA110_RATE_LIMIT_MINUTE DSA110_RATE_LIMIT_HOUR DSA110_RATE_LIMIT_BURST REDIS_URL
    DSA110_REDIS_URL DSA110_REDIS_MAX_CONNECTIONS DSA110_REDIS_TIMEOUT REDIS_CACHE_ENABLED REDIS_DEFAULT_TTL
    DSA110_QUEUE_NAME DSA110_PIPELINE_RUN_CMD DSA110_PAGINATION_DEFAULT DSA110_PAGINATION_MAX DSA110_LOG_LEVEL
    DSA110_LOG_JSON DSA110_LOG_REQUEST_ID DSA110_ENABLE_SWAGGER DSA110_ENABLE_METRICS DSA110_ENABLE_PROFILING
    DSA110_TLS_ENABLED DSA110_TLS_CERT DSA110_TLS_KEY DSA110_TLS_CA
"""


def read() -> set[str]:
    """Every name that the service reads."""
    return {name for variable, metadata in METADATA.items() for name in (variable, *metadata["aliases"])}


def test_tables_tell_every_setting_as_it_is() -> None:
    text = DOCUMENT.read_text()
    assert text == brought_up_to_date(text), "run: python -m tests.contract.settings_tables"


def test_every_default_that_depends_on_others_is_described() -> None:
    assert "| computed |" not in DOCUMENT.read_text()


def test_no_name_is_read_for_two_settings() -> None:
    names = [name for variable, metadata in METADATA.items() for name in (variable, *metadata["aliases"])]
    assert len(names) == len(set(names))


def test_every_name_of_the_former_service_is_read_or_said_to_be_dropped() -> None:
    section = DOCUMENT.read_text().split("## Variables that are no longer read")[1]
    dropped = {name for line in section.splitlines() for name in NAME.findall(line.split(" | ")[0])}
    assert dropped == set(FORMERLY_READ.split()) - read()
