"""The rows that the builders of :mod:`tests.support.pipeline` write unless told otherwise, as functions of a counter.

Row n belongs to second n after 2025-10-31T13:00:00Z. Columns of every generation are here; the builder leaves out those
that its file does not have. What is absent stays NULL (``peak_flux_jy``, say, which would hide a missing flux).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BASE_UNIX_S = 1761915600.0  # 2025-10-31T13:00:00Z
BASE_MJD = BASE_UNIX_S / 86400 + 40587
DAY_S = 86400.0
ORDER_INDEX = {"K": 10, "BA": 20, "BP": 30, "GA": 40, "GP": 50, "2G": 60, "FLUX": 70}
Row = dict[str, Any]


def ms_path(n: int) -> str:
    """Path of the n-th measurement set, ``/stage/ms/2025-10-31T13:00:07.ms`` for the seventh."""
    return f"/stage/ms/{datetime.fromtimestamp(BASE_UNIX_S + n, UTC).isoformat()[:19]}.ms"


def image_path(n: int) -> str:
    """Path of the n-th image."""
    return f"/stage/img/{n:06d}.fits"


def run_id(path: str) -> str:
    """Run id that belongs to a measurement set's path, worked out here on its own for the tests' sake."""
    stem = Path(path).name.removesuffix(".ms")
    if not re.match(r"\d{4}-\d\d-\d\dT", stem):
        return f"job-{stem}"
    date, time = stem[:10], stem[11:]
    return f"job-{date}-{time.replace(':', '').split('.')[0]}"


def image(n: int) -> Row:
    return {
        "path": image_path(n), "ms_path": ms_path(n), "created_at": BASE_UNIX_S + n, "type": "image",
        "beam_major_arcsec": 13.5, "noise_jy": 0.0004, "pbcor": 0, "beam_minor_arcsec": 9.5, "beam_pa_deg": 35.0,
        "dynamic_range": 850.0, "format": "fits", "field_name": "J1200+37", "center_ra_deg": 180.0,
        "center_dec_deg": 37.2, "imsize_x": 4096, "imsize_y": 4096, "cellsize_arcsec": 2.5, "freq_ghz": 1.4,
        "bandwidth_mhz": 187.5, "integration_sec": 309.0,
    }  # fmt: skip


def ms(n: int) -> Row:
    start_mjd = BASE_MJD + n / DAY_S
    return {
        "path": ms_path(n), "start_mjd": start_mjd, "mid_mjd": start_mjd + 154.5 / DAY_S,
        "end_mjd": start_mjd + 309 / DAY_S, "processed_at": BASE_UNIX_S + 3600 + n, "status": "done",
        "stage": "imaged", "stage_updated_at": BASE_UNIX_S + 3600 + n, "cal_applied": 1, "imagename": image_path(n),
        "ra_deg": 180.0, "dec_deg": 37.2, "pointing_ra_deg": 180.1, "pointing_dec_deg": 37.25,
        "field_name": "J1200+37", "group_id": "2025-10-31", "created_at": BASE_UNIX_S + n,
    }  # fmt: skip


def photometry(n: int) -> Row:
    return {
        "source_id": "J120000+371200", "image_path": image_path(n), "ra_deg": 180.0, "dec_deg": 37.2,
        "nvss_flux_mjy": 11.0, "peak_jyb": 0.010, "peak_err_jyb": 0.0004, "flux_jy": 0.011, "flux_err_jy": 0.0005,
        "measured_at": BASE_UNIX_S + n, "mjd": BASE_MJD + n / DAY_S, "snr": 25.0, "sep_from_center_deg": 0.0,
        "flags": 0, "local_rms": 0.0004, "rms_jy": 0.0004,
    }  # fmt: skip


def job(n: int, path: str) -> Row:
    return {
        "type": "pipeline_rerun", "status": "completed", "ms_path": path, "run_id": run_id(path),
        "params": json.dumps({"config": {"ms_path": path}}), "artifacts": "[]", "created_at": BASE_UNIX_S + n,
        "started_at": BASE_UNIX_S + n + 1, "finished_at": BASE_UNIX_S + n + 61,
    }  # fmt: skip


def caltable(n: int, table_type: str) -> Row:
    return {
        "set_name": "2025-10-31_3C286", "path": f"/stage/cal/{n:04d}.{table_type.lower()}.tbl",
        "table_type": table_type, "order_index": ORDER_INDEX.get(table_type, 90), "cal_field": "3C286",
        "refant": "103", "created_at": BASE_UNIX_S + n, "valid_start_mjd": BASE_MJD - 0.5,
        "valid_end_mjd": BASE_MJD + 0.5, "status": "active", "source_ms_path": ms_path(n),
        "solver_command": "bandpass", "solver_version": "6.5.5", "solver_params": json.dumps({"solint": "inf"}),
        "quality_metrics": json.dumps({"flag_fraction": 0.04, "avg_snr": 42.0}),
    }  # fmt: skip


def image_qa(n: int) -> Row:
    return {
        "ms_path": ms_path(n), "job_id": 1, "image_path": image_path(n), "rms_noise": 0.0005, "peak_flux": 0.4,
        "dynamic_range": 800.0, "beam_major": 13.0, "beam_minor": 9.0, "beam_pa": 30.0, "num_sources": 42,
        "thumbnail_path": f"/stage/img/{n:06d}.png", "overall_quality": "good", "timestamp": BASE_UNIX_S + n,
    }  # fmt: skip


def calibration_qa(n: int) -> Row:
    return {
        "ms_path": ms_path(n), "job_id": 1, "k_metrics": json.dumps({"flag_fraction": 0.02, "avg_snr": 30.0}),
        "bp_metrics": json.dumps({"flag_fraction": 0.05, "amp_mean": 1.02, "amp_std": 0.08}),
        "g_metrics": json.dumps({"flag_fraction": 0.03, "amp_mean": 0.99, "amp_std": 0.04}),
        "overall_quality": "excellent", "flags_total": 0.05, "per_spw_stats": json.dumps([{"spw": 0, "flags": 0.05}]),
        "timestamp": BASE_UNIX_S + n,
    }  # fmt: skip


def qa_flag(n: int) -> Row:
    return {
        "image_path": image_path(n), "ms_path": None, "timestamp": BASE_UNIX_S + n, "rule": "high_noise",
        "severity": "warning", "reason": "noise above twice the theoretical value",
    }  # fmt: skip


def batch_job(n: int) -> Row:
    return {
        "type": "batch_convert", "created_at": BASE_UNIX_S + n, "status": "done", "total_items": 1,
        "completed_items": 1, "failed_items": 0, "params": "{}",
    }  # fmt: skip


def batch_item(n: int, batch_id: int) -> Row:
    return {
        "batch_id": batch_id, "ms_path": ms_path(n), "status": "done", "started_at": BASE_UNIX_S + n,
        "completed_at": BASE_UNIX_S + n + 60,
    }  # fmt: skip


def varied_images(first: int, count: int) -> Iterator[Row]:
    """The rows of images ``first`` onwards, with noise and centre differing from one to the next."""
    row = image(first)
    for n in range(first, first + count):
        row["path"] = image_path(n)
        row["ms_path"] = ms_path(n)
        row["created_at"] = BASE_UNIX_S + n
        row["noise_jy"] = 0.0002 + (n * 7919 % 1000) * 1e-6
        row["center_ra_deg"] = n * 137.508 % 360
        row["center_dec_deg"] = n * 31.7 % 120 - 30
        yield row  # one dictionary for all: executemany has bound its values before it asks for the next


def light_curves(n_sources: int, n_epochs: int) -> Iterator[Row]:
    """Measurements image after image."""
    positions = [_sky_position(source, n_sources) for source in range(n_sources)]
    row = photometry(0)
    for epoch in range(1, n_epochs + 1):
        row |= {"image_path": image_path(epoch), "measured_at": BASE_UNIX_S + epoch * DAY_S, "mjd": BASE_MJD + epoch}
        for source, (ra_deg, dec_deg) in enumerate(positions):
            row["source_id"] = f"S{source:06d}"
            row["ra_deg"] = ra_deg
            row["dec_deg"] = dec_deg
            row["peak_jyb"] = row["flux_jy"] = flux_jy(source, epoch)
            row["snr"] = row["flux_jy"] / 0.0004
            yield row  # as above


def flux_jy(source: int, epoch: int) -> float:
    """Flux [Jy] of a source; every tenth varies, by four tenths of its mean, the others by 1 %."""
    amplitude = 0.4 if source % 10 == 0 else 0.01
    return (0.005 + 0.001 * (source % 50)) * (1 + amplitude * math.sin(source + 0.7 * epoch))


def _sky_position(source: int, n_sources: int) -> tuple[float, float]:
    """Position [deg] on a golden-angle spiral, even over the sky north of declination -37."""
    return source * 137.50776405 % 360, math.degrees(math.asin((source + 0.5) / n_sources * 1.6 - 0.6))
