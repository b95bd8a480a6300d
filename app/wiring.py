"""The composition root: every repository and service of a process, made once from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from app.config import Settings
from app.db.changes import ChangeWatcher
from app.db.counters import Counters
from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.state import StateDatabase
from app.db.writing import WritableDatabase
from app.queue.engine import Engine
from app.queue.heartbeat import Workers
from app.queue.idempotency import Idempotency
from app.queue.records import JobRecords
from app.repositories.audit import AuditRepository
from app.repositories.batches import BatchRepository, BatchWriter
from app.repositories.cal import CalRepository
from app.repositories.exports import ExportRepository
from app.repositories.frames import FrameRepository
from app.repositories.image_sources import ImageSourceRepository
from app.repositories.image_writes import ImageWriter
from app.repositories.images import ImageRepository
from app.repositories.jobs import JobRepository
from app.repositories.keys import KeyRepository
from app.repositories.light_curves import LightCurveRepository
from app.repositories.metrics import MetricsRepository
from app.repositories.ms import MsRepository
from app.repositories.observations import ObservationRepository
from app.repositories.photometry import PhotometryRepository
from app.repositories.qa import QaRepository
from app.repositories.ratings import RatingRepository
from app.repositories.sources import SourceRepository
from app.repositories.stats import StatsRepository
from app.repositories.variability import VariabilityRepository
from app.services.audit import AuditService
from app.services.batches import BatchService
from app.services.cal import CalService
from app.services.deletion import DeletionService
from app.services.downloads import DownloadService
from app.services.files import DataFiles
from app.services.following import FollowingService
from app.services.health import HealthService
from app.services.images import ImageService
from app.services.jobs import JobService
from app.services.keys import KeyService
from app.services.logs import LogService
from app.services.metrics import MetricsService
from app.services.monitor import MonitorService
from app.services.ms import MsService
from app.services.pictures import style
from app.services.pictures.disk_cache import DiskCache
from app.services.pictures.service import PictureService
from app.services.pictures.turnstile import Turnstile
from app.services.plots.service import PlotService
from app.services.qa import QaService
from app.services.queue import QueueService
from app.services.ratings import RatingService
from app.services.readiness import ReadinessService
from app.services.readiness import looks as readiness_looks
from app.services.reruns import RerunService
from app.services.sky import SkySearch
from app.services.sources import SourceService
from app.services.stats import StatsService
from app.services.variability import VariabilityService
from app.services.vo.service import ObservatoryService


@dataclass(frozen=True, slots=True)
class Services:
    """What blueprints may call."""

    database: PipelineDatabase
    state: StateDatabase
    access: StateDatabase
    counters: Counters
    keys: KeyService
    audit: AuditService
    changes: ChangeWatcher
    images: ImageService
    pictures: PictureService
    plots: PlotService
    ratings: RatingService
    deletion: DeletionService
    downloads: DownloadService
    ms: MsService
    sources: SourceService
    vo: ObservatoryService
    variability: VariabilityService
    jobs: JobService
    qa: QaService
    cal: CalService
    logs: LogService
    engine: Engine
    queue: QueueService
    reruns: RerunService
    batches: BatchService
    following: FollowingService
    stats: StatsService
    health: HealthService
    readiness: ReadinessService
    monitor: MonitorService
    metrics: MetricsService

    @property
    def is_adrift(self) -> bool:
        """Whether this process goes on with deleted files of a database, and another is to take its place."""
        return self.changes.is_adrift or self.state.is_adrift or self.access.is_adrift

    def close(self) -> None:
        """Close what this thread opened."""
        self.database.close()
        self.state.close()
        self.access.close()
        self.counters.close()
        self.changes.close()
        self.engine.close()


def build(settings: Settings) -> Services:
    """Make the services. Opens nothing: databases are opened by the first query of each thread."""
    files = PipelineFiles(settings.products_db, settings.cal_registry_db, settings.api_state_dir)
    database = PipelineDatabase(files, busy_timeout_s=settings.busy_timeout_s, slow_query_s=settings.slow_query_s)
    in_use = (settings.products_db, settings.cal_registry_db)
    images = ImageRepository(database)
    data_files = DataFiles(settings.data_roots, databases=in_use)
    sources = SourceRepository(database)
    sky = SkySearch(images, sources)
    measurement_sets = MsRepository(database)
    jobs = JobService(JobRepository(database), measurement_sets)
    logs = LogService(settings.log_dirs, DataFiles(settings.log_dirs, databases=in_use))
    engine = Engine(settings.queue_url, settings.queue_name, settings.api_state_dir)
    workers, idempotency = Workers(engine), Idempotency(engine)
    records = JobRecords(engine, workers)
    reruns = RerunService(jobs, records, workers, idempotency, retries=settings.job_retries)
    writing = WritableDatabase(
        settings.products_db, "products", busy_timeout_s=settings.busy_timeout_s, notes=settings.api_state_dir
    )
    slow_query_s = settings.slow_query_s
    state = StateDatabase(settings.api_state_dir, busy_timeout_s=settings.busy_timeout_s, slow_query_s=slow_query_s)
    # The same file; but whether a key is valid, or a write goes into the log, is not waited for as long as a write is.
    access = StateDatabase(
        settings.api_state_dir, busy_timeout_s=min(settings.busy_timeout_s, 2.0), slow_query_s=slow_query_s
    )
    changes = ChangeWatcher(files)
    stats = StatsRepository(database)
    variability = VariabilityService(VariabilityRepository(database), PhotometryRepository(database))
    # Pictures and plots share what is kept on disk, and the bound on how many are drawn at a time.
    kept = DiskCache(settings.api_state_dir / "pictures", settings.picture_cache_bytes)
    turnstile = Turnstile(settings.renderings)
    probed = {
        "products": settings.products_db,
        "cal_registry": settings.cal_registry_db,
        "hdf5": settings.hdf5_db,
        "ingest": settings.ingest_db,
    }
    pictures = _pictures(settings, database, images, data_files, kept, turnstile)
    source_service = SourceService(sources, PhotometryRepository(database), sky)
    health = HealthService(probed, settings.redis_url, settings.disk_paths, settings.quick_timeout_s)
    return Services(
        database=database,
        state=state,
        access=access,
        counters=Counters(settings.api_state_dir),
        keys=KeyService(KeyRepository(access)),
        audit=AuditService(AuditRepository(access), settings.audit_retention_days),
        changes=changes,
        images=ImageService(images, data_files, sky),
        pictures=pictures,
        plots=PlotService(
            LightCurveRepository(database),
            SourceRepository(database),
            stats,
            variability,
            cache=kept,
            turnstile=turnstile,
        ),
        ratings=RatingService(images, RatingRepository(state), idempotency),
        deletion=DeletionService(images, ImageWriter(writing), data_files, allowed=settings.image_delete_allowed),
        downloads=DownloadService(ExportRepository(database), measurement_sets, data_files),
        ms=MsService(measurement_sets, sky),
        sources=source_service,
        vo=ObservatoryService(source_service.page, ObservationRepository(database), pictures, data_files),
        variability=variability,
        jobs=jobs,
        qa=QaService(QaRepository(database), images, jobs),
        cal=CalService(CalRepository(database)),
        logs=logs,
        engine=engine,
        queue=QueueService(engine, records, workers),
        reruns=reruns,
        batches=BatchService(BatchRepository(database), BatchWriter(writing), reruns, records, idempotency),
        following=FollowingService(jobs, records, logs),
        stats=StatsService(stats),
        health=health,
        readiness=ReadinessService(readiness_looks(settings, engine)),
        monitor=MonitorService(settings.port, health.report, settings.service_timeout_s),
        metrics=MetricsService(stats, MetricsRepository(database), changes.generation, settings.metrics_timeout_s),
    )


def _pictures(
    settings: Settings,
    database: PipelineDatabase,
    images: ImageRepository,
    files: DataFiles,
    kept: DiskCache,
    turnstile: Turnstile,
) -> PictureService:
    style.keep_caches_in(settings.api_state_dir / "matplotlib")
    return PictureService(
        images,
        ImageSourceRepository(database),
        FrameRepository(database),
        files,
        cache=kept,
        turnstile=turnstile,
        most_pixels=settings.cutout_max_pixels,
    )
