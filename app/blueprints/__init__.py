"""Blueprints: one per resource. A view reads its arguments, calls one service, and returns a record.

``ALL`` lists them in the order of the documentation.
"""

from app.blueprints import (
    batches,
    cache,
    cal,
    downloads,
    health,
    images,
    jobs,
    light_curves,
    logs,
    ms,
    photometry,
    pictures,
    plots,
    qa,
    queue,
    ratings,
    reruns,
    services,
    sources,
    stats,
)

ALL = (
    images.blp,
    pictures.blp,
    ratings.blp,
    downloads.blp,
    ms.blp,
    sources.blp,
    photometry.blp,
    light_curves.blp,
    jobs.blp,
    reruns.blp,
    batches.blp,
    queue.blp,
    qa.blp,
    cal.blp,
    logs.blp,
    stats.blp,
    plots.blp,
    services.blp,
    health.blp,
    cache.blp,
)
