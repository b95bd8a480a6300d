"""Every setting, read from the environment once, checked, and explained where it stands.

One name is documented for each; older names that deployments still use are accepted as ``aliases`` and read when the
first is absent. A value that cannot be understood stops the start with the name of its variable, never a guess.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from app.config import addresses, parse, safety
from app.config.access import AccessSettings
from app.config.declaration import in_database, in_state, read, setting
from app.config.parse import Network as Network

Environment = Literal["development", "testing", "staging", "production"]


class ConfigurationError(Exception):
    """The environment asks for something impossible or unsafe; the message names each variable and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Settings(AccessSettings):
    """The service's settings; build them with :meth:`from_environment`.

    Who may ask, and how often, stands in :class:`app.config.access.AccessSettings`.
    """

    # -- where this runs
    environment: Environment = setting(
        "DSA110_ENV",
        parse.environment,
        "development",
        "development, testing, staging or production; anything else means development. Production turns on HSTS and "
        "refuses unsafe settings.",
    )
    debug: bool = setting("DSA110_DEBUG", parse.flag, False, "Show tracebacks to clients; never in production.")
    profiling: bool = setting(
        "DSA110_ENABLE_PROFILING", parse.flag, False, "Add the time spent in SQL to Server-Timing; never in production."
    )
    host: str = setting("DSA110_HOST", addresses.host, "0.0.0.0", "Address that gunicorn listens on.")
    port: int = setting("DSA110_PORT", parse.port, 8000, "Port that gunicorn listens on.", aliases="API_PORT")
    workers: int = setting(
        "DSA110_WORKERS", parse.count, lambda settings: max(2, os.cpu_count() or 1), "gunicorn worker processes."
    )
    public_url: str = setting(
        "DSA110_PUBLIC_URL",
        addresses.base_url,
        "",
        "This service's address for clients; without it, what they ask for.",
    )
    threads: int = setting("DSA110_THREADS", parse.count, 4, "Threads in each worker.")
    worker_memory_mib: int = setting(
        "DSA110_WORKER_MEMORY_MIB",
        parse.whole,
        1024,
        "Memory past which a worker is replaced, a quarter more at once [MiB]; 0 for never.",
    )

    # -- the pipeline's databases
    state_dir: Path = setting(
        "DSA110_STATE_DIR", parse.path, Path("/data/dsa110-contimg/state"), "Base directory of the database defaults."
    )
    unified_db: Path | None = setting(
        "PIPELINE_DB",
        parse.path,
        None,
        "One file that holds everything, as newer pipelines write it; the five below default to it where it is set.",
    )
    products_db: Path = setting(
        "PIPELINE_PRODUCTS_DB",
        parse.path,
        in_database("products.sqlite3"),
        "Products database: images, measurement sets, photometry, jobs.",
    )
    cal_registry_db: Path = setting(
        "PIPELINE_CAL_REGISTRY_DB",
        parse.path,
        in_database("cal_registry.sqlite3"),
        "Calibration registry. Where it is absent and the products file holds calibration tables, those are read.",
    )
    hdf5_db: Path = setting(
        "PIPELINE_HDF5_DB", parse.path, in_database("hdf5.sqlite3"), "HDF5 index; only the health report looks at it."
    )
    ingest_db: Path = setting(
        "PIPELINE_INGEST_DB",
        parse.path,
        in_database("ingest.sqlite3"),
        "Ingest queue; only the health report looks at it.",
    )
    data_registry_db: Path = setting(
        "PIPELINE_DATA_REGISTRY_DB",
        parse.path,
        in_database("data_registry.sqlite3"),
        "Data registry; only `contimg-api doctor` looks at it.",
    )
    busy_timeout_s: float = setting(
        "DSA110_DB_TIMEOUT",
        parse.positive,
        30.0,
        "How long a statement waits for a database lock [s].",
        aliases="DB_CONNECTION_TIMEOUT DSA110_TIMEOUT_DB_CONNECTION",
    )
    quick_timeout_s: float = setting(
        "DSA110_TIMEOUT_DB_QUICK", parse.positive, 2.0, "Time for each probe of the health report [s]."
    )
    metrics_timeout_s: float = setting(
        "DSA110_TIMEOUT_DB_METRICS", parse.positive, 10.0, "Time for the database gauges of /metrics [s]."
    )
    request_timeout_s: float = setting(
        "DSA110_REQUEST_TIMEOUT",
        parse.positive,
        30.0,
        "Deadline of a request [s]; past it a query is stopped and answered with 503 QUERY_TIMEOUT.",
        aliases="DSA110_TIMEOUT_HTTP",
    )

    # -- files
    api_state_dir: Path = setting(
        "DSA110_API_STATE_DIR",
        parse.path,
        in_state("api"),
        "Directory of this service's own files; it must be writable.",
    )
    data_roots: tuple[Path, ...] = setting(
        "DSA110_DATA_ROOTS",
        parse.paths,
        (Path("/stage/dsa110-contimg"), Path("/data/dsa110-contimg")),
        "Colon-separated directories; only regular files inside them are ever read or served.",
    )
    log_dirs: tuple[Path, ...] = setting(
        "DSA110_LOG_DIRS",
        parse.paths,
        lambda settings: (settings.state_dir / "logs", settings.state_dir.parent / "logs"),
        "Colon-separated directories searched, in this order, for {run_id}.log.",
    )
    disk_paths: tuple[Path, ...] = setting(
        "DSA110_DISK_PATHS",
        parse.paths,
        lambda settings: (settings.state_dir, Path("/stage/dsa110-contimg")),
        "Colon-separated directories whose free space the health report tells.",
    )

    # -- what is answered
    page_default: int = setting(
        "DSA110_PAGINATION_DEFAULT", parse.count, 100, "Rows of a page when limit= is not given."
    )
    page_max: int = setting("DSA110_PAGINATION_MAX", parse.count, 1000, "Most rows of a page.")
    max_body_bytes: int = setting("DSA110_MAX_BODY_BYTES", parse.count, 1_048_576, "Largest request body [bytes].")
    enable_swagger: bool = setting("DSA110_ENABLE_SWAGGER", parse.flag, True, "Serve the documentation page.")
    enable_metrics: bool = setting("DSA110_ENABLE_METRICS", parse.flag, True, "Serve /metrics.")
    service_timeout_s: float = setting(
        "DSA110_TIMEOUT_SERVICE_PROBE", parse.positive, 3.0, "Time for each probe of a neighbouring service [s]."
    )
    cache_enabled: bool = setting(
        "DSA110_CACHE_ENABLED",
        parse.flag,
        True,
        "Keep answers while the databases stand still.",
        aliases="REDIS_CACHE_ENABLED",
    )
    cache_bytes: int = setting(
        "DSA110_CACHE_BYTES", parse.count, 12 * 2**20, "Most bytes of answers kept by each worker."
    )
    redis_url: str = setting(
        "DSA110_REDIS_URL",
        addresses.redis_url,
        "redis://localhost:6379/0",
        "Redis that the health report looks at.",
        aliases="REDIS_URL",
        secret=True,
    )

    # -- pictures and files
    picture_cache_bytes: int = setting(
        "DSA110_PICTURE_CACHE_BYTES", parse.count, 256 * 2**20, "Most bytes of pictures and cut-outs kept on disk."
    )
    renderings: int = setting(
        "DSA110_RENDERINGS",
        parse.count,
        lambda settings: max(1, settings.threads // 2),
        "Pictures and cut-outs that each gunicorn worker makes at a time; others wait, and get 503 after 15 s.",
    )
    cutout_max_pixels: int = setting(
        "DSA110_CUTOUT_MAX_PIXELS", parse.count, 16_000_000, "Most pixels of a FITS cut-out, all its planes together."
    )
    max_downloads: int = setting(
        "DSA110_MAX_DOWNLOADS",
        parse.count,
        lambda settings: max(1, settings.threads // 2),
        "Archives and tables that each gunicorn worker sends at a time; the rest get 503.",
    )
    accel_prefix: str = setting(
        "DSA110_ACCEL_PREFIX",
        addresses.location,
        "",
        "Internal location of nginx under which it finds the data roots; FITS files are then sent by nginx itself.",
    )
    image_delete_allowed: bool = setting(
        "DSA110_ALLOW_IMAGE_DELETE",
        parse.flag,
        False,
        "Let callers who may write remove images from the products database, and their files if they ask for it.",
    )
    ui_dir: Path | None = setting(
        "DSA110_UI_DIR",
        parse.path_or_none,
        None,
        "Directory of a built single-page client, served at `/`; without one, `/` leads to the console.",
    )

    # -- background work
    queue_url: str = setting(
        "DSA110_QUEUE_URL",
        addresses.queue_url,
        "",
        "Store of the work queue: redis://, rediss:// or postgresql://; without one, a file in DSA110_API_STATE_DIR, "
        "for workers on this machine.",
        secret=True,
    )
    queue_name: str = setting(
        "DSA110_QUEUE_NAME", parse.queue_name, "dsa110-pipeline", "Name of the queue; several can share a store."
    )
    pipeline_run_cmd: str = setting(
        "DSA110_PIPELINE_RUN_CMD",
        parse.text,
        "",
        "Command of a rerun, with {ms_path}, {run_id}, {cal_table}, {phase_center_ra} and {phase_center_dec}; no shell "
        "reads it. Without one, reruns fail and say so.",
    )
    job_timeout_s: float = setting("DSA110_JOB_TIMEOUT", parse.positive, 3600.0, "Time limit of a job's command [s].")
    job_retries: int = setting(
        "DSA110_JOB_RETRIES", parse.whole, 1, "How often a job is started again when its worker was killed under it."
    )
    job_retention_days: float = setting(
        "DSA110_JOB_RETENTION_DAYS", parse.positive, 7.0, "How long the queue remembers a job that has ended [d]."
    )
    cancel_grace_s: float = setting(
        "DSA110_CANCEL_GRACE",
        parse.positive,
        5.0,
        "Time between SIGTERM and SIGKILL for a command that is stopped [s].",
    )
    heartbeat_s: float = setting(
        "DSA110_HEARTBEAT",
        parse.positive,
        2.0,
        "Pace of a worker's heartbeat [s]; it counts as connected for 5 of them, and as lost after 6 are missing.",
    )
    max_streams: int = setting(
        "DSA110_MAX_STREAMS",
        parse.count,
        lambda settings: max(1, settings.threads - 2),
        "Streams of events that each gunicorn worker serves at a time; every one occupies a thread.",
    )

    # -- logs
    log_level: str = setting("DSA110_LOG_LEVEL", parse.level, "INFO", "Least severe level written.")
    log_json: bool = setting("DSA110_LOG_JSON", parse.flag, True, "Write one JSON object a line; false for plain text.")
    log_requests: bool = setting("DSA110_LOG_REQUESTS", parse.flag, True, "Write one line for every request.")
    log_request_id: bool = setting("DSA110_LOG_REQUEST_ID", parse.flag, True, "Put the request id into every line.")
    slow_query_s: float = setting(
        "DSA110_SLOW_QUERY", parse.positive, 1.0, "Statements that take so long [s] are logged with their plan."
    )

    # -- TLS by gunicorn itself
    tls_enabled: bool = setting("DSA110_TLS_ENABLED", parse.flag, False, "Let gunicorn speak TLS.")
    tls_cert: str = setting("DSA110_TLS_CERT", parse.text, "", "Certificate file.")
    tls_key: str = setting("DSA110_TLS_KEY", parse.text, "", "Key file.")
    tls_ca: str = setting(
        "DSA110_TLS_CA",
        parse.text,
        "",
        "CA bundle; where it is given, clients must show a certificate that it vouches for.",
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read, complete and check the settings.

        Raises
        ------
        ConfigurationError
            A value cannot be understood, or the combination is unsafe in staging or production.
        """
        environ = os.environ if environ is None else environ
        settings = object.__new__(cls)
        problems = []
        for item in fields(cls):
            try:
                value = read(item.metadata, environ, settings)
            except ValueError as error:
                problems.append(f"{item.metadata['variable']}: {error}")
                value = None
            object.__setattr__(settings, item.name, value)
        problems = problems or settings.unsafe()
        if problems:
            raise ConfigurationError("\n".join(problems))
        return settings

    def unsafe(self) -> list[str]:
        """What this environment must not be run with, a sentence each; empty when all is well."""
        return safety.problems(self)
