"""The client for programs with threads, or with nothing of the kind."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx
from typing_extensions import Unpack

from . import _routes
from ._delivery import BatcherOptions, OnDrop, OnError, Policy
from ._transport import Settings, SyncTransport
from .batcher import Batcher
from .errors import MemtraceError
from .models import (
    AgentFilter,
    ContextOptions,
    Erasure,
    Health,
    Memory,
    MemoryExtras,
    Readiness,
    Retention,
    SearchFilter,
    SearchPage,
    Session,
    SessionContext,
    SessionFilter,
)
from .pages import Pages
from .resources import Agents, Keys, Memories, MemoryPages, Sessions


class SessionHandle:
    """One session of a client. It need not be registered; nothing is sent to make one of these."""

    def __init__(self, client: Memtrace, session_id: str, agent_id: str | None) -> None:
        self._client = client
        self.id = session_id
        #: Whose memories ``remember`` and its like store.
        self.agent_id = agent_id

    def context(self, **options: Unpack[ContextOptions]) -> SessionContext:
        """The session as markdown that is safe to put into a prompt."""
        return self._client.sessions.context(self.id, **options)

    def remember(
        self, content: str, *, agent_id: str | None = None, **extras: Unpack[MemoryExtras]
    ) -> Memory:
        extras["session_id"] = self.id
        return self._client.remember(self._agent(agent_id), content, **extras)

    def decide(
        self,
        decision: str,
        reasoning: str,
        *,
        agent_id: str | None = None,
        **extras: Unpack[MemoryExtras],
    ) -> Memory:
        extras["session_id"] = self.id
        return self._client.decide(self._agent(agent_id), decision, reasoning, **extras)

    def log_error(
        self,
        error: BaseException | str,
        *,
        agent_id: str | None = None,
        **extras: Unpack[MemoryExtras],
    ) -> Memory:
        extras["session_id"] = self.id
        return self._client.log_error(self._agent(agent_id), error, **extras)

    def memories(self, **filters: Unpack[SessionFilter]) -> MemoryPages:
        return self._client.sessions.memories(self.id, **filters)

    def get(self) -> Session:
        return self._client.sessions.get(self.id)

    def close(self) -> Session:
        return self._client.sessions.close(self.id)

    def _agent(self, agent_id: str | None) -> str:
        known = agent_id or self.agent_id
        if known is None:
            raise TypeError("whose memory? Give session(id, agent_id=...) or an agent_id here")
        return known


class Memtrace:
    """A client of one memtrace server, with one API key. Safe to share between threads.

    Args:
        base_url: default MEMTRACE_URL of the environment, or http://localhost:9100.
        api_key: default MEMTRACE_API_KEY of the environment.
        timeout: seconds without progress: to connect, and between pieces of an answer.
        retries: how often a failed request is sent again. A retry never stores twice.
        http: an httpx.Client of your own, e.g. with a proxy; it is not closed here.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 4,
        http: httpx.Client | None = None,
    ) -> None:
        self._open(SyncTransport(Settings.of(base_url, api_key, timeout, retries), http))

    def _open(self, transport: SyncTransport) -> None:
        self._transport = transport
        self._batchers: weakref.WeakSet[Batcher] = weakref.WeakSet()
        self.memories = Memories(transport)
        self.agents = Agents(transport)
        self.sessions = Sessions(transport)
        self.keys = Keys(transport)

    @property
    def base_url(self) -> str:
        return self._transport.settings.base_url

    def with_options(self, *, timeout: float | None = None, retries: int | None = None) -> Memtrace:
        """This client with other settings, over the same connections."""
        other = Memtrace.__new__(Memtrace)
        settings = self._transport.settings.changed(timeout, retries)
        other._open(self._transport.with_settings(settings))
        return other

    def remember(self, agent_id: str, content: str, **extras: Unpack[MemoryExtras]) -> Memory:
        """Stores what happened."""
        return self.memories.add(_routes.remember(agent_id, content, extras))

    def recall(self, agent_id: str, **filters: Unpack[AgentFilter]) -> MemoryPages:
        """What an agent did lately (24 hours unless ``since`` says otherwise), the newest first."""
        return self.memories.list(**_routes.recall(agent_id, filters))

    def decide(
        self, agent_id: str, decision: str, reasoning: str, **extras: Unpack[MemoryExtras]
    ) -> Memory:
        """Stores a decision and why it was taken."""
        return self.memories.add(_routes.decide(agent_id, decision, reasoning, extras))

    def log_error(
        self, agent_id: str, error: BaseException | str, **extras: Unpack[MemoryExtras]
    ) -> Memory:
        """Stores an error: its message as content, its class and stack as metadata."""
        return self.memories.add(_routes.log_error(agent_id, error, extras))

    def search(self, **filters: Unpack[SearchFilter]) -> Pages[Memory, SearchPage]:
        return self.memories.search(**filters)

    def session(self, session_id: str, *, agent_id: str | None = None) -> SessionHandle:
        """A session by its id; nothing is sent."""
        return SessionHandle(self, session_id, agent_id)

    def start_session(
        self, agent_id: str, *, metadata: Mapping[str, Any] | None = None
    ) -> SessionHandle:
        """Registers a session."""
        session = self.sessions.create(agent_id, metadata=metadata)
        return SessionHandle(self, session.id, agent_id)

    def batcher(
        self,
        *,
        max_items: int = 500,
        max_bytes: int = 1024 * 1024,
        max_delay: float = 0.05,
        max_buffered_bytes: int = 32 * 1024 * 1024,
        policy: Policy = "block",
        lanes: int = 2,
        stamp_time: bool = True,
        on_error: OnError | None = None,
        on_drop: OnDrop | None = None,
    ) -> Batcher:
        """Collects memories and sends them in batches. Close it before the process ends.

        Args:
            max_items: of one request, 1 to 1,000.
            max_bytes: of one request.
            max_delay: seconds that an event waits for others.
            max_buffered_bytes: of all events not yet acknowledged.
            policy: with a full buffer ``add`` waits for room (block), or leaves the event out
                and tells on_drop (drop).
            lanes: how many requests may be under way. Events of one agent keep their order.
            stamp_time: whether an event without a time gets that of its adding.
            on_error: told why, and the events that the server refused or that were given up;
                called on a thread of the batcher.
            on_drop: told an event that was left out.
        """
        options = BatcherOptions(
            max_items, max_bytes, max_delay, max_buffered_bytes, policy, lanes, stamp_time
        )
        batcher = Batcher(self._transport, options, on_error, on_drop)
        self._batchers.add(batcher)
        return batcher

    def retention(self) -> Retention:
        return self._transport.send(_routes.get_retention())

    def set_retention(self, days: int | None) -> Retention:
        """Older memories are removed; None is the server's default. Needs an admin key."""
        return self._transport.send(_routes.set_retention(days))

    def erasure(self, erasure_id: str) -> Erasure:
        """How far an erasure from the files has come."""
        return self._transport.send(_routes.get_erasure(erasure_id))

    def health(self) -> Health:
        """Whether the process lives."""
        return self._transport.send(_routes.health())

    def ready(self) -> Readiness:
        """Whether it can serve; ``not ready`` is an answer here, not an error."""
        try:
            return self.with_options(retries=0)._transport.send(_routes.ready())
        except MemtraceError as error:
            return _routes.not_ready(error)

    def metrics(self) -> str:
        """In the text format of Prometheus."""
        return self._transport.send(_routes.metrics())

    def openapi(self) -> dict[str, Any]:
        """The server's own description."""
        return self._transport.send(_routes.openapi())

    def close(self) -> None:
        """Closes its batchers, giving each the timeout of a request, then its connections."""
        try:
            for batcher in list(self._batchers):
                batcher.close(self._transport.settings.timeout)
        finally:
            self._transport.close()

    def __enter__(self) -> Memtrace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
