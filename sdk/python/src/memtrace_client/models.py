"""What is sent and what comes back. Answers ignore fields that a newer server adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer
from typing_extensions import TypedDict

MemoryType: TypeAlias = Literal["episodic", "decision", "entity", "session"]
Order: TypeAlias = Literal["asc", "desc"]
Permission: TypeAlias = Literal["read", "write", "admin"]
SessionStatus: TypeAlias = Literal["active", "closed"]
#: A point in time: ``24h`` (so long before now), ``now``, a date, an RFC 3339 time, or a datetime
#: with a time zone; a timedelta is so long before now.
TimeValue: TypeAlias = str | datetime | timedelta


def time_text(value: TimeValue) -> str:
    """As the server reads it. Raises ValueError for a datetime without a time zone."""
    if isinstance(value, str):
        return value
    if isinstance(value, timedelta):
        return f"{int(value.total_seconds())}s"
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    utc = value.astimezone(timezone.utc)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond:06d}Z"


WireTime: TypeAlias = Annotated[AwareDatetime | str, PlainSerializer(time_text, return_type=str)]
WireSpan: TypeAlias = Annotated[timedelta | str, PlainSerializer(time_text, return_type=str)]


class MemoryInput(BaseModel):
    """One memory to be stored. A field that does not exist is an error here, not ignored."""

    model_config = ConfigDict(extra="forbid")

    agent_id: str
    content: str
    session_id: str | None = None
    memory_type: MemoryType | None = None
    event_type: str | None = None
    metadata: dict[str, Any] | None = None
    tags: Sequence[str] | None = None
    importance: float | None = None
    dedup_key: str | None = None
    parent_id: str | None = None
    time: WireTime | None = None
    ttl: WireSpan | None = None
    expires_at: WireTime | None = None


#: A memory to be stored, as a model or as a mapping of the same fields.
MemoryLike: TypeAlias = MemoryInput | Mapping[str, Any]


class MemoryExtras(TypedDict, total=False):
    """The optional fields of a memory, as keyword arguments."""

    session_id: str | None
    memory_type: MemoryType
    event_type: str
    metadata: dict[str, Any] | None
    tags: Sequence[str] | None
    importance: float
    dedup_key: str | None
    parent_id: str | None
    time: datetime | str | None
    ttl: timedelta | str | None
    expires_at: datetime | str | None


class CommonFilter(TypedDict, total=False):
    """Which memories. None is no condition, except where memories are erased."""

    memory_type: MemoryType | None
    event_type: str | None
    #: All of them must match.
    tags: Sequence[str] | None
    parent_id: str | None
    min_importance: float | None
    since: TimeValue | None
    until: TimeValue | None


class MemoryFilter(CommonFilter, total=False):
    """Which memories of the organization."""

    agent_id: str | None
    session_id: str | None


class PageOptions(TypedDict, total=False):
    """In which order, and how many a page."""

    limit: int
    offset: int
    cursor: str | None
    order: Order


class ListFilter(MemoryFilter, PageOptions, total=False):
    """Which memories of the organization, page by page."""


class AgentFilter(CommonFilter, PageOptions, total=False):
    """Which memories of an agent, page by page."""

    session_id: str | None


class SessionFilter(CommonFilter, PageOptions, total=False):
    """Which memories of a session, page by page."""

    agent_id: str | None


class SearchFilter(TypedDict, total=False):
    """What to search for."""

    agent_id: str | None
    session_id: str | None
    memory_types: Sequence[MemoryType] | None
    event_types: Sequence[str] | None
    tags: Sequence[str] | None
    #: A substring, whatever its case.
    content_contains: str | None
    min_importance: float | None
    since: TimeValue | None
    until: TimeValue | None
    limit: int
    cursor: str | None
    order: Order


class ContextOptions(TypedDict, total=False):
    """What of a session goes into a prompt, and how much."""

    #: A hard ceiling, in o200k_base tokens: 64 to 200,000. Default 8,000.
    max_tokens: int
    #: How many of the newest memories are considered: 1 to 1,000. Default 100.
    max_memories: int
    include_types: Sequence[MemoryType] | None
    #: Default: the last 24 hours. ``all`` for everything.
    since: TimeValue | None
    until: TimeValue | None


class Memory(BaseModel):
    """One memory as it is stored."""

    id: str
    org_id: str
    agent_id: str
    session_id: str | None = None
    memory_type: MemoryType
    event_type: str
    content: str
    metadata: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    importance: float
    dedup_key: str | None = None
    parent_id: str | None = None
    time: AwareDatetime
    ingested_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    #: Only in a repeated answer that names a memory which is gone by now.
    deleted: bool = False


class SkippedMemory(BaseModel):
    """A duplicate: its index in the batch and the id of the first one."""

    index: int
    id: str


class MemoryBatch(BaseModel):
    """The answer to a batch."""

    memories: list[Memory]
    count: int
    duplicates: int
    skipped: list[SkippedMemory] = Field(default_factory=list)


class RejectedLine(BaseModel):
    """A line of an upload that was not stored; lines count from 1."""

    line: int
    error: str
    field: str | None = None


class UploadResult(BaseModel):
    """The answer to a stream of memories."""

    accepted: int
    duplicates: int
    #: The first 100.
    rejected: list[RejectedLine]
    rejected_count: int


class IncompleteWindow(BaseModel):
    """What a damaged file of the server left out of an answer."""

    files: int
    since: AwareDatetime
    until: AwareDatetime


class MemoryPage(BaseModel):
    """One page of a list."""

    memories: list[Memory]
    count: int
    has_more: bool
    next_cursor: str | None = None
    incomplete: bool = False
    incomplete_window: IncompleteWindow | None = None
    #: The server's time limit came first: go on with next_cursor, even if the page is empty.
    partial: bool = False
    searched_until: str | None = None


class SearchPage(BaseModel):
    """One page of what a search found."""

    results: list[Memory]
    count: int
    query_time_ms: int
    has_more: bool
    next_cursor: str | None = None
    incomplete: bool = False
    incomplete_window: IncompleteWindow | None = None
    #: The server's time limit came first: go on with next_cursor, even if the page is empty.
    partial: bool = False
    searched_until: str | None = None


class Deletion(BaseModel):
    """How many memories were erased."""

    deleted: int
    erasure_id: str
    incomplete: bool = False
    incomplete_window: IncompleteWindow | None = None


class Erased(BaseModel):
    """What one thing's deletion began, if memories went with it."""

    erasure_id: str | None = None


