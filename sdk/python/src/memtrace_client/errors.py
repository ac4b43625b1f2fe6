"""What can go wrong: one class a kind, with the server's stable code on each.

Switch on the class or on ``code``. Newer servers may know codes that are not here: they arrive as
the class of their HTTP status.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from pydantic_core import from_json


class MemtraceError(Exception):
    """Every error of this package, except those of the arguments themselves."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "invalid_response",
        request_id: str | None = None,
        field: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        #: The HTTP status; 0 without an answer.
        self.status = status
        #: Stable, e.g. ``duplicate_memory``.
        self.code = code
        self.request_id = request_id
        #: The field or parameter at fault, e.g. ``memories[3].agent_id``.
        self.field = field
        self.hint = hint
        #: Seconds, from the Retry-After header.
        self.retry_after = retry_after
        #: The whole body of the error.
        self.body: Mapping[str, Any] = body or {}

    def __str__(self) -> str:
        details = {"field": self.field, "hint": self.hint, "request_id": self.request_id}
        text = ", ".join(f"{name}: {value}" for name, value in details.items() if value)
        return f"{self.message} [{self.code}]" + (f" ({text})" if text else "")


class InvalidRequestError(MemtraceError):
    """400, 405, 415: the request is wrong; ``field`` says where."""


class TooLargeError(InvalidRequestError):
    """413: the body or the batch."""


class IdempotencyKeyReusedError(InvalidRequestError):
    """422: the Idempotency-Key belongs to a request with another body."""


class AuthenticationError(MemtraceError):
    """401: no API key, or one that is unknown, revoked or expired."""


class PermissionDeniedError(MemtraceError):
    """403: the API key lacks the permission."""


class NotFoundError(MemtraceError):
    """404."""


class ConflictError(MemtraceError):
    """409: a duplicate memory, a taken name, the last admin key."""


class DuplicateMemoryError(ConflictError):
    """409: an equal memory, or one with the same dedup_key, is there."""

    @property
    def existing_id(self) -> str | None:
        """The id of the one that is there."""
        value = self.body.get("id")
        return value if isinstance(value, str) else None


class NameTakenError(ConflictError):
    """409: an agent of that name is registered."""


class RateLimitError(MemtraceError):
    """429."""


class ServerError(MemtraceError):
    """5xx; ``code`` says why."""


class UnavailableError(ServerError):
    """503: overloaded, draining, not ready, disk full …: try again later."""


class APIConnectionError(MemtraceError):
    """There was no answer. Whether the request took effect is not known."""


class APITimeoutError(APIConnectionError):
    """There was no answer in time. Whether the request took effect is not known."""


class InvalidResponseError(MemtraceError):
    """The answer is not memtrace's: is the address right?"""


class CutStreamError(MemtraceError):
    """An export ended before its last line."""


class DeliveryError(MemtraceError):
    """Events of a batcher that were refused or given up."""

    def __init__(self, failed: int, first: Exception) -> None:
        known = first if isinstance(first, MemtraceError) else None
        super().__init__(
            f"{failed} events were not stored: {first}",
            status=known.status if known else 0,
            code=known.code if known else "delivery_failed",
            request_id=known.request_id if known else None,
            field=known.field if known else None,
        )
        self.failed = failed


class NotAcknowledgedError(MemtraceError):
    """A batcher was closed before the server had acknowledged these events."""


class BatcherClosedError(MemtraceError):
    """An event was added to a batcher that is closed."""


_BY_CODE: dict[str, type[MemtraceError]] = {
    "duplicate_memory": DuplicateMemoryError,
    "name_taken": NameTakenError,
    "idempotency_key_reused": IdempotencyKeyReusedError,
    "body_too_large": TooLargeError,
    "batch_too_large": TooLargeError,
}
_BY_STATUS: dict[int, type[MemtraceError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    422: IdempotencyKeyReusedError,
    429: RateLimitError,
    503: UnavailableError,
}


def error_of(status: int, headers: Mapping[str, str], content: bytes) -> MemtraceError:
    """The error of an answer with a status of 300 or more."""
    body = _object(content)
    code = _text(body, "code") or "invalid_response"
    return _class_of(status, code)(
        _text(body, "error") or f"the server answered with status {status}",
        status=status,
        code=code,
        request_id=_text(body, "request_id") or headers.get("x-request-id"),
        field=_text(body, "field"),
        hint=_text(body, "hint"),
        retry_after=retry_after_seconds(headers.get("retry-after")),
        body=body,
    )


def _class_of(status: int, code: str) -> type[MemtraceError]:
    known = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= 500:
        return ServerError
    return InvalidRequestError if status >= 400 else InvalidResponseError


def retry_after_seconds(value: str | None, now: float | None = None) -> float | None:
    """Retry-After is a number of seconds or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(value).timestamp()
    except ValueError:
        return None
    return max(0.0, then - (time() if now is None else now))


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = from_json(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None
