"""Every route of the server as a function that builds its call. Nothing is sent here."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from pydantic_core import from_json

from ._call import Answer, Call, body_of, model, query_of
from .errors import InvalidRequestError, MemtraceError
from .models import (
    Agent,
    AgentFilter,
    AgentPage,
    AgentStats,
    Deletion,
    Erased,
    Erasure,
    Health,
    KeyCreated,
    KeyList,
    KeySelf,
    ListFilter,
    Memory,
    MemoryBatch,
    MemoryExtras,
    MemoryInput,
    MemoryLike,
    MemoryPage,
    Readiness,
    Retention,
    SearchPage,
    Session,
    SessionContext,
    SessionPage,
    UploadResult,
)

MEMORIES = "/api/v1/memories"
AGENTS = "/api/v1/agents"
SESSIONS = "/api/v1/sessions"
KEYS = "/api/v1/keys"
RETENTION = "/api/v1/retention"
EXPORT = "/api/v1/export"

#: Well below the server's limits of content and metadata, in characters.
ERROR_CHARACTERS = 16_000
STACK_CHARACTERS = 4_000


def path_of(base: str, ident: str, *rest: str) -> str:
    if ident == "":
        # It would be the path of the whole list.
        raise InvalidRequestError("the id is empty", code="invalid_field", field="id")
    return "/".join([base, quote(ident, safe=""), *rest])


# Memories


def memory_json(memory: MemoryLike) -> bytes:
    """One memory as JSON. Raises pydantic's ValidationError for a field that is none."""
    known = memory if isinstance(memory, MemoryInput) else MemoryInput.model_validate(memory)
    # Round-trips metadata as it is: only fields that are None are left out, not its own nulls.
    return MemoryInput.__pydantic_serializer__.to_json(known, exclude_unset=True)


def batch_body(items: Iterable[bytes]) -> bytes:
    return b'{"memories":[' + b",".join(items) + b"]}"


def add_memory(memory: MemoryLike, key: str | None) -> Call[Memory]:
    body = memory_json(memory)
    return Call("POST", MEMORIES, model(Memory), {}, body, "keyed", key)


def add_memories(memories: Iterable[MemoryLike], key: str | None) -> Call[MemoryBatch]:
    body = batch_body(map(memory_json, memories))
    return Call("POST", MEMORIES, model(MemoryBatch), {}, body, "keyed", key)


def remember(agent_id: str, content: str, extras: MemoryExtras) -> MemoryInput:
    return MemoryInput(agent_id=agent_id, content=content, **extras)


def decide(agent_id: str, decision: str, reasoning: str, extras: MemoryExtras) -> MemoryInput:
    values: dict[str, Any] = {"memory_type": "decision", "event_type": "decision", **extras}
    values["metadata"] = {**(values.get("metadata") or {}), "reasoning": reasoning}
    return MemoryInput(agent_id=agent_id, content=decision, **values)


def log_error(agent_id: str, error: BaseException | str, extras: MemoryExtras) -> MemoryInput:
    values: dict[str, Any] = {"importance": 0.7, **extras, "event_type": "error"}
    metadata: dict[str, Any] = {}
    if isinstance(error, BaseException):
        stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        metadata = {"error": type(error).__name__, "stack": clean(stack)[-STACK_CHARACTERS:]}
    content = clean(str(error))[:ERROR_CHARACTERS] or type(error).__name__
    values["metadata"] = {**metadata, **(values.get("metadata") or {})}
    return MemoryInput(agent_id=agent_id, content=content, **values)


