"""Alembic's room: what this service adds to databases, revision by revision, in plain SQL.

``products`` is about the pipeline's files (products, calibration registry, or both in one): indexes, counts and
summaries, every object named ``contimg_api_*``, nothing of the pipeline's own ever altered. A tree for files of this
service's own would stand beside it. Only :mod:`app.db.upgrade` runs them.
"""
