"""A request as data: built once, sent by the sync or the async transport, parsed by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from .errors import InvalidResponseError
from .models import time_text

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

#: Whether a request may be sent again when it is not known what became of it. ``keyed``: yes, as
#: it carries an Idempotency-Key. ``once``: only if the server says that it refused it.
Repeat = Literal["safe", "keyed", "once"]


@dataclass(frozen=True)
class Answer:
    """An answer with a status below 300, read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and how to read its answer."""

    method: str
    path: str
    parse: Callable[[Answer], T]
    query: Mapping[str, str] = field(default_factory=dict)
    #: The same bytes for every try.
    body: bytes | None = None
    repeat: Repeat = "safe"
    idempotency_key: str | None = None


def model(kind: type[M]) -> Callable[[Answer], M]:
    """Reads an answer as a model. The reader raises InvalidResponseError."""

    def parse(answer: Answer) -> M:
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise InvalidResponseError(
                f"the answer is no {kind.__name__}: is this the address of a memtrace server?",
                status=answer.status,
                request_id=answer.headers.get("x-request-id"),
            ) from error

    return parse


def query_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as text; None is left out."""
    return {name: _text(value) for name, value in values.items() if value is not None}


def body_of(values: Mapping[str, Any]) -> bytes:
    """A JSON body; None is left out, times are as the server reads them."""
    return to_json({name: _json(value) for name, value in values.items() if value is not None})


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime, timedelta)):
        return time_text(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(value)
    return str(value)


def _json(value: Any) -> Any:
    return time_text(value) if isinstance(value, (datetime, timedelta)) else value
