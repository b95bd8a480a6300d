"""Exports: rows a second of a long table in each format, and what the worker's memory grows by meanwhile."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import closing

from tests.benchmarks import data, footprint, servers
from tests.benchmarks.plan import Plan, say
from tests.benchmarks.report import Figure, at_least, at_most

EPOCHS = 100
# Columns that those ask for who draw light curves.
FEW = "id,source_id,image_path,ra_deg,dec_deg,mjd,flux_jy,flux_err_jy,snr"
TARGETS = {
    "CSV": "format=csv",
    "CSV of nine columns": f"format=csv&fields={FEW}",
    "NDJSON": "format=ndjson",
    "VOTable": "format=votable",
    "FITS": "format=fits",
}
BETWEEN_LOOKS_S = 0.05


def figures(plan: Plan) -> Iterator[Figure]:
    """The list of every measurement, to its end, by one client."""
    rows = plan.photometry_rows
    survey = data.build(plan.directory / f"photometry-{rows}", images=EPOCHS, sources=rows // EPOCHS, epochs=EPOCHS)
    data.upgrade(survey)
    with servers.service(plan.directory / "logs" / "exports", survey, 1, DSA110_RATE_LIMIT_EXPORTS="") as service:
        _read(service.port, f"format=csv&fields={FEW}")  # brings the file into memory, which is not what is measured
        for name, query in TARGETS.items():
            say(f"exporting {rows:,} measurements as {name}")
            before, largest, over = footprint.of_workers(service), [0.0], threading.Event()

            def watch(largest: list[float] = largest, over: threading.Event = over) -> None:
                while not over.wait(BETWEEN_LOOKS_S):
                    largest[0] = max(largest[0], footprint.of_workers(service))

            watching = threading.Thread(target=watch)
            watching.start()
            began = time.perf_counter()
            read = _read(service.port, query)
            elapsed = time.perf_counter() - began
            over.set()
            watching.join()
            what, grown = f"export of {rows:,} measurements as {name}", max(0.0, largest[0] - before)
            if name == "CSV":
                yield at_least(what, rows / elapsed, "rows/s", 150_000)
                yield at_most(f"what a worker grows by while it sends {name}", grown, "MB", 32)
            else:
                yield Figure(what, rows / elapsed, "rows/s")
            yield Figure(f"size as {name}", read / 1e6, "MB")


def _read(port: int, query: str) -> int:
    """Bytes of an export that is whole."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        connection.request("GET", f"/api/v1/photometry?{query}")
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{query} answered {answer.status}: {answer.read()[:300]!r}")
        read = 0
        while piece := answer.read(1_048_576):
            read += len(piece)
        return read
