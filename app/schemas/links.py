"""Links between resources, as relative URLs of the API."""

from __future__ import annotations

from urllib.parse import quote

API = "/api"


def image(identifier: object) -> str:
    """An image."""
    return f"{API}/images/{quote(str(identifier), safe='')}"


def image_qa(identifier: object) -> str:
    """An image's quality report."""
    return f"{API}/qa/image/{quote(str(identifier), safe='')}"


def ms(path: str) -> str:
    """A measurement set; its path goes into one segment, slashes encoded."""
    return f"{API}/ms/{quote(path, safe='')}/metadata"


def ms_qa(path: str) -> str:
    """A measurement set's quality report."""
    return f"{API}/qa/ms/{quote(path, safe='')}"


def job_qa(run_id: str) -> str:
    """A run's quality report."""
    return f"{API}/qa/job/{quote(run_id, safe='')}"


def log(run_id: str) -> str:
    """A run's log."""
    return f"{API}/logs/{quote(run_id, safe='')}"


def cal(path: str) -> str:
    """A calibration table."""
    return f"{API}/cal/{quote(path, safe='')}"


def ms_page(path: str) -> str:
    """The dashboard's page on a measurement set."""
    return f"/ms/{quote(path, safe='')}"


def image_page(identifier: object) -> str:
    """The dashboard's page on an image."""
    return f"/images/{quote(str(identifier), safe='')}"
