"""Blueprints: one per resource. A view reads its arguments, calls one service, and returns a record.

``ALL`` lists them in the order of the documentation.
"""

from app.blueprints import images

ALL = (images.blp,)
