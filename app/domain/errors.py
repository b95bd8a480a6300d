"""What can go wrong, in the words of the domain.

Each class carries the code that clients read as ``error`` and the facts they read as ``details``. Which HTTP status
and which client code a class becomes is decided once, in :mod:`app.web.errors`; nothing here knows HTTP.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ContimgError(Exception):
    """Root of every error this service raises on purpose.

    Parameters
    ----------
    message
        One sentence for the person who reads it. Never a path of this machine.
    details
        Facts a program can act on.
    """

    code: ClassVar[str] = "API_ERROR"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class NotFound(ContimgError):
    """No record of that kind bears that name."""

    code = "RECORD_NOT_FOUND"

    def __init__(self, entity_type: str, identifier: object) -> None:
        name = str(identifier)
        shown = name if len(name) <= 200 else f"{name[:200]}…"
        super().__init__(f"{entity_type} not found: {shown}", entity_type=entity_type, identifier=shown)


class InvalidValue(ContimgError):
    """A value has the right form and still means nothing: an impossible date, an unknown word, a foreign cursor."""

    code = "VALIDATION_ERROR"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"Validation failed for '{field}': {reason}", field=field)
        self.reason = reason


class FileNotAccessible(ContimgError):
    """The database names a file that cannot be served: missing, not a regular file, or outside the data roots."""

    code = "FILE_NOT_ACCESSIBLE"

    def __init__(self, name: str, operation: str = "read") -> None:
        super().__init__(f"File not accessible: {name}", path=name, operation=operation)


class FitsUnreadable(ContimgError):
    """The file is there, but it is not FITS, or it is broken."""

    code = "FITS_PARSING_ERROR"


class DatabaseError(ContimgError):
    """A database did not answer, and none of the more exact reasons below fits."""

    code = "DATABASE_ERROR"


class DatabaseUnavailable(DatabaseError):
    """A database file is missing, unreadable, not SQLite, or lacks a table that the pipeline always makes."""

    code = "DATABASE_CONNECTION_ERROR"

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(f"The {database} database is unavailable: {reason}", database=database)
        self.reason = reason


class QueryFailed(DatabaseError):
    """SQLite refused a statement of ours: a defect of this service, not of the request."""

    code = "DATABASE_QUERY_ERROR"


class Busy(DatabaseError):
    """Another process held the lock for longer than the busy timeout; trying again will do."""

    code = "DATABASE_BUSY"


class QueryTimeout(DatabaseError):
    """The request's deadline passed while SQLite was still working; the statement was stopped."""

    code = "QUERY_TIMEOUT"


class QueueUnavailable(ContimgError):
    """The store of the work queue does not answer."""

    code = "QUEUE_UNAVAILABLE"


class StillInTheMaking(ContimgError):
    """An earlier request with the same idempotency key has not been answered yet; trying again will do."""

    code = "IDEMPOTENCY_IN_PROGRESS"


class KeyReused(ContimgError):
    """An idempotency key came back with another request than the one it was first used for."""

    code = "IDEMPOTENCY_KEY_REUSED"


class TooManyStreams(ContimgError):
    """Every place for a stream of events in this process is taken."""

    code = "TOO_MANY_STREAMS"


class BatchNotFound(NotFound):
    """No batch bears that number."""

    code = "BATCH_JOB_NOT_FOUND"


class BatchInvalidState(ContimgError):
    """A batch is in a state in which that cannot be done with it."""

    code = "BATCH_JOB_INVALID_STATE"


class Overloaded(ContimgError):
    """Every place for work of this kind in this process is taken, or it took too long; trying again will do."""

    code = "SERVICE_OVERLOADED"


class ImageBlank(ContimgError):
    """The image, or the part of it that was asked for, holds no value at all."""

    code = "IMAGE_BLANK"


class NoCoordinates(ContimgError):
    """The image does not tell where on the sky it lies."""

    code = "NO_SKY_COORDINATES"


class OutsideImage(ContimgError):
    """The position lies outside the image."""

    code = "POSITION_OUTSIDE_IMAGE"


class CutoutTooLarge(ContimgError):
    """The cut-out would hold more pixels than the operator allows."""

    code = "CUTOUT_TOO_LARGE"


class TooFewImages(ContimgError):
    """One picture does not make an animation."""

    code = "TOO_FEW_IMAGES"


class NotInstalled(ContimgError):
    """What was asked for needs a library that is optional and not installed here."""

    code = "NOT_IMPLEMENTED"


class NotAllowed(ContimgError):
    """The operator has not allowed that here, whoever asks."""

    code = "FORBIDDEN"