def clean(text: str) -> str:
    """What the server takes as text: no NUL, no half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def list_memories(
    filters: Mapping[str, Any], cursor: str | None, path: str = MEMORIES
) -> Call[MemoryPage]:
    return Call("GET", path, model(MemoryPage), query_of(_at(filters, cursor)))


def recall(agent_id: str, filters: AgentFilter) -> ListFilter:
    """None is absent here too: it must not turn into the whole history."""
    merged: ListFilter = {"order": "desc", **filters, "agent_id": agent_id}
    if merged.get("since") is None:
        merged["since"] = "24h"
    return merged


def get_memory(ident: str) -> Call[Memory]:
    return Call("GET", path_of(MEMORIES, ident), model(Memory))


def search(filters: Mapping[str, Any], cursor: str | None) -> Call[SearchPage]:
    body = body_of(_at(filters, cursor))
    return Call("POST", "/api/v1/search", model(SearchPage), {}, body)


def export(filters: Mapping[str, Any]) -> Call[None]:
    return Call("GET", EXPORT, _nothing, query_of(filters))


def delete_memory(ident: str) -> Call[Erased]:
    return Call("DELETE", path_of(MEMORIES, ident), _erased)


def delete_memories(filters: Mapping[str, Any]) -> Call[Deletion]:
    # A variable that is not set must never erase more than was meant.
    for name, value in filters.items():
        if value is None or value == "" or value == []:
            message = f"{name} is {value!r}"
            raise InvalidRequestError(message, code="invalid_field", field=name)
    return Call("DELETE", MEMORIES, model(Deletion), query_of(filters))


# Agents


def register_agent(
    name: str, description: str | None, config: Mapping[str, Any] | None, key: str | None
) -> Call[Agent]:
    body = body_of({"name": name, "description": description, "config": config})
    return Call("POST", AGENTS, model(Agent), {}, body, "keyed", key)


def list_agents(filters: Mapping[str, Any], cursor: str | None) -> Call[AgentPage]:
    return Call("GET", AGENTS, model(AgentPage), query_of(_at(filters, cursor)))


def get_agent(ident: str) -> Call[Agent]:
    return Call("GET", path_of(AGENTS, ident), model(Agent))


def agent_stats(ident: str) -> Call[AgentStats]:
    return Call("GET", path_of(AGENTS, ident, "stats"), model(AgentStats))


def delete_agent(ident: str, memories: bool) -> Call[Erased]:
    return Call("DELETE", path_of(AGENTS, ident), _erased, _with_memories(memories))


# Sessions


def create_session(
    agent_id: str, metadata: Mapping[str, Any] | None, key: str | None
) -> Call[Session]:
    body = body_of({"agent_id": agent_id, "metadata": metadata})
    return Call("POST", SESSIONS, model(Session), {}, body, "keyed", key)


def list_sessions(filters: Mapping[str, Any], cursor: str | None) -> Call[SessionPage]:
    return Call("GET", SESSIONS, model(SessionPage), query_of(_at(filters, cursor)))


def get_session(ident: str) -> Call[Session]:
    return Call("GET", path_of(SESSIONS, ident), model(Session))


def update_session(
    ident: str, status: str | None, metadata: Mapping[str, Any] | None
) -> Call[Session]:
    body = body_of({"status": status, "metadata": metadata})
    return Call("PUT", path_of(SESSIONS, ident), model(Session), {}, body)


def delete_session(ident: str, memories: bool) -> Call[Erased]:
    return Call("DELETE", path_of(SESSIONS, ident), _erased, _with_memories(memories))


def session_context(ident: str, options: Mapping[str, Any]) -> Call[SessionContext]:
    path = path_of(SESSIONS, ident, "context")
    return Call("POST", path, model(SessionContext), {}, body_of(options))


# Keys, retention, operations


def list_keys() -> Call[KeyList]:
    return Call("GET", KEYS, model(KeyList))


def create_key(values: Mapping[str, Any]) -> Call[KeyCreated]:
    return Call("POST", KEYS, model(KeyCreated), {}, body_of(values), "once")


def revoke_key(ident: str) -> Call[None]:
    return Call("DELETE", path_of(KEYS, ident), _nothing)


def own_key() -> Call[KeySelf]:
    return Call("GET", f"{KEYS}/self", model(KeySelf))


def get_retention() -> Call[Retention]:
    return Call("GET", RETENTION, model(Retention))


def set_retention(days: int | None) -> Call[Retention]:
    body = b'{"days":null}' if days is None else body_of({"days": days})
    return Call("PUT", RETENTION, model(Retention), {}, body)


def get_erasure(ident: str) -> Call[Erasure]:
    return Call("GET", path_of("/api/v1/erasures", ident), model(Erasure))


def health() -> Call[Health]:
    return Call("GET", "/health", model(Health))


def ready() -> Call[Readiness]:
    return Call("GET", "/ready", model(Readiness))


def metrics() -> Call[str]:
    return Call("GET", "/metrics", lambda answer: answer.content.decode())


def openapi() -> Call[dict[str, Any]]:
    return Call("GET", "/openapi.json", _json_object)


def not_ready(error: MemtraceError) -> Readiness:
    """The answer inside a 503 of /ready; raises the error if it is none."""
    if "status" not in error.body:
        raise error
    return Readiness.model_validate(error.body)


def _at(filters: Mapping[str, Any], cursor: str | None) -> dict[str, Any]:
    """The filters of the page at a cursor; the offset was skipped before the first page."""
    if cursor is None:
        return dict(filters)
    return {**{k: v for k, v in filters.items() if k != "offset"}, "cursor": cursor}


def _with_memories(memories: bool) -> dict[str, str]:
    return {"memories": "true"} if memories else {}


uploaded = model(UploadResult)


def _erased(answer: Answer) -> Erased:
    return Erased(erasure_id=answer.headers.get("x-erasure-id"))


def _nothing(_: Answer) -> None:
    return None


def _json_object(answer: Answer) -> dict[str, Any]:
    value: dict[str, Any] = from_json(answer.content)
    return value
