"""What this service adds to databases, step by step, in plain SQL.

``products`` is about the pipeline's files (products, calibration registry, or both in one): indexes, counts and
summaries, every object named ``contimg_api_*``, nothing of the pipeline's own ever altered. Only :mod:`app.db.upgrade`
runs them, by Alembic, when an operator says so. ``state`` is about a file of this service's own; :mod:`app.db.state`
carries its scripts out when the file is opened.
"""
