"""What the pipeline would have noted of the synthetic survey: stages, jobs, quality reports, logs.

Every grade and every job state occurs, and so do the odd cases of life: a position of exactly 0, a per cent sign in a
path, a run without a date in its name, a log that is not UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from app.domain.run_id import run_id
from app.domain.time import iso_from_unix, mjd_from_unix, unix_from_iso
from app.services.demo.survey import REFERENCE_S, Observation
from app.services.ingest.measurement_sets import MeasurementSetRow, measurement_set_row

CAL_KINDS = {"kcal": "K", "bcal": "BP", "gcal": "GP"}
PROCESSED_AFTER_S = 2400.0
RUN_S = 1500.0

Row = dict[str, Any]

# Measurement sets without images: name, and what is known of each.
ODD_SETS: tuple[tuple[str, Row], ...] = (
    ("2025-11-04T02:10:00_100%.ms", {"stage": "calibrated", "status": "converted", "cal_applied": 1}),
    ("2025-11-04T02:30:00.ms", {"stage": "converted", "status": "failed"}),
    ("2025-11-04T02:50:00.ms", {"stage": "converted", "status": "converted"}),
    ("2025-11-04T03:10:00.ms", {"stage": "ingested", "status": "pending"}),
    (
        "2025-11-04T03:30:00_origin.ms",
        {
            "stage": "calibrated", "status": "skipped_no_caltables",
            "pointing_ra_deg": 0.0, "pointing_dec_deg": 0.0, "ra_deg": 12.0, "dec_deg": 5.0,
        },
    ),
    ("TARGET.ms", {"stage": "ingested", "status": "pending"}),
)  # fmt: skip

# Reruns recorded in the jobs table: state, seconds it took to start and to end.
RERUNS = (("completed", 20.0, 900.0), ("running", 25.0, None), ("pending", None, None), ("failed", 15.0, 60.0))


def measurement_sets(observations: Iterable[Observation], directory: Path) -> list[MeasurementSetRow]:
    """Rows of ``ms_index``: the observed ones imaged (the last epoch only calibrated), then the odd ones."""
    rows = [
        measurement_set_row(directory / observation.ms_name, _observed(observation)) for observation in observations
    ]
    for name, facts in ODD_SETS:
        processed = None if facts["status"] == "pending" else unix_from_iso(name[:19]) + PROCESSED_AFTER_S
        rows.append(measurement_set_row(directory / name, {"processed_at": processed, **facts}))
    return rows


def caltable_sets(observations: Sequence[Observation], ms_directory: Path) -> list[tuple[str, Row]]:
    """Calibration sets, every third epoch of a field: the name of each, and the facts that its tables share."""
    chosen = [observation for observation in observations if observation.epoch % 3 == 0]
    states = ["retired", "failed", *["active"] * len(chosen)]
    return [
        (
            observation.name,
            {
                "set_name": f"{observation.field.name}_{observation.name[:10]}",
                "cal_field": "3C286",
                "refant": "pad103",
                "status": state,
                "created_at": observation.start_s + 900.0,
                "valid_start_mjd": mjd_from_unix(observation.start_s - 43200.0),
                "valid_end_mjd": mjd_from_unix(observation.start_s + 43200.0),
                "source_ms_path": str(ms_directory / observation.ms_name),
                "notes": None if state == "active" else f"{state}: superseded after inspection",
            },
        )
        for observation, state in zip(chosen, states, strict=False)
    ]


def jobs(observations: Sequence[Observation], directory: Path) -> list[Row]:
    """Rows of the jobs table: a completed run for each observation, then the reruns."""
    rows = [
        _job(number, "imaging", "completed", str(directory / observation.ms_name), observation.start_s)
        for number, observation in enumerate(observations, start=1)
    ]
    for observation, (status, wait_s, took_s) in zip(observations[-len(RERUNS) :], RERUNS, strict=True):
        row = _job(len(rows) + 1, "pipeline_rerun", status, str(directory / observation.ms_name), observation.start_s)
        created_s = REFERENCE_S + 4 * 86400.0 + 600.0 * len(rows)
        stamp = (iso_from_unix(created_s) or "")[:19].translate(str.maketrans("T", "_", "-:"))
        row["run_id"] = f"{row['run_id']}_rerun_{stamp}"
        row["created_at"] = created_s
        row["started_at"] = None if wait_s is None else created_s + wait_s
        row["finished_at"] = None if took_s is None else created_s + took_s
        rows.append(row)
    return rows


def batch_jobs() -> list[Row]:
    """One batch in each of the states that the pipeline writes."""
    counts = {"done": (8, 0), "failed": (6, 2), "running": (3, 0), "pending": (0, 0)}
    return [
        {
            "id": number, "type": "batch_photometry", "created_at": REFERENCE_S + 3600.0 * number, "status": status,
            "total_items": 8, "completed_items": completed, "failed_items": failed,
            "params": json.dumps({"fast": True}),
        }
        for number, (status, (completed, failed)) in enumerate(counts.items(), start=1)
    ]  # fmt: skip


def image_qa(images: Iterable[Row]) -> list[Row]:
    """Rows of ``image_qa`` for images as they were measured, graded by dynamic range as the pipeline does."""
    return [
        {
            "ms_path": image["ms_path"], "job_id": number, "image_path": image["path"],
            "rms_noise": image["noise_jy"], "peak_flux": image["noise_jy"] * image["dynamic_range"],
            "dynamic_range": image["dynamic_range"], "beam_major": image["beam_major_arcsec"],
            "beam_minor": image["beam_minor_arcsec"], "beam_pa": image["beam_pa_deg"], "num_sources": 20,
            "overall_quality": _quality(image["dynamic_range"]), "timestamp": image["created_at"] + 60.0,
        }
        for number, image in enumerate(images, start=1)
    ]  # fmt: skip


def calibration_qa(observations: Sequence[Observation], directory: Path) -> list[Row]:
    """Rows of ``calibration_qa``; the flagged fraction grows with the epoch so that every quality occurs."""
    rows = []
    for number, observation in enumerate(observations, start=1):
        flagged = round(0.05 + 0.06 * (observation.epoch % 10), 3)
        metrics = {
            "k_metrics": {"flag_fraction": flagged, "avg_snr": 42.0},
            "bp_metrics": {"flag_fraction": flagged, "amp_mean": 1.01, "amp_std": 0.04},
            "g_metrics": {"flag_fraction": flagged, "amp_mean": 0.99, "amp_std": 0.06},
        }
        limits = ((0.1, "excellent"), (0.3, "good"), (0.5, "marginal"))
        rows.append(
            {
                "ms_path": str(directory / observation.ms_name),
                "job_id": number,
                "overall_quality": next((word for limit, word in limits if flagged < limit), "poor"),
                "flags_total": flagged,
                "timestamp": observation.start_s + 1200.0,
                **{name: json.dumps(value) for name, value in metrics.items()},
            }
        )
    return rows


def log_of(ms_path: str, number: int) -> bytes:
    """The log of a run; the first carries a byte that is no UTF-8, as an instrument's name sometimes does."""
    start_s = REFERENCE_S + 7200.0 * number
    steps = ["reading the measurement set", "flagging", "applying calibration", "imaging, niter=5000", "done"]
    lines = [
        f"{iso_from_unix(start_s + 60.0 * minute)} INFO {step}: {ms_path.rsplit('/', 1)[-1]}\n"
        for minute, step in enumerate(steps)
    ]
    odd = b"WARNING receiver \xb5 reports 12 K\n" if number == 0 else b""
    return "".join(lines).encode() + odd


