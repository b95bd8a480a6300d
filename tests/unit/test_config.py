"""Settings: read once, understood or refused, one truth for every part of the service."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from app.config import ConfigurationError, Settings

DATABASES = ("products_db", "cal_registry_db", "hdf5_db", "ingest_db", "data_registry_db")


def settings(**environ: str) -> Settings:
    """Settings from these variables and nothing else."""
    return Settings.from_environment(environ)


def safe_in_production(tmp_path: Path) -> dict[str, str]:
    """The least that production needs."""
    return {
        "DSA110_ENV": "production", "DSA110_API_KEYS": "k" * 20, "DSA110_STATE_DIR": str(tmp_path),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("DSA110_PORT", "8443", "port", 8443),
        ("API_PORT", "8001", "port", 8001),
        ("DB_CONNECTION_TIMEOUT", "5", "busy_timeout_s", 5.0),
        ("DSA110_TIMEOUT_DB_CONNECTION", "6.5", "busy_timeout_s", 6.5),
        ("DSA110_TIMEOUT_HTTP", "9", "request_timeout_s", 9.0),
        ("REDIS_URL", "redis://there:1/2", "redis_url", "redis://there:1/2"),
        ("REDIS_CACHE_ENABLED", "false", "cache_enabled", False),
        ("DSA110_API_KEYS", " a, b ,,", "api_keys", ("a", "b")),
        ("DSA110_DATA_ROOTS", "/a:/b:", "data_roots", (Path("/a"), Path("/b"))),
        ("DSA110_LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("DSA110_ENV", "Production ", "environment", "production"),
        ("DSA110_ENV", "prod", "environment", "development"),
        ("DSA110_DEBUG", "YES", "debug", True),
        ("DSA110_DEBUG", "", "debug", False),
        ("DSA110_ALLOWED_IPS", "10.1.2.3/8", "allowed_networks", (ipaddress.ip_network("10.0.0.0/8"),)),
    ],
)
def test_variable_is_read(variable: str, text: str, field: str, value: Any, tmp_path: Path) -> None:
    environ = safe_in_production(tmp_path) if value == "production" else {}
    assert getattr(settings(**{**environ, variable: text}), field) == value


def test_documented_name_wins_over_older_ones_and_they_keep_their_order() -> None:
    older = {"DB_CONNECTION_TIMEOUT": "2", "DSA110_TIMEOUT_DB_CONNECTION": "3"}
    assert settings(DSA110_DB_TIMEOUT="1", **older).busy_timeout_s == 1.0
    assert settings(**older).busy_timeout_s == 2.0


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DSA110_PORT", "seventy"), ("DSA110_PORT", "65536"), ("DSA110_PORT", ""), ("DSA110_WORKERS", "0"),
        ("DSA110_WORKERS", "1.5"), ("DSA110_DB_TIMEOUT", "0"), ("DSA110_DB_TIMEOUT", "nan"),
        ("DSA110_DB_TIMEOUT", "inf"), ("DSA110_DEBUG", "perhaps"), ("DSA110_ALLOWED_IPS", "10.0.0.0/33"),
        ("DSA110_LOG_LEVEL", "LOUD"),
    ],
)  # fmt: skip
def test_value_that_cannot_be_understood_stops_the_start_with_its_name(variable: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{variable}: (?!invalid literal|could not convert)"):
        settings(**{variable: text})


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(DSA110_PORT="x", DSA110_WORKERS="y")
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["DSA110_PORT", "DSA110_WORKERS"]


def test_state_directory_is_the_base_of_every_default() -> None:
    made = settings(DSA110_STATE_DIR="/srv/state")
    assert [getattr(made, name) for name in DATABASES] == [
        Path("/srv/state/products.sqlite3"), Path("/srv/state/cal_registry.sqlite3"), Path("/srv/state/hdf5.sqlite3"),
        Path("/srv/state/ingest.sqlite3"), Path("/srv/state/data_registry.sqlite3"),
    ]  # fmt: skip
    assert made.api_state_dir == Path("/srv/state/api")
    assert made.log_dirs == (Path("/srv/state/logs"), Path("/srv/logs"))
    assert made.disk_paths[0] == Path("/srv/state")


def test_unified_file_is_the_default_of_all_five_and_each_can_differ() -> None:
    made = settings(PIPELINE_DB="/srv/pipeline.sqlite3", PIPELINE_HDF5_DB="/srv/hdf5.sqlite3")
    assert {name: str(getattr(made, name)) for name in DATABASES} == {
        name: "/srv/hdf5.sqlite3" if name == "hdf5_db" else "/srv/pipeline.sqlite3" for name in DATABASES
    }


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DSA110_AUTH_DISABLED", "true"),
        ("DSA110_API_KEYS", ""),
        ("DSA110_JWT_SECRET", "x" * 31),
        ("DSA110_DEBUG", "true"),
        ("DSA110_ENABLE_PROFILING", "true"),
        ("PIPELINE_PRODUCTS_DB", "/nowhere/at/all/products.sqlite3"),
    ],
)
def test_production_refuses(variable: str, text: str, tmp_path: Path) -> None:
    environ = safe_in_production(tmp_path)
    assert settings(**environ).environment == "production"
    with pytest.raises(ConfigurationError, match=variable):
        settings(**{**environ, variable: text})


@pytest.mark.parametrize(("environment", "refused"), [("development", False), ("testing", False), ("staging", True)])
def test_authentication_can_be_off_at_home_only(environment: str, refused: bool) -> None:
    environ = {"DSA110_ENV": environment, "DSA110_AUTH_DISABLED": "true"}
    if refused:
        with pytest.raises(ConfigurationError, match="DSA110_AUTH_DISABLED"):
            settings(**environ)
    else:
        assert settings(**environ).auth_disabled


def test_defaults_alone_are_enough() -> None:
    made = settings()
    assert (made.environment, made.port, made.page_default, made.page_max) == ("development", 8000, 100, 1000)
    assert made.workers >= 2
    assert str(made.products_db) == "/data/dsa110-contimg/state/products.sqlite3"


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(AttributeError):
        settings().port = 1  # type: ignore[misc]
