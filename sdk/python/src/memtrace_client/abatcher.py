"""Batching for asyncio: `add` from any task of one event loop, sender tasks of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

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
from ._transport import AsyncTransport
from .errors import BatcherClosedError, DeliveryError, MemtraceError, NotAcknowledgedError
from .models import MemoryLike


@dataclass
class _Waiter:
    """An event that waits for room; whoever makes room lets it in, in its order."""

    lane: int
    entry: bytes
    admitted: asyncio.Future[None]


class AsyncBatcher:
    """Collects events and sends them in batches.

    An event is kept until the server has acknowledged or refused it, over restarts of the server,
    and stored exactly once. Memory is bounded. Close it, or use it with ``async with``.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        options: BatcherOptions,
        on_error: OnError | None = None,
        on_drop: OnDrop | None = None,
    ) -> None:
        self._transport = transport.with_settings(transport.settings.changed(None, 0))
        self._options = options
        self._on_error = on_error
        self._on_drop = on_drop
        self._clock = Clock() if options.stamp_time else None
        self._lanes = [Lane(options) for _ in range(options.lanes)]
        self._wake = [asyncio.Event() for _ in self._lanes]
        self._tasks: list[asyncio.Task[None]] = []
        self._waiters: deque[_Waiter] = deque()
        self._flushes: list[tuple[list[int], asyncio.Future[None]]] = []
        self._stats = BatcherStats()
        self._closed = False
        self._unreported: tuple[int, Exception] | None = None

    async def add(self, memory: MemoryLike) -> None:
        """Takes an event; returns once there is room for it, which is not when it is stored.

        Raises BatcherClosedError, and pydantic's ValidationError for what is no memory.
        """
        if self._closed:
            raise BatcherClosedError("the batcher is closed", code="batcher_closed")
        known = as_input(memory)
        entry = entry_of(known, self._clock)
        index = lane_of(known.agent_id, len(self._lanes))
        if not self._waiters and self._has_room(entry):
            self._push(index, entry)
            if self._stats.added % self._options.max_items == 0:
                # A loop that only adds would otherwise never let the senders run.
                await asyncio.sleep(0)
        elif self._options.policy == "drop":
            self._stats.dropped += 1
            on_drop = self._on_drop
            if on_drop is not None:
                safely(lambda: on_drop(memory))
        else:
            waiter = _Waiter(index, entry, asyncio.get_running_loop().create_future())
            self._waiters.append(waiter)
            await waiter.admitted

    async def flush(self, timeout: float | None = None) -> None:
        """Sends what there is; returns when all that was added before is durable on the server.

        Raises DeliveryError if some of it, or of what was added since the flush before, was
        refused; NotAcknowledgedError if the time (seconds) is over, while it goes on trying.
        """
        targets = [lane.pushed for lane in self._lanes]
        if not self._reached(targets):
            for lane, wake in zip(self._lanes, self._wake, strict=True):
                lane.urgent_until = lane.pushed
                wake.set()
            settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._flushes.append((targets, settled))
            await asyncio.wait([settled], timeout=timeout)
            if not settled.done():
                settled.cancel()
                raise unacknowledged(sum(lane.pushed - lane.done for lane in self._lanes))
        failures, self._unreported = self._unreported, None
        if failures is not None:
            raise DeliveryError(*failures)

    async def close(self, timeout: float | None = None) -> None:
        """Takes no more, and flushes.

        When the time (seconds) is over it stops trying: what is left goes to on_error, and a
        DeliveryError is raised. Some of it may be stored nevertheless.
        """
        self._closed = True
        self._turn_away()
        try:
            await self.flush(timeout)
        except NotAcknowledgedError:
            await self._give_up()
            await self.flush()
        finally:
            await self._give_up()

    @property
    def stats(self) -> BatcherStats:
        return BatcherStats(**vars(self._stats))

    async def __aenter__(self) -> AsyncBatcher:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _has_room(self, entry: bytes) -> bool:
        used = self._stats.buffered_bytes
        return used == 0 or used + len(entry) <= self._options.max_buffered_bytes

    def _push(self, index: int, entry: bytes) -> None:
        lane = self._lanes[index]
        self._stats.added += 1
        self._stats.buffered_bytes += len(entry)
        due = lane.wait()
        lane.push(entry)
        if not self._tasks:
            names = [f"memtrace-batcher-{i}" for i in range(len(self._lanes))]
            self._tasks = [
                asyncio.create_task(self._run(i), name=name) for i, name in enumerate(names)
            ]
        if due is None or (due > 0 and lane.wait() == 0):
            self._wake[index].set()

    async def _run(self, index: int) -> None:
        lane, wake = self._lanes[index], self._wake[index]
        while True:
            wake.clear()
            due = lane.wait()
            if due == 0:
                await self._deliver(lane, lane.take())
                continue
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(wake.wait(), due)

    async def _deliver(self, lane: Lane, batch: list[bytes]) -> None:
        steps = deliver(batch)
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration:
                return
            reply = None
            if isinstance(step, Call):
                reply = await self._try(step)
            elif isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            else:
                self._settle(lane, step)

    async def _try(self, call: Call[Answer]) -> Answer | MemtraceError:
        try:
            return await self._transport.send(call)
        except MemtraceError as error:
            return error
        except Exception as error:
            # A mistake, such as a closed HTTP client: to be told, not to end the sender.
            return MemtraceError(f"cannot send: {error!r}", code="client_error")

    def _settle(self, lane: Lane, step: Acknowledged | Refused) -> None:
        lane.settle(step.entries)
        if isinstance(step, Acknowledged):
            self._stats.acknowledged += len(step.entries)
            self._stats.duplicates += step.duplicates
            self._release(step.entries)
        else:
            self._fail(step.entries, step.error)

    async def _give_up(self) -> None:
        """Ends the senders; what is not acknowledged by then has failed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        left = [entry for lane in self._lanes for entry in lane.give_up()]
        if left:
            self._fail(left, unacknowledged(len(left)))

    def _fail(self, entries: list[bytes], error: Exception) -> None:
        self._stats.failed += len(entries)
        count, first = self._unreported or (0, error)
        self._unreported = (count + len(entries), first)
        self._release(entries)
        report(self._on_error, entries, error)

    def _release(self, entries: list[bytes]) -> None:
        self._stats.buffered_bytes -= sum(map(len, entries))
        while self._waiters and self._has_room(self._waiters[0].entry):
            waiter = self._waiters.popleft()
            if not waiter.admitted.done():
                self._push(waiter.lane, waiter.entry)
                waiter.admitted.set_result(None)
        waiting = []
        for targets, settled in self._flushes:
            if settled.done():
                continue
            if self._reached(targets):
                settled.set_result(None)
            else:
                waiting.append((targets, settled))
        self._flushes = waiting

    def _reached(self, targets: list[int]) -> bool:
        return all(lane.done >= at for lane, at in zip(self._lanes, targets, strict=True))

    def _turn_away(self) -> None:
        for waiter in self._waiters:
            if not waiter.admitted.done():
                error = BatcherClosedError("the batcher is closed", code="batcher_closed")
                waiter.admitted.set_exception(error)
        self._waiters.clear()
