"""What a client has routes for: memories, agents, sessions, keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from typing_extensions import Unpack

from . import _ndjson, _routes
from ._call import Call
from ._transport import SyncTransport
from .models import (
    Agent,
    AgentFilter,
    AgentPage,
    AgentStats,
    ContextOptions,
    Deletion,
    Erased,
    Key,
    KeyCreated,
    KeySelf,
    ListFilter,
    Memory,
    MemoryBatch,
    MemoryFilter,
    MemoryLike,
    MemoryPage,
    Permission,
    SearchFilter,
    SearchPage,
    Session,
    SessionContext,
    SessionFilter,
    SessionPage,
    SessionStatus,
    UploadResult,
)
from .pages import Pages

MemoryPages = Pages[Memory, MemoryPage]


def _memory_pages(
    transport: SyncTransport, filters: Mapping[str, Any], path: str = _routes.MEMORIES
) -> MemoryPages:
    def fetch(cursor: str | None) -> MemoryPage:
        return transport.send(_routes.list_memories(filters, cursor, path))

    return Pages(fetch, lambda page: page.memories)


class Memories:
    """Memories: what agents did, said, decided and met."""

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport

    def add(self, memory: MemoryLike, *, idempotency_key: str | None = None) -> Memory:
        """Stores one. Raises DuplicateMemoryError for an equal one within the window."""
        return self._transport.send(_routes.add_memory(memory, idempotency_key))

    def add_many(
        self, memories: Iterable[MemoryLike], *, idempotency_key: str | None = None
    ) -> MemoryBatch:
        """Stores up to 1,000, all or none. Duplicates are left out and counted."""
        return self._transport.send(_routes.add_memories(memories, idempotency_key))

    def upload(self, memories: Iterable[MemoryLike]) -> UploadResult:
        """Stores any number, streamed: memory stays flat on both sides.

        Never sent twice; when it fails, a part of it may be stored. The batcher is for what must
        arrive exactly once.
        """
        call = Call("POST", _routes.MEMORIES, _routes.uploaded, repeat="once")
        return self._transport.upload(call, _ndjson.pieces(memories))

    def list(self, **filters: Unpack[ListFilter]) -> MemoryPages:
        """The newest first, unless told otherwise."""
        return _memory_pages(self._transport, filters)

    def get(self, memory_id: str) -> Memory:
        return self._transport.send(_routes.get_memory(memory_id))

    def search(self, **filters: Unpack[SearchFilter]) -> Pages[Memory, SearchPage]:
        def fetch(cursor: str | None) -> SearchPage:
            return self._transport.send(_routes.search(filters, cursor))

        return Pages(fetch, lambda page: page.results)

    def export(self, **filters: Unpack[MemoryFilter]) -> Iterator[Memory]:
        """The oldest first, the whole history, streamed.

        Raises CutStreamError if it ends before its end.
        """
        reader = _ndjson.ExportReader()
        with self._transport.lines(_routes.export(filters)) as lines:
            for line in lines:
                memory = reader.read(line)
                if memory is not None:
                    yield memory
        reader.finish()

    def delete(self, memory_id: str) -> Erased:
        """Erases one."""
        return self._transport.send(_routes.delete_memory(memory_id))

    def delete_where(self, **filters: Unpack[MemoryFilter]) -> Deletion:
        """Erases all that match. At least one condition is needed, and none may be None."""
        return self._transport.send(_routes.delete_memories(filters))


class Agents:
    """The registry of agents. Memories do not need it: any well-formed agent_id will do."""

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport

    def register(
        self,
        name: str,
        *,
        description: str | None = None,
        config: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Agent:
        """Raises NameTakenError."""
        call = _routes.register_agent(name, description, config, idempotency_key)
        return self._transport.send(call)

    def list(self, *, limit: int | None = None) -> Pages[Agent, AgentPage]:
        """The newest first; ``limit`` a page."""

        def fetch(cursor: str | None) -> AgentPage:
            return self._transport.send(_routes.list_agents({"limit": limit}, cursor))

        return Pages(fetch, lambda page: page.agents)

    def get(self, agent: str) -> Agent:
        """By id, then by name."""
        return self._transport.send(_routes.get_agent(agent))

    def delete(self, agent: str, *, memories: bool = False) -> Erased:
        """By id, then by name: the registration and, if asked for, its memories."""
        return self._transport.send(_routes.delete_agent(agent, memories))

    def stats(self, agent_id: str) -> AgentStats:
        """Of an agent_id, registered or not."""
        return self._transport.send(_routes.agent_stats(agent_id))

    def memories(self, agent_id: str, **filters: Unpack[AgentFilter]) -> MemoryPages:
        """Of an agent_id; the last 24 hours unless ``since`` says otherwise."""
        path = _routes.path_of(_routes.AGENTS, agent_id, "memories")
        return _memory_pages(self._transport, filters, path)


class Sessions:
    """Sessions: what belongs to one piece of work."""

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport

    def create(
        self,
        agent_id: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Session:
        return self._transport.send(_routes.create_session(agent_id, metadata, idempotency_key))

    def list(
        self,
        *,
        agent_id: str | None = None,
        status: SessionStatus | None = None,
        limit: int | None = None,
    ) -> Pages[Session, SessionPage]:
        """The newest first; ``limit`` a page."""
        filters = {"agent_id": agent_id, "status": status, "limit": limit}

        def fetch(cursor: str | None) -> SessionPage:
            return self._transport.send(_routes.list_sessions(filters, cursor))

        return Pages(fetch, lambda page: page.sessions)

    def get(self, session_id: str) -> Session:
        return self._transport.send(_routes.get_session(session_id))

    def update(
        self,
        session_id: str,
        *,
        status: SessionStatus | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Metadata is merged key by key; None deletes a key."""
        return self._transport.send(_routes.update_session(session_id, status, metadata))

    def close(self, session_id: str) -> Session:
        return self.update(session_id, status="closed")

    def delete(self, session_id: str, *, memories: bool = False) -> Erased:
        """The registration and, if asked for, its memories."""
        return self._transport.send(_routes.delete_session(session_id, memories))

    def memories(self, session_id: str, **filters: Unpack[SessionFilter]) -> MemoryPages:
        path = _routes.path_of(_routes.SESSIONS, session_id, "memories")
        return _memory_pages(self._transport, filters, path)

    def context(self, session_id: str, **options: Unpack[ContextOptions]) -> SessionContext:
        """The session as markdown that is safe to put into a prompt."""
        return self._transport.send(_routes.session_context(session_id, options))


class Keys:
    """API keys of the organization. All but ``self`` need an admin key."""

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport

    def list(self) -> list[Key]:
        return self._transport.send(_routes.list_keys()).keys

    def create(
        self,
        name: str,
        *,
        permissions: Sequence[Permission] | None = None,
        expires_at: datetime | str | None = None,
    ) -> KeyCreated:
        """Its ``key`` is shown this once. Not sent again when the answer is lost."""
        values = {"name": name, "permissions": permissions, "expires_at": expires_at}
        return self._transport.send(_routes.create_key(values))

    def revoke(self, key_id: str) -> None:
        self._transport.send(_routes.revoke_key(key_id))

    def self(self) -> KeySelf:
        """The key of this client, and its organization."""
        return self._transport.send(_routes.own_key())
