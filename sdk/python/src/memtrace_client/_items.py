"""What the adapters share: conversation items kept as memories, runs recorded as events."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

from ._routes import clean, log_error
from .client import Memtrace
from .errors import BatcherClosedError
from .models import Memory, MemoryExtras, MemoryInput

ITEM: Final = "conversation_item"
PART: Final = "conversation_part"
#: Bytes of an item's JSON that fit into metadata, and into the content of one memory, with room
#: for what the outer JSON adds to it.
INLINE_BYTES: Final = 6_000
PART_BYTES: Final = 30_000
#: Characters of an item as people and contexts see it, and of what an event quotes.
TEXT_CHARACTERS: Final = 4_000
QUOTE_CHARACTERS: Final = 1_000
BATCH_ITEMS: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024
_IDENT: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}\Z")


def ident(name: str) -> str:
    """A framework's id as memtrace takes it: itself if it may be, else a stable stand-in.

    Thread ids are often numbers or UUIDs; ids of memtrace start with a letter.
    """
    if name == "":
        raise ValueError("the id is empty")
    if _IDENT.match(name):
        return name
    readable = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64]
    return f"id-{readable}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def to_text(value: Any, limit: int = TEXT_CHARACTERS) -> str:
    """Any value as text that the server takes, not longer than that."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = clean(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def to_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair can only be written down escaped.
        text = json.dumps(value, separators=(",", ":"))
    return text


class ItemLog:
    """The items of one conversation, in their order, as memories of its session.

    Each has a dedup_key of its own, so that equal items are all kept, and a retried request stores
    them once. What is too large for one memory is spread over several.
    """

    def __init__(self, client: Memtrace, session_id: str, agent_id: str) -> None:
        self.client = client
        self.session_id = ident(session_id)
        self.agent_id = ident(agent_id)

    def append(self, items: Sequence[tuple[str, str]]) -> None:
        """Adds items: each its JSON and a text for people. All or none, up to 500 and 4 MiB."""
        batch: list[MemoryInput] = []
        size = 0
        for item_json, text in items:
            memories = list(self._memories_of(item_json, text))
            weight = len(item_json.encode()) + sum(len(one.content) for one in memories)
            if batch and (len(batch) + len(memories) > BATCH_ITEMS or size + weight > BATCH_BYTES):
                self.client.memories.add_many(batch)
                batch, size = [], 0
            batch += memories
            size += weight
        if batch:
            self.client.memories.add_many(batch)

    def read(self, limit: int | None = None) -> list[str]:
        """The JSON of the newest items, the oldest of them first."""
        if limit is not None and limit <= 0:
            return []
        page = 1_000 if limit is None else min(limit, 1_000)
        found = self.client.sessions.memories(
            self.session_id, event_type=ITEM, order="desc", limit=page
        )
        return [self._json_of(one) for one in reversed(found.all(limit))]

    def pop(self) -> str | None:
        """Removes the newest item; its JSON."""
        found = self.client.sessions.memories(
            self.session_id, event_type=ITEM, order="desc", limit=1
        )
        newest = found.page().memories
        if not newest:
            return None
        item_json = self._json_of(newest[0])
        self.client.memories.delete(newest[0].id)
        if "parts" in newest[0].metadata:
            self.client.memories.delete_where(
                session_id=self.session_id, parent_id=newest[0].metadata["item_id"]
            )
        return item_json

    def clear(self) -> None:
        """Erases the items, not what else is remembered of the session."""
        for event_type in (ITEM, PART):
            self.client.memories.delete_where(session_id=self.session_id, event_type=event_type)

    def _memories_of(self, item_json: str, text: str) -> Iterator[MemoryInput]:
        item_id = f"item_{uuid4().hex}"
        data = item_json.encode()
        metadata: dict[str, Any] = {"item_id": item_id}
        parts: list[str] = []
        if len(data) <= INLINE_BYTES:
            metadata["item"] = item_json
        else:
            parts = _slices(item_json)
            metadata["parts"] = len(parts)
        # Parts first: who sees the item sees all of it.
        for number, part in enumerate(parts):
            key = f"{item_id}.{number}"
            yield self._memory(PART, part, key, {"part": number}, parent_id=item_id)
        yield self._memory(ITEM, to_text(text) or "(empty)", item_id, metadata, importance=0.1)

    def _memory(
        self,
        event_type: str,
        content: str,
        key: str,
        metadata: dict[str, Any],
        *,
        parent_id: str | None = None,
        importance: float = 0.0,
    ) -> MemoryInput:
        return MemoryInput(
            agent_id=self.agent_id,
            session_id=self.session_id,
            memory_type="session",
            event_type=event_type,
            content=content,
            metadata=metadata,
            dedup_key=key,
            parent_id=parent_id,
            importance=importance,
        )

    def _json_of(self, memory: Memory) -> str:
        if "parts" not in memory.metadata:
            return str(memory.metadata["item"])
        parts = self.client.sessions.memories(
            self.session_id, parent_id=memory.metadata["item_id"], limit=1_000
        ).all()
        parts.sort(key=lambda part: int(part.metadata["part"]))
        return "".join(part.content for part in parts)


