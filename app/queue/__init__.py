"""The queue room: the only one that talks to huey and to the store behind it.

Here: which store it is, job records, heartbeats of workers, idempotency keys, and the sweep that keeps all of them in
order. Repositories' sister: services use it to order work, ``app.tasks`` to do it.

May use ``app.domain``. Never Flask, never the pipeline's databases. What a job does is not known here.
"""
