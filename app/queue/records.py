"""Records of jobs: their facts in the engine's store, under one key each.

``job:<id>`` is the order, ``start:<id>:<n>`` and ``lost:<id>:<n>`` the begin and the loss of attempt n, ``end:<id>``
the outcome, ``run:<run id>`` leads from a run to its job. All are written by :meth:`Engine.claim`, so of a worker that
would start a job and a user who cancels it, of two workers, of an outcome and a cancellation, one is first and the
other learns of it.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from app.domain.errors import ContimgError, NotFound
from app.domain.queue import Facts, Outcome, QueueJob, State, job_of, may_retry
from app.queue.engine import Engine
from app.queue.heartbeat import Workers

log = logging.getLogger(__name__)

PREFIXES = ("job", "start", "lost", "end", "run")


class JobRecords:
    """Jobs of the queue."""

    def __init__(self, engine: Engine, workers: Workers) -> None:
        self._engine = engine
        self._workers = workers

    def order(
        self,
        kind: str,
        params: Mapping[str, Any],
        meta: Mapping[str, Any],
        *,
        run_id: str,
        retries: int,
        priority: int = 0,
    ) -> QueueJob:
        """Record a job and put it into the queue.

        Parameters
        ----------
        kind
            Which task does it.
        params
            What that needs to know.
        meta
            What is published about it.
        run_id
            Name of the run it makes; a number is added where another job has it already.
        retries
            How often it is started again when its worker is lost.
        priority
            Higher goes first.

        Notes
        -----
        The record comes first. If this process ends before the job's name is in the queue, the sweep puts it there. If
        the store is lost, the job is withdrawn: whoever ordered it is told to order again.
        """
        job_id = f"job_{secrets.token_hex(6)}"
        run_id = self._name_run(run_id, job_id)
        ordered = {
            "kind": kind, "at": time.time(), "priority": priority, "retries": retries,
            "params": {**params, "run_id": run_id}, "meta": {**meta, "run_id": run_id},
        }  # fmt: skip
        try:
            self._engine.claim(f"job:{job_id}", ordered)
            self._engine.send(job_id, priority)
        except BaseException:
            self.withdraw([job_id])
            raise
        return job_of(job_id, Facts(ordered, {}, {}, None), lambda worker: True)

    def get(self, job_id: str) -> QueueJob:
        """One job; raises NotFound."""
        found = self.find(job_id)
        if found is None:
            raise NotFound("QueueJob", job_id)
        return found

    def find(self, job_id: str) -> QueueJob | None:
        """One job, or ``None``."""
        facts = self._facts(job_id)
        if facts is None:
            return None
        if facts.end is not None or len(facts.losses) + 1 not in facts.starts:
            return job_of(job_id, facts, lambda worker: True)
        return job_of(job_id, facts, self._workers.alive())

    def of_run(self, run_id: str) -> QueueJob | None:
        """The job that makes a run, or ``None``."""
        key = f"run:{run_id}"
        known = self._engine.read(key)
        return self.find(known[key]["job_id"]) if key in known else None

    def all(self) -> list[QueueJob]:
        """Every job, newest first."""
        items = self._engine.read_all()
        alive = self._workers.alive(items)
        jobs = [job_of(job_id, facts, alive) for job_id, facts in facts_by_job(items).items()]
        return sorted(jobs, key=lambda job: (job.created_at, job.job_id), reverse=True)

    def start(self, job_id: str, worker: str) -> QueueJob | None:
        """Begin the next attempt; ``None`` where there is none to begin or another worker was first.

        Notes
        -----
        The start is written before the end is looked for, and a cancellation writes the end: whichever order the two
        come in, either the cancellation finds the job started or this finds it canceled.
        """
        facts = self._facts(job_id)
        if facts is None or facts.end is not None:
            return None
        attempt = len(facts.losses) + 1
        if attempt in facts.starts:
            return None
        start = {"worker": worker, "at": time.time()}
        if not self._engine.claim(f"start:{job_id}:{attempt}", start):
            return None
        if self._engine.read(f"end:{job_id}"):
            return None
        return job_of(job_id, facts._replace(starts={**facts.starts, attempt: start}), lambda worker: True)

    def verdict(self, job: QueueJob) -> str | None:
        """Whether others have decided on a job that runs here: ``canceled`` or ``lost``, else ``None``."""
        end, lost = f"end:{job.job_id}", f"lost:{job.job_id}:{job.attempt}"
        found = self._engine.read(end, lost)
        if end in found:
            return "canceled"
        return "lost" if lost in found else None

    def finish(self, job: QueueJob, outcome: Outcome) -> bool:
        """Record the outcome; false where the job was canceled meanwhile, or given to another worker."""
        if self.verdict(job) is not None:
            return False
        state: State = "finished" if outcome.error is None else "failed"
        return self._end(job.job_id, state, outcome.result, outcome.error)

    def cancel(self, job_id: str) -> bool:
        """Record that a job is canceled; false where it has ended already. Raises NotFound."""
        self.get(job_id)
        return self._end(job_id, "canceled", None, None)

    def withdraw(self, job_ids: Iterable[str]) -> None:
        """Cancel jobs of an order that has failed, as far as the store can be reached."""
        left = []
        for job_id in job_ids:
            try:
                self.cancel(job_id)
            except NotFound:
                continue
            except ContimgError:
                left.append(job_id)
        if left:
            log.warning("An order failed, and these jobs of it may be in the queue: %s", ", ".join(left))

    def give_back(self, job: QueueJob, reason: str) -> bool:
        """End an attempt of a worker that stops in good order, and put the job back into the queue."""
        lost = {"at": time.time(), "reason": reason, "counted": False, "by": job.worker}
        won = self._engine.claim(f"lost:{job.job_id}:{job.attempt}", lost)
        if won:
            self._engine.send(job.job_id, job.priority)
        return won

    def give_up(self, job_id: str, facts: Facts, reason: str) -> bool | None:
        """Declare the attempt under way lost: true if the job goes back into the queue, false if it has failed with
        that, ``None`` if another process decided."""
        if not may_retry(facts):
            return False if self._end(job_id, "failed", None, reason) else None
        attempt = len(facts.losses) + 1
        lost = {"at": time.time(), "reason": reason, "counted": True, "by": secrets.token_hex(6)}
        if not self._engine.claim(f"lost:{job_id}:{attempt}", lost):
            return None
        self._engine.send(job_id, facts.ordered["priority"])
        return True

    def _end(self, job_id: str, status: State, result: Any, error: str | None) -> bool:
        end = {"status": status, "at": time.time(), "result": result, "error": error, "by": secrets.token_hex(6)}
        return self._engine.claim(f"end:{job_id}", end)

    def _name_run(self, run_id: str, job_id: str) -> str:
        name, number = run_id, 1
        while not self._engine.claim(f"run:{name}", {"job_id": job_id}):
            number += 1
            name = f"{run_id}_{number}"
        return name

    def _facts(self, job_id: str) -> Facts | None:
        """Facts of one job; attempts are asked for in batches, of which one nearly always suffices."""
        items: dict[str, Any] = {}
        first, batch = 1, 4
        while True:
            attempts = range(first, first + batch)
            keys = [f"{prefix}:{job_id}:{n}" for prefix in ("start", "lost") for n in attempts]
            items |= self._engine.read(f"job:{job_id}", f"end:{job_id}", *keys)
            if f"lost:{job_id}:{first + batch - 1}" not in items:
                return facts_by_job(items).get(job_id)
            first, batch = first + batch, batch * 2


def facts_by_job(items: Mapping[str, Any]) -> dict[str, Facts]:
    """The facts of each job among some items of the store; facts whose order is gone are left out."""
    starts: dict[str, dict[int, Any]] = defaultdict(dict)
    losses: dict[str, dict[int, Any]] = defaultdict(dict)
    for key, fact in items.items():
        prefix, _, rest = key.partition(":")
        if prefix in {"start", "lost"}:
            job_id, _, number = rest.rpartition(":")
            (starts if prefix == "start" else losses)[job_id][int(number)] = fact
    return {
        key[4:]: Facts(ordered, starts[key[4:]], losses[key[4:]], items.get(f"end:{key[4:]}"))
        for key, ordered in items.items()
        if key.startswith("job:")
    }


def keys_of(job_id: str, facts: Facts) -> Iterable[str]:
    """Every key under which something is known of a job, the order last: until it is gone, the rest can be found."""
    yield f"run:{facts.ordered['params'].get('run_id')}"
    yield from (f"start:{job_id}:{n}" for n in facts.starts)
    yield from (f"lost:{job_id}:{n}" for n in facts.losses)
    yield f"end:{job_id}"
    yield f"job:{job_id}"
