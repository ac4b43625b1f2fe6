"""What batchers do, without threads, tasks or sockets: collect in order, deliver exactly once."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from re import compile as regex
from time import gmtime, monotonic, strftime, time_ns
from typing import Any, Final, Literal, TypeAlias
from uuid import uuid4
from zlib import crc32

from pydantic_core import from_json

from ._backoff import backoff
from ._call import Answer, Call
from ._routes import MEMORIES, batch_body, memory_json
from .errors import APIConnectionError, MemtraceError, NotAcknowledgedError
from .models import MemoryInput, MemoryLike

logger: Final = logging.getLogger("memtrace_client")
#: An internal error may pass, or may be in what was sent: so often it is tried again.
INTERNAL_TRIES: Final = 5
MAX_ITEMS: Final = 1_000
_ITEM: Final = regex(r"memories\[(\d+)\]")

Policy: TypeAlias = Literal["block", "drop"]
#: Told what the server refused or what was given up: why, and the events as they were sent.
OnError: TypeAlias = Callable[[Exception, list[dict[str, Any]]], None]
#: Told an event that a full buffer left out.
OnDrop: TypeAlias = Callable[[MemoryLike], None]


@dataclass(frozen=True)
class BatcherOptions:
    """How events are collected."""

    #: Of one request, 1 to 1,000.
    max_items: int = 500
    #: Of one request, as JSON.
    max_bytes: int = 1024 * 1024
    #: Seconds that an event waits for others.
    max_delay: float = 0.05
    #: Of all events not yet acknowledged, as JSON.
    max_buffered_bytes: int = 32 * 1024 * 1024
    #: With a full buffer ``add`` waits for room, or leaves the event out and tells on_drop.
    policy: Policy = "block"
    #: How many requests may be under way. Events of one agent keep their order.
    lanes: int = 2
    #: Whether an event without a time gets that of its adding: so an outage does not change when
    #: things happened, and two equal events are two.
    stamp_time: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.max_items <= MAX_ITEMS:
            raise ValueError(f"max_items is {self.max_items}, not 1 to {MAX_ITEMS}")
        if self.lanes < 1:
            raise ValueError(f"lanes is {self.lanes}, not 1 or more")
        if self.policy not in ("block", "drop"):
            raise ValueError(f"policy is {self.policy!r}, not 'block' or 'drop'")


@dataclass
class BatcherStats:
    """Counts since the batcher was made."""

    added: int = 0
    #: Of these, `duplicates` were there already.
    acknowledged: int = 0
    duplicates: int = 0
    failed: int = 0
    dropped: int = 0
    buffered_bytes: int = 0


class Clock:
    """Times of adding, in microseconds: they only grow, so equal events differ and keep order."""

    def __init__(self, now_ns: Callable[[], int] = time_ns) -> None:
        self._now_ns = now_ns
        self._last = 0
        #: The second that the text was made for: making it is most of the cost.
        self._second = -1
        self._text = b""

    def stamp(self) -> bytes:
        """RFC 3339 in UTC, as the server reads it."""
        self._last = max(self._now_ns() // 1_000, self._last + 1)
        second, micros = divmod(self._last, 1_000_000)
        if second != self._second:
            self._second = second
            self._text = strftime("%Y-%m-%dT%H:%M:%S.", gmtime(second)).encode()
        return b"%b%06dZ" % (self._text, micros)


def as_input(memory: MemoryLike) -> MemoryInput:
    return memory if isinstance(memory, MemoryInput) else MemoryInput.model_validate(memory)


def entry_of(memory: MemoryInput, clock: Clock | None) -> bytes:
    """An event as the JSON that is sent, whatever happens to the object later."""
    json = memory_json(memory)
    if clock is None or memory.time is not None:
        return json
    if "time" in memory.model_fields_set:
        return memory_json(memory.model_copy(update={"time": clock.stamp().decode()}))
    return b'%b,"time":"%b"}' % (json[:-1], clock.stamp())


def lane_of(agent_id: str, lanes: int) -> int:
    return crc32(agent_id.encode()) % lanes


@dataclass
class Lane:
    """Events in their order, of which one batch at a time is under way."""

    options: BatcherOptions
    entries: deque[tuple[float, bytes]] = field(default_factory=deque)
    #: Bytes that wait, without those under way.
    waiting_bytes: int = 0
    under_way: list[bytes] = field(default_factory=list)
    pushed: int = 0
    done: int = 0
    #: Until so many events are done, batches do not wait to be full.
    urgent_until: int = 0

    def push(self, entry: bytes) -> None:
        self.entries.append((monotonic(), entry))
        self.waiting_bytes += len(entry)
        self.pushed += 1

    def wait(self) -> float | None:
        """Seconds until the next batch is due, 0 if it is, None if there is nothing."""
        if not self.entries:
            return None
        full = len(self.entries) >= self.options.max_items
        if full or self.waiting_bytes >= self.options.max_bytes or self.done < self.urgent_until:
            return 0.0
        return max(0.0, self.entries[0][0] + self.options.max_delay - monotonic())

    def take(self) -> list[bytes]:
        """The next batch; each is under way until it is settled."""
        batch: list[bytes] = []
        size = 0
        while self.entries and len(batch) < self.options.max_items:
            entry = self.entries[0][1]
            if batch and size + len(entry) > self.options.max_bytes:
                break
            self.entries.popleft()
            batch.append(entry)
            size += len(entry)
        self.waiting_bytes -= size
        self.under_way = batch
        return batch

    def settle(self, entries: list[bytes]) -> None:
        """These of what is under way are acknowledged or refused."""
        self.done += len(entries)
        gone = set(map(id, entries))
        self.under_way = [entry for entry in self.under_way if id(entry) not in gone]

    def give_up(self) -> list[bytes]:
        """All that is not acknowledged."""
        left = [*self.under_way, *(entry for _, entry in self.entries)]
        self.entries.clear()
        self.waiting_bytes = 0
        self.under_way = []
        self.done = self.pushed
        return left


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Acknowledged:
    """These are durable."""

    entries: list[bytes]
    duplicates: int


@dataclass(frozen=True)
class Refused:
    """These will not be sent again."""

    entries: list[bytes]
    error: MemtraceError


#: What the driver does next: send the call (and send back its answer or error), wait, or report.
Step: TypeAlias = "Call[Answer] | Pause | Acknowledged | Refused"
Reply: TypeAlias = "Answer | MemtraceError | None"


def deliver(entries: list[bytes]) -> Generator[Step, Reply, None]:
    """Sends entries, in order, until each is acknowledged or refused.

    While the server cannot be reached or says so itself, it tries again without end: always with
    the same bytes and key, so that the server stores them once. The driver may stop at any step.
    """
    left = entries
    while left:
        reply = yield from _send_until_answered(left)
        if isinstance(reply, Answer):
            yield Acknowledged(left, _duplicates(reply))
            return
        index = _index_of_refused(reply, len(left))
        if index is not None:
            yield Refused([left[index]], reply)
            left = left[:index] + left[index + 1 :]
        elif reply.status == 413 and len(left) > 1:
            half = len(left) // 2
            yield from deliver(left[:half])
            left = left[half:]
        else:
            yield Refused(left, reply)
            return


def _send_until_answered(
    entries: list[bytes],
) -> Generator[Step, Reply, Answer | MemtraceError]:
    key = str(uuid4())
    call = Call("POST", MEMORIES, lambda answer: answer, {}, batch_body(entries), "keyed", key)
    failures = internal = 0
    while True:
        reply = yield call
        if isinstance(reply, Answer):
            return reply
        assert reply is not None
        failures += 1
        internal += reply.status == 500
        passes = isinstance(reply, APIConnectionError) or reply.status == 429 or reply.status >= 500
        if not passes or internal >= INTERNAL_TRIES:
            return reply
        yield Pause(backoff(failures, reply.retry_after))


def _index_of_refused(error: MemtraceError, count: int) -> int | None:
    """The server refuses a batch whole and names the first bad item; the others are good so far."""
    match = _ITEM.match(error.field or "")
    if match is None or not 400 <= error.status < 500:
        return None
    index = int(match.group(1))
    return index if index < count else None


def _duplicates(answer: Answer) -> int:
    try:
        return int(from_json(answer.content)["duplicates"])
    except (ValueError, KeyError, TypeError):
        # Acknowledged is what the status says; this is only counted.
        return 0


def safely(callback: Callable[[], None]) -> None:
    """A callback that raises must not stop a sender."""
    try:
        callback()
    except Exception:
        logger.exception("a callback of the batcher raised")


def report(on_error: OnError | None, entries: list[bytes], error: Exception) -> None:
    """Tells that events were not stored; nobody to tell is no reason to be silent."""
    if on_error is None:
        logger.error("%d events were not stored: %s", len(entries), error)
    else:
        safely(lambda: on_error(error, as_events(entries)))


def unacknowledged(count: int) -> NotAcknowledgedError:
    message = f"{count} events are not acknowledged yet"
    return NotAcknowledgedError(message, code="not_acknowledged")


def as_events(entries: list[bytes]) -> list[dict[str, Any]]:
    return [from_json(entry) for entry in entries]
