"""Throughput and latency under load, by wrk where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from tests.benchmarks.client import load

SCRIPT = """
local requests, n = {}, 0
init = function()
  for target in io.lines(os.getenv("BENCH_TARGETS")) do
    requests[#requests + 1] = wrk.format("GET", target)
  end
end
request = function()
  n = n % #requests + 1
  return requests[n]
end
done = function(summary, latency, _)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class Load(NamedTuple):
    """What a server bore."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


def measure(
    port: int, targets: Sequence[str], *, connections: int, seconds: float, headers: Sequence[str] = ()
) -> Load:
    """Ask for the targets in turn, over and over, on so many kept-alive connections."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return _by_python(port, targets, connections, seconds, headers)
    with tempfile.TemporaryDirectory() as directory:
        script, list_of_targets = Path(directory, "load.lua"), Path(directory, "targets")
        script.write_text(SCRIPT)
        list_of_targets.write_text("\n".join(targets) + "\n")
        # One thread, so that the targets are taken strictly in turn; it is never the bottleneck here.
        command = [wrk, "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "--timeout", "30s"]
        command += [argument for header in headers for argument in ("-H", header)]
        done = subprocess.run(
            [*command, "-s", str(script), f"http://127.0.0.1:{port}"],
            env={**os.environ, "BENCH_TARGETS": str(list_of_targets)},
            capture_output=True,
            text=True,
            check=True,
        )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    requests, duration_us, p50_us, p99_us, failed = map(int, line.split()[1:])
    return Load(requests / duration_us * 1e6, p50_us / 1000, p99_us / 1000, failed)


def _by_python(port: int, targets: Sequence[str], connections: int, seconds: float, headers: Sequence[str]) -> Load:
    started = time.perf_counter()
    until = started + seconds
    times, failed = [], 0
    for answer in load(
        port, targets, connections=connections, until=lambda: time.perf_counter() > until, headers=headers
    ):
        times.append(answer.seconds)
        failed += answer.status >= 400
    elapsed = time.perf_counter() - started
    return Load(len(times) / elapsed, median(times) * 1000, quantiles(times, n=100)[98] * 1000, failed)
