"""huey's consumer, made to stop as this service's worker does: in good order, and within a given time."""

from __future__ import annotations

import signal
from collections.abc import Callable

from huey.consumer import Consumer as HueyConsumer

from app.queue.engine import Engine

# An idle worker looks into a file this often [s]; servers wake it instead.
_POLL_S = 0.1


class Consumer(HueyConsumer):
    """Takes names of jobs from the queue and gives them to ``execute``, in ``concurrency`` threads.

    Parameters
    ----------
    engine
        The queue.
    execute
        Called with a job's name; never raises.
    on_stop
        Called once the consumer has been told to stop, by SIGTERM or SIGINT, before it waits for its threads.
    """

    def __init__(
        self, engine: Engine, execute: Callable[[str], None], *, concurrency: int, on_stop: Callable[[], None]
    ) -> None:
        engine.execute = execute
        self._on_stop = on_stop
        super().__init__(
            engine.huey,
            workers=concurrency,
            periodic=False,
            initial_delay=_POLL_S,
            max_delay=_POLL_S,
            backoff=1.0,
            health_check_interval=1,
            worker_type="thread",
        )
        # Neither signal cuts a job short without a word, and neither restarts the process (huey's SIGHUP).
        self._signal_actions = {signal.SIGTERM: (False, True), signal.SIGINT: (False, True)}

    def stop(self, graceful: bool = False) -> None:
        """Stop taking jobs, and wait for those under way."""
        self._on_stop()
        super().stop(graceful=True)