class Erasure(BaseModel):
    """How far an erasure from the files has come."""

    id: str
    state: Literal["accepted", "erasing", "done"]
    requested_at: AwareDatetime
    deadline: AwareDatetime
    done_at: AwareDatetime | None = None
    files_left: int


class Agent(BaseModel):
    """A registered agent."""

    id: str
    org_id: str
    name: str
    description: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    created_at: AwareDatetime
    last_active_at: AwareDatetime | None = None


class AgentPage(BaseModel):
    """One page of agents."""

    agents: list[Agent]
    count: int
    has_more: bool
    next_cursor: str | None = None


class AgentStats(BaseModel):
    """What an agent did, in numbers."""

    agent_id: str
    memory_count: int
    memories_24h: int
    errors_24h: int
    session_count: int
    active_sessions: int
    last_active_at: AwareDatetime | None = None
    memory_types: dict[str, int]


class Session(BaseModel):
    """A registered session."""

    id: str
    org_id: str
    agent_id: str
    status: SessionStatus
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: AwareDatetime
    updated_at: AwareDatetime
    closed_at: AwareDatetime | None = None


class SessionPage(BaseModel):
    """One page of sessions."""

    sessions: list[Session]
    count: int
    has_more: bool
    next_cursor: str | None = None


class SessionContext(BaseModel):
    """A session as markdown that is safe to put into a prompt."""

    session_id: str
    #: False tells a mistyped id from an empty session.
    registered: bool
    context: str
    memory_count: int
    token_count: int
    truncated: bool
    omitted_count: int
    incomplete: bool = False
    incomplete_window: IncompleteWindow | None = None


class Key(BaseModel):
    """An API key, without the key."""

    id: str
    name: str
    prefix: str
    permissions: list[Permission]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    last_used_at: AwareDatetime | None = None


class KeyCreated(Key):
    """A new API key; ``key`` is shown this once."""

    key: str = Field(repr=False)


class Organization(BaseModel):
    """Whose key it is."""

    id: str
    name: str


class KeySelf(Key):
    """The key of this client."""

    org: Organization


class KeyList(BaseModel):
    """All keys of the organization."""

    keys: list[Key]
    count: int


class Retention(BaseModel):
    """How long memories are kept; None: for ever."""

    days: int | None
    source: Literal["server", "org"]


class Health(BaseModel):
    """The process lives."""

    status: str
    service: str
    version: str
    uptime: str


class Readiness(BaseModel):
    """Whether it can serve."""

    status: Literal["ready", "degraded", "not ready"]
    checks: dict[str, str] = Field(default_factory=dict)
