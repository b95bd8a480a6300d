"""The service's configuration of gunicorn, but with an application of its own for each worker."""

from app.gunicorn_conf import *  # noqa: F403

preload_app = False
