"""SQL functions of this service's own connections: rules that have one home in the domain, usable in a query.

The pipeline's connections do not have them, so nothing that the upgrade lays into a file may use one.
"""

from __future__ import annotations

import sqlite3

from app.domain.jobs import job_status
from app.domain.qa import grade_of_stage
from app.domain.run_id import run_id
from app.domain.sky import separation_arcsec, shows

SCALARS = (
    ("run_id", 1, run_id),
    ("grade_of_stage", 1, grade_of_stage),
    ("job_status", 4, job_status),
    ("separation_arcsec", 4, separation_arcsec),
    ("shows", 6, shows),
)


def register(connection: sqlite3.Connection) -> None:
    """Give a connection every function."""
    for name, arguments, function in SCALARS:
        connection.create_function(name, arguments, function, deterministic=True)
