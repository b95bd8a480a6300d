"""Revisions of what this service keeps in the pipeline's files.

One tree serves every file: a revision looks which tables are there and lays what they need, so the registry gets the
part about calibration tables only, and a unified file gets everything.
"""
