"""Background work: what the worker process (``contimg-api worker``) does, one module for each kind of job.

May use services, repositories and the queue room. Never Flask: no request is at hand here. Gunicorn's processes import
nothing from this room; they order work through ``app.services`` and see what became of it in the queue.
"""