def _slices(text: str) -> list[str]:
    # A character is at most 4 bytes of UTF-8.
    step = PART_BYTES // 4
    return [text[start : start + step] for start in range(0, len(text), step)]


class Recorder:
    """Events of a run, sent in the background: recording never holds up or breaks the run.

    While the server is away up to 8 MiB of events wait; further ones are left out.
    """

    def __init__(self, client: Memtrace, agent_id: str, session_id: str | None) -> None:
        self.agent_id = ident(agent_id)
        self.session_id = ident(session_id) if session_id else None
        self._last_error: BaseException | None = None
        self._batcher = client.batcher(policy="drop", max_buffered_bytes=8 * 1024 * 1024, lanes=1)

    def event(
        self,
        event_type: str,
        content: str,
        metadata: dict[str, Any],
        importance: float = 0.2,
    ) -> None:
        self._add(
            MemoryInput(
                agent_id=self.agent_id,
                session_id=self.session_id,
                event_type=event_type,
                content=to_text(content) or "(empty)",
                metadata=metadata,
                importance=importance,
                dedup_key=f"event_{uuid4().hex}",
            )
        )

    def error(self, error: BaseException | str, metadata: dict[str, Any]) -> None:
        # A tool's error goes on to the runs around it: it is one error.
        if isinstance(error, BaseException):
            if error is self._last_error:
                return
            self._last_error = error
        extras: MemoryExtras = {
            "metadata": metadata,
            "dedup_key": f"event_{uuid4().hex}",
            "session_id": self.session_id,
        }
        self._add(log_error(self.agent_id, error, extras))

    def flush(self, timeout: float | None = None) -> None:
        self._batcher.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        self._batcher.close(timeout)

    def _add(self, memory: MemoryInput) -> None:
        try:
            self._batcher.add(memory)
        except BatcherClosedError:
            # A run that outlives its recorder goes on unrecorded.
            return


# What a model is shown of memories is data. The session context is made safe by the server; the
# lines of a search are made so here: JSON strings, with whatever could be markup, a line break or
# invisible written as an escape.
_UNSAFE: Final = re.compile(
    "[<>`\\[\\]#*_|~\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)


def safe_lines(memories: Sequence[Memory]) -> str:
    """Memories, one a line, as text that cannot be taken for instructions' structure."""
    if not memories:
        return "Nothing was found."
    return "\n".join(_safe_line(memory) for memory in memories)


def _safe_line(memory: Memory) -> str:
    shown = {
        "time": memory.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "event": memory.event_type,
        "content": to_text(memory.content, QUOTE_CHARACTERS),
    }
    text = json.dumps(shown, ensure_ascii=False)
    return _UNSAFE.sub(
        lambda found: (
            json.dumps(found.group())[1:-1]
            if not found.group().isascii()
            else f"\\u{ord(found.group()):04x}"
        ),
        text,
    )
