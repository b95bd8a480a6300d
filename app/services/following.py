"""Following a run or a log without asking again and again: what is new since the last look, as events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from app.domain.errors import ContimgError, NotFound
from app.domain.queue import RUN_STATUS, QueueJob
from app.domain.reruns import progress_of
from app.queue.records import JobRecords
from app.services.jobs import JobService
from app.services.log_follower import LogFollower, LogLine, Position
from app.services.logs import LogService

# Lines of one event, so that a long log does not arrive as one.
MOST_LINES = 500
_OVER = frozenset({"completed", "failed", "cancelled"})
# Runs that the queue does not know change seldom.
_ASK_DATABASE_EVERY_S = 2.0


class Event(NamedTuple):
    """An event: its name, its data, and the id by which a client that lost its connection goes on behind it."""

    name: str
    data: Any
    id: str | None = None


class Feed(Protocol):
    """What a stream sends."""

    over: bool

    def news(self) -> Iterator[Event]:
        """Events since the last time; sets ``over`` once there will be no more."""

    def close(self) -> None:
        """Let go of what is open."""


class RunState(NamedTuple):
    """State of a run; ``job`` is the queue's, where it has one."""

    run_id: str
    status: str
    job: QueueJob | None = None


class FollowingService:
    """Makes feeds of runs and of logs."""

    def __init__(self, jobs: JobService, records: JobRecords, logs: LogService) -> None:
        self._jobs = jobs
        self._records = records
        self._logs = logs

    def run(self, run_id: str, last_event_id: str | None) -> RunFeed:
        """Status, progress, log and outcome of a run: of its rerun, where one of it is on the way.

        Raises
        ------
        NotFound
            Neither the queue nor the database knows the run.
        """
        state = self._state(run_id) or self._rerun_of(run_id)
        if state is None:
            state = RunState(run_id, self._jobs.get(run_id).status)
        return RunFeed(self, state, _Log(self._logs, state.run_id, last_event_id))

    def log(self, run_id: str, last_event_id: str | None) -> LogFeed:
        """Lines of a run's log, until the run is over.

        Raises
        ------
        NotFound
            There is no such run, nor a log of that name.
        """
        known = self.state(run_id)
        if known is None and self._logs.locate(run_id) is None:
            raise NotFound("Log", run_id)
        return LogFeed(self, run_id, _Log(self._logs, run_id, last_event_id))

    def state(self, run_id: str) -> RunState | None:
        """State of a run, or ``None`` where nobody knows it."""
        state = self._state(run_id)
        if state is not None:
            return state
        try:
            return RunState(run_id, self._jobs.get(run_id).status)
        except NotFound:
            return None

    def _state(self, run_id: str) -> RunState | None:
        job = self._records.of_run(run_id)
        return None if job is None else RunState(run_id, RUN_STATUS[job.status], job)

    def _rerun_of(self, run_id: str) -> RunState | None:
        for job in self._records.all():
            if job.meta.get("original_run_id") == run_id and not job.ended and job.run_id is not None:
                return RunState(job.run_id, RUN_STATUS[job.status], job)
        return None


class _Log:
    """A log that may not be there yet."""

    def __init__(self, logs: LogService, run_id: str, last_event_id: str | None) -> None:
        self._logs = logs
        self._run_id = run_id
        self._start = Position.parse(last_event_id) if last_event_id else None
        self._follower: LogFollower | None = None

    def lines(self) -> Iterator[LogLine]:
        """Lines since the last time."""
        if self._follower is None:
            path = self._logs.locate(self._run_id)
            if path is None:
                return
            self._follower = LogFollower(path, self._start)
        yield from self._follower.lines()

    def close(self) -> None:
        """Close the file."""
        if self._follower is not None:
            self._follower.close()


class _Watch:
    """Looks at a run's state, not too often where that means asking the database."""

    def __init__(self, service: FollowingService, run_id: str, known: RunState | None = None) -> None:
        self._service = service
        self._run_id = run_id
        self._known = known
        self._asked = float("-inf")

    def look(self) -> RunState | None:
        """The state now; the last known while it cannot be asked for."""
        now = time.monotonic()
        in_queue = self._known is not None and self._known.job is not None
        if in_queue or now - self._asked >= _ASK_DATABASE_EVERY_S:
            self._asked = now
            with contextlib.suppress(ContimgError):
                self._known = self._service.state(self._run_id) or self._known
        return self._known


class RunFeed:
    """Events of a run: ``status``, ``progress``, ``log`` and at the end ``complete``."""

    def __init__(self, service: FollowingService, state: RunState, log: _Log) -> None:
        self._watch = _Watch(service, state.run_id, state)
        self._log = log
        self._told: tuple[Any, ...] | None = None
        self.over = False

    def news(self) -> Iterator[Event]:
        """What happened since."""
        state = self._watch.look()
        assert state is not None
        told = (state.status, state.job and state.job.attempt)
        if told != self._told:
            self._told = told
            yield Event("status", {**_about(state), "status": state.status, **_of_job(state.job)})
        yield from self._output(state)
        if state.status in _OVER:
            self.over = True
            outcome = {"result": state.job and state.job.result, "error": state.job and state.job.error}
            yield Event("complete", {**_about(state), "success": state.status == "completed", **outcome})

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def _output(self, state: RunState) -> Iterator[Event]:
        lines: list[LogLine] = []
        for line in self._log.lines():
            lines.append(line)
            progress = progress_of(line.text.encode())
            if progress is not None or len(lines) == MOST_LINES:
                yield _lines_event(state, lines)
                lines = []
            if progress is not None:
                yield Event("progress", {**_about(state), "progress": progress[0], "stage": progress[1]})
        if lines:
            yield _lines_event(state, lines)


class LogFeed:
    """Lines of a log, an event each, and at the end ``end``."""

    def __init__(self, service: FollowingService, run_id: str, log: _Log) -> None:
        self._watch = _Watch(service, run_id)
        self._log = log
        self.over = False

    def news(self) -> Iterator[Event]:
        """Lines since."""
        # The state first: what is written before a run is over is in the log by then.
        state = self._watch.look()
        for line in self._log.lines():
            yield Event("log", line.text, str(line.behind))
        if state is not None and state.status in _OVER:
            self.over = True
            yield Event("end", state.status)

    def close(self) -> None:
        """Close the log."""
        self._log.close()


def _about(state: RunState) -> dict[str, Any]:
    return {"run_id": state.run_id, "job_id": state.job and state.job.job_id, "timestamp": time.time()}


def _of_job(job: QueueJob | None) -> dict[str, Any]:
    return {} if job is None else {"attempt": job.meta["attempt"], "worker": job.worker}


def _lines_event(state: RunState, lines: list[LogLine]) -> Event:
    return Event("log", {**_about(state), "lines": [line.text for line in lines]}, str(lines[-1].behind))
