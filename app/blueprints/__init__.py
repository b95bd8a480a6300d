"""Blueprints: one per resource. A view reads its arguments, calls one service, and returns a record.

``ALL`` lists them in the order of the documentation.
"""

from app.blueprints import (
    batches,
    cache,
    cal,
    health,
    images,
    jobs,
    logs,
    ms,
    pictures,
    qa,
    queue,
    reruns,
    services,
    sources,
    stats,
)

ALL = (
    images.blp,
    pictures.blp,
    ms.blp,
    sources.blp,
    jobs.blp,
    reruns.blp,
    batches.blp,
    queue.blp,
    qa.blp,
    cal.blp,
    logs.blp,
    stats.blp,
    services.blp,
    health.blp,
    cache.blp,
)
