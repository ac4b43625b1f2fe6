"""Batching for programs with threads: `add` from any of them, senders of its own."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final

from ._call import Answer, Call
from ._delivery import (
    Acknowledged,
    BatcherOptions,
    BatcherStats,
    Clock,
    Lane,
    OnDrop,
    OnError,
    Pause,
    Refused,
    Reply,
    as_input,
    deliver,
    entry_of,
    lane_of,
    report,
    safely,
    unacknowledged,
)
from ._transport import SyncTransport
from .errors import BatcherClosedError, DeliveryError, MemtraceError, NotAcknowledgedError
from .models import MemoryLike

#: Seconds that a batcher which was not closed may hold up the end of the process.
EXIT_TIMEOUT: Final = 5.0


class Batcher:
    """Collects events and sends them in batches.

    An event is kept until the server has acknowledged or refused it, over restarts of the server,
    and stored exactly once. Memory is bounded. Close it, or use it as a context manager; one that
    is not closed is flushed for up to 5 s when the process ends. Make it after a fork, not before.
    """

    def __init__(
        self,
        transport: SyncTransport,
        options: BatcherOptions,
        on_error: OnError | None = None,
        on_drop: OnDrop | None = None,
    ) -> None:
        self._transport = transport.with_settings(transport.settings.changed(None, 0))
        self._options = options
        self._on_error = on_error
        self._on_drop = on_drop
        self._clock = Clock() if options.stamp_time else None
        self._lock = threading.Lock()
        #: Something was acknowledged, refused or given up: there may be room.
        self._settled = threading.Condition(self._lock)
        self._lanes = [Lane(options) for _ in range(options.lanes)]
        self._ready = [threading.Condition(self._lock) for _ in self._lanes]
        self._threads: list[threading.Thread] = []
        self._stats = BatcherStats()
        self._closed = False
        self._stopped = threading.Event()
        #: Not yet reported by a flush.
        self._unreported: tuple[int, Exception] | None = None
        self._at_exit = _exit_hook(weakref.ref(self))
        atexit.register(self._at_exit)

    def add(self, memory: MemoryLike) -> None:
        """Takes an event; returns once there is room for it, which is not when it is stored.

        Raises BatcherClosedError, and pydantic's ValidationError for what is no memory.
        """
        known = as_input(memory)
        with self._lock:
            entry = entry_of(known, self._clock)
            dropped = not self._wait_for_room(len(entry))
            if not dropped:
                self._push(lane_of(known.agent_id, len(self._lanes)), entry)
        on_drop = self._on_drop
        if dropped and on_drop is not None:
            safely(lambda: on_drop(memory))

    def flush(self, timeout: float | None = None) -> None:
        """Sends what there is; returns when all that was added before is durable on the server.

        Raises DeliveryError if some of it, or of what was added since the flush before, was
        refused; NotAcknowledgedError if the time (seconds) is over, while it goes on trying.
        """
        with self._lock:
            targets = [lane.pushed for lane in self._lanes]
            for lane, ready in zip(self._lanes, self._ready, strict=True):
                lane.urgent_until = lane.pushed
                ready.notify()

            def settled() -> bool:
                return all(lane.done >= at for lane, at in zip(self._lanes, targets, strict=True))

            if not self._settled.wait_for(settled, timeout):
                raise unacknowledged(sum(lane.pushed - lane.done for lane in self._lanes))
            failures, self._unreported = self._unreported, None
        if failures is not None:
            raise DeliveryError(*failures)

    def close(self, timeout: float | None = None) -> None:
        """Takes no more, and flushes.

        When the time (seconds) is over it stops trying: what is left goes to on_error, and a
        DeliveryError is raised. Some of it may be stored nevertheless.
        """
        with self._lock:
            self._closed = True
            self._settled.notify_all()
        try:
            self.flush(timeout)
        except NotAcknowledgedError:
            self._give_up()
            self.flush()
        finally:
            self._give_up()

    @property
    def stats(self) -> BatcherStats:
        with self._lock:
            return BatcherStats(**vars(self._stats))

    def __enter__(self) -> Batcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _wait_for_room(self, size: int) -> bool:
        """Under the lock. False: the event is to be dropped."""

        def has_room() -> bool:
            used = self._stats.buffered_bytes
            return used == 0 or used + size <= self._options.max_buffered_bytes

        if self._options.policy == "drop" and not self._closed and not has_room():
            self._stats.dropped += 1
            return False
        self._settled.wait_for(lambda: self._closed or has_room())
        if self._closed:
            raise BatcherClosedError("the batcher is closed", code="batcher_closed")
        return True

    def _push(self, index: int, entry: bytes) -> None:
        lane = self._lanes[index]
        self._stats.added += 1
        self._stats.buffered_bytes += len(entry)
        due = lane.wait()
        lane.push(entry)
        if not self._threads:
            self._start()
        if due is None or (due > 0 and lane.wait() == 0):
            self._ready[index].notify()

    def _start(self) -> None:
        for index in range(len(self._lanes)):
            name = f"memtrace-batcher-{index}"
            # Daemons: an unreachable server must not keep the process alive.
            thread = threading.Thread(target=self._run, args=(index,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, index: int) -> None:
        lane, ready = self._lanes[index], self._ready[index]
        while True:
            with self._lock:
                while (due := lane.wait()) != 0:
                    if self._stopped.is_set():
                        return
                    ready.wait(due)
                batch = lane.take()
            self._deliver(lane, batch)

    def _deliver(self, lane: Lane, batch: list[bytes]) -> None:
        steps = deliver(batch)
        reply: Reply = None
        while not self._stopped.is_set():
            try:
                step = steps.send(reply)
            except StopIteration:
                return
            reply = None
            if isinstance(step, Call):
                reply = self._try(step)
            elif isinstance(step, Pause):
                self._stopped.wait(step.seconds)
            elif isinstance(step, Acknowledged):
                self._acknowledge(lane, step)
            else:
                self._refuse(lane, step)

    def _try(self, call: Call[Answer]) -> Answer | MemtraceError:
        try:
            return self._transport.send(call)
        except MemtraceError as error:
            return error
        except Exception as error:
            # A mistake, such as a closed HTTP client: to be told, not to end the sender.
            return MemtraceError(f"cannot send: {error!r}", code="client_error")

    def _acknowledge(self, lane: Lane, step: Acknowledged) -> None:
        with self._lock:
            if self._stopped.is_set():
                return
            self._stats.acknowledged += len(step.entries)
            self._stats.duplicates += step.duplicates
            lane.settle(step.entries)
            self._release(step.entries)

    def _refuse(self, lane: Lane, step: Refused) -> None:
        with self._lock:
            if self._stopped.is_set():
                return
            lane.settle(step.entries)
            self._fail(step.entries, step.error)
        report(self._on_error, step.entries, step.error)

    def _give_up(self) -> None:
        """Ends the senders; what is not acknowledged by then has failed."""
        atexit.unregister(self._at_exit)
        with self._lock:
            self._stopped.set()
            left = [entry for lane in self._lanes for entry in lane.give_up()]
            error = unacknowledged(len(left))
            if left:
                self._fail(left, error)
            for ready in self._ready:
                ready.notify_all()
        if left:
            report(self._on_error, left, error)

    def _fail(self, entries: list[bytes], error: Exception) -> None:
        self._stats.failed += len(entries)
        count, first = self._unreported or (0, error)
        self._unreported = (count + len(entries), first)
        self._release(entries)

    def _release(self, entries: list[bytes]) -> None:
        self._stats.buffered_bytes -= sum(map(len, entries))
        self._settled.notify_all()


def _exit_hook(batcher: weakref.ref[Batcher]) -> Callable[[], None]:
    def close() -> None:
        left = batcher()
        if left is not None:
            with suppress(MemtraceError):
                left.close(EXIT_TIMEOUT)

    return close
