"""The composition root: every repository and service of a process, made once from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from app.config import Settings
from app.db.changes import ChangeWatcher
from app.db.pipeline import PipelineDatabase, PipelineFiles
from app.repositories.images import ImageRepository
from app.services.files import DataFiles
from app.services.images import ImageService


@dataclass(frozen=True, slots=True)
class Services:
    """What blueprints may call."""

    database: PipelineDatabase
    changes: ChangeWatcher
    images: ImageService

    def close(self) -> None:
        """Close what this thread opened."""
        self.database.close()
        self.changes.close()


def build(settings: Settings) -> Services:
    """Make the services. Opens nothing: databases are opened by the first query of each thread."""
    files = PipelineFiles(settings.products_db, settings.cal_registry_db)
    database = PipelineDatabase(files, busy_timeout_s=settings.busy_timeout_s)
    data = DataFiles(settings.data_roots, databases=(settings.products_db, settings.cal_registry_db))
    return Services(
        database=database,
        changes=ChangeWatcher(files),
        images=ImageService(ImageRepository(database), data),
    )
