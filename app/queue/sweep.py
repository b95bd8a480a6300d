"""The sweep: every worker looks over the whole queue now and then and puts right what a crash left behind.

- An attempt whose worker is lost goes back into the queue, or fails where it has no retries left.
- A job that waits and whose name is not in the queue, because the process that was to put it there or had just taken it
  out was killed, is put there.
- Jobs that ended long ago, old idempotency keys and dead workers are forgotten.

Any number of sweeps at once do no harm: each repair is a claim, or leaves a name in the queue twice, which is harmless.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from app.domain.queue import WORKER_LOST, Facts
from app.queue.engine import Engine
from app.queue.heartbeat import LOST_AFTER
from app.queue.idempotency import KEPT_S
from app.queue.records import JobRecords, facts_by_job, keys_of

log = logging.getLogger(__name__)

# Looks at the queue, at the usual pace of a beat each, in which a job must be missing before it is put back.
_MISSING_AFTER = 3
_DAY_S = 86400.0


class Sweep:
    """Repairs and tidies the queue.

    Parameters
    ----------
    engine, records
        The queue.
    every_s
        Pace of heartbeats [s].
    retention_days
        How long ended jobs are kept [d].
    on_lost
        Called with a job's order when it has failed because its worker was lost.
    """

    def __init__(
        self,
        engine: Engine,
        records: JobRecords,
        *,
        every_s: float,
        retention_days: float,
        on_lost: Callable[[Mapping[str, Any], str], None] = lambda ordered, reason: None,
    ) -> None:
        self._engine = engine
        self._records = records
        self._every_s = every_s
        self._retention_s = retention_days * _DAY_S
        self._on_lost = on_lost
        # Since when [s, monotonic] a worker's counter, or a job's absence from the queue, is as it is.
        self._seen: dict[str, tuple[Any, float]] = {}

    def look(self) -> None:
        """Look over the queue once."""
        items = self._engine.read_all()
        jobs = facts_by_job(items)
        open_jobs = {job_id: facts for job_id, facts in jobs.items() if facts.end is None}
        self._repair_lost(open_jobs, items)
        self._repair_forgotten(open_jobs)
        self._forget_jobs(jobs)
        self._forget_others(items, open_jobs)

    def _repair_lost(self, open_jobs: Mapping[str, Facts], items: Mapping[str, Any]) -> None:
        for job_id, facts in open_jobs.items():
            start = facts.starts.get(len(facts.losses) + 1)
            if start is None or not self._is_lost(start["worker"], items):
                continue
            retried = self._records.give_up(job_id, facts, WORKER_LOST)
            if retried is not None:
                log.warning("Job %s: its worker is lost; %s", job_id, "started again" if retried else "failed")
            if retried is False:
                self._on_lost(facts.ordered, WORKER_LOST)

    def _is_lost(self, worker_id: str, items: Mapping[str, Any]) -> bool:
        heartbeat = items.get(f"worker:{worker_id}", {})
        patience_s = LOST_AFTER * heartbeat.get("every_s", self._every_s)
        return bool(self._unchanged_s(f"worker:{worker_id}", heartbeat.get("beat")) >= patience_s)

    def _repair_forgotten(self, open_jobs: Mapping[str, Facts]) -> None:
        unstarted = {job_id: facts for job_id, facts in open_jobs.items() if len(facts.losses) + 1 not in facts.starts}
        waiting = self._engine.waiting() if unstarted else set()
        patience_s = _MISSING_AFTER * self._every_s
        for job_id, facts in unstarted.items():
            attempt = len(facts.losses) + 1
            # An attempt that has just been put into or taken out of the queue may be anywhere for a moment.
            absent = job_id not in waiting
            if self._unchanged_s(f"absent:{job_id}", (absent, attempt)) >= patience_s and absent:
                log.warning("Job %s: not in the queue; put back", job_id)
                self._engine.send(job_id, facts.ordered["priority"])
                del self._seen[f"absent:{job_id}"]

    def _forget_jobs(self, jobs: Mapping[str, Facts]) -> None:
        oldest = time.time() - self._retention_s
        for job_id, facts in jobs.items():
            if facts.end is not None and facts.end["at"] < oldest:
                for key in keys_of(job_id, facts):
                    self._engine.remove(key)

    def _forget_others(self, items: Mapping[str, Any], open_jobs: Mapping[str, Facts]) -> None:
        now = time.time()
        busy = {start["worker"] for facts in open_jobs.values() for start in facts.starts.values()}
        for key, fact in items.items():
            prefix, _, rest = key.partition(":")
            old_key = prefix == "idem" and now - fact["at"] > KEPT_S
            dead_worker = prefix == "worker" and now - fact["last_seen"] > _DAY_S and rest not in busy
            if old_key or dead_worker:
                self._engine.remove(key)
        current = {f"absent:{job_id}" for job_id in open_jobs} | {f"worker:{worker_id}" for worker_id in busy}
        for name in self._seen.keys() - current:
            del self._seen[name]

    def _unchanged_s(self, name: str, value: Any) -> float:
        """For how long [s] this sweep has seen the same value."""
        now = time.monotonic()
        known = self._seen.get(name)
        if known is None or known[0] != value:
            known = self._seen[name] = (value, now)
        return now - known[1]