def _observed(observation: Observation) -> Row:
    latest = observation.epoch == 3
    return {
        "processed_at": observation.start_s + PROCESSED_AFTER_S,
        "stage": {3: "calibrated", -6: "cataloged", -5: "mosaicked"}.get(observation.epoch, "imaged"),
        "status": "converted" if latest else "done",
        "cal_applied": 1,
        "imagename": f"{observation.name}.img-image.fits",
        "field_name": observation.field.name,
        "ra_deg": observation.field.ra_deg,
        "dec_deg": observation.field.dec_deg,
        "pointing_ra_deg": observation.field.ra_deg,
        "pointing_dec_deg": observation.field.dec_deg,
    }


def _job(number: int, kind: str, status: str, ms_path: str, start_s: float) -> Row:
    created_s = start_s + PROCESSED_AFTER_S
    config = {"ms_path": ms_path, "niter": 5000, "robust": 0.5}
    return {
        "id": number, "type": kind, "status": status, "ms_path": ms_path, "run_id": run_id(ms_path),
        "params": json.dumps({"config": config}), "artifacts": "[]", "created_at": created_s,
        "started_at": created_s + 5.0, "finished_at": created_s + RUN_S,
    }  # fmt: skip


def _quality(dynamic_range: float) -> str:
    limits = ((1000.0, "excellent"), (100.0, "good"), (10.0, "marginal"))
    return next((word for limit, word in limits if dynamic_range > limit), "poor")
