"""Pages: one module per subject. A view reads its arguments, calls services, and fills a template."""

from app.console.pages import (
    assets,
    batches,
    calibration,
    candidates,
    images,
    jobs,
    measurement_sets,
    overview,
    quality,
    sources,
)

ALL = (overview, images, sources, candidates, jobs, batches, measurement_sets, calibration, quality, assets)
