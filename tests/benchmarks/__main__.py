"""``python -m tests.benchmarks``."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks import background, console, exports, footprint, freshness, growth, scale, throughput, variants
from tests.benchmarks.plan import Plan, say
from tests.benchmarks.report import Figure, as_json, markdown

PARTS = {
    "throughput": throughput.figures,
    "freshness": freshness.figures,
    "growth": growth.figures,
    "scale": scale.figures,
    "footprint": footprint.figures,
    "background": background.figures,
    "console": console.figures,
    "exports": exports.figures,
    "variants": variants.figures,
}
# Measured only by name: it compares settings, and nothing is required of it.
BY_NAME = {"variants"}


def main() -> int:
    """Measure, print, and tell by the exit code whether every requirement is met."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="contimg-bench-") as temporary:
        plan = _plan(options, Path(options.data or temporary))
        started = time.perf_counter()
        found: list[Figure] = []
        for name in options.parts:
            for figure in PARTS[name](plan):
                say(figure.line)
                found.append(figure)
        say(f"done in {time.perf_counter() - started:.0f} s")
    circumstances = _circumstances(plan)
    words = "; ".join(f"{name} {value}" for name, value in circumstances.items())
    sys.stdout.write(as_json(found, circumstances) if options.json else f"{words}\n\n{markdown(found)}\n")
    return int(any("no" in figure.verdict for figure in found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {', '.join(PARTS)}; all by default")
    parser.add_argument("--full", action="store_true", help="10,000,000 measurements and longer runs: about an hour")
    parser.add_argument("--json", action="store_true", help="write JSON instead of a table")
    parser.add_argument("--data", metavar="DIR", help="keep the surveys there, and use those that are there")
    parser.add_argument("--workers", type=int, default=max(2, os.cpu_count() or 2), help="gunicorn workers of each")
    parser.add_argument("--seconds", type=float, help="length of one measurement of throughput")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    options.parts = options.parts or [name for name in PARTS if name not in BY_NAME]
    return options


def _plan(options: argparse.Namespace, directory: Path) -> Plan:
    directory.mkdir(parents=True, exist_ok=True)
    plan = Plan(directory, workers=options.workers)
    if options.full:
        plan = plan._replace(seconds=3.0, rounds=11, photometry_rows=10_000_000)
    return plan._replace(seconds=options.seconds) if options.seconds else plan


def _circumstances(plan: Plan) -> dict[str, str]:
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cores": str(os.cpu_count()),
        "workers": f"{plan.workers} of 4 threads",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "load by": "wrk" if shutil.which("wrk") else "Python",
        "each measured": f"{plan.rounds} × {plan.seconds:g} s in turn",
    }


if __name__ == "__main__":
    sys.exit(main())
