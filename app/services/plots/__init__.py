"""Plots of what the databases hold, as PNG or SVG.

:mod:`service` answers what the API asks: it reads, makes a scene of what it read, and keeps what was drawn under the
hash of that scene, so that new data never show an old plot and equal data are drawn once. :mod:`light_curves`,
:mod:`variability` and :mod:`timeline` draw a scene and know no database; :mod:`canvas` is what they have in common.

matplotlib and numpy are imported where they are used: a worker that never draws does without them.
"""
